"""Dropout as a layer."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from dipkernels import ops
from dipkernels.arguments import integer, number
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray


class Dropout(Layer):
    """In training sets elements to zero with probability p and scales the others by 1/(1 − p); otherwise y = x.

    p is from 0 to 1. Every forward in training takes the next mask of `seed`. Without one it is the number of the
    layer's node in its graph, so that the layers of a network differ and every run is the same.

    `step` counts the masks.
    """

    _made = itertools.count()

    def __init__(self, p: float = 0.5, *, seed: int | None = None) -> None:
        super().__init__()
        self.p = number("Dropout", "p", p)
        if not 0 <= self.p <= 1:
            raise ValueError(f"Dropout: p must be from 0 to 1, got {p}")
        self._seed_is_given = seed is not None
        self.seed = next(self._made) if seed is None else integer("Dropout", "seed", seed)
        self.step = 0
        # While steps are captured: the number of a mask is this int and the array's element together.
        self._captured: tuple[int, DeviceArray] | None = None
        self._training = False

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._training = training
        if not training:
            return inputs[0]
        self.step += 1
        return ops.dropout(inputs[0], self.p, **self._mask())

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        if not self._training:
            return (dy,)
        return (ops.dropout_backward(dy, self.p, **self._mask()),)

    def _mask(self) -> dict[str, Any]:
        if self._captured is None:
            return {"seed": self.seed, "offset": self.step}
        ahead, counter = self._captured
        return {"seed": self.seed, "offset": ahead % 2**64, "device_offset": counter}

    def begin_capture(self, steps: int, counter: DeviceArray) -> None:
        self._captured = self.step - steps, counter

    def replayed(self, steps: int) -> None:
        if self._captured is not None:
            self.step = steps + self._captured[0]

    def end_capture(self) -> None:
        self._captured = None

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def place(self, number: int) -> None:
        if not self._seed_is_given:
            self.seed = number

    def counters(self) -> dict[str, int]:
        return {"step": self.step}

    def set_counters(self, counters: dict[str, int]) -> None:
        self.step = counters["step"]
