"""Dropout as a layer."""

from __future__ import annotations

from dipkernels import ops
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray


class Dropout(Layer):
    """In training sets elements to zero with probability p and scales the others by 1/(1 − p); otherwise y = x.

    Every forward in training takes the next mask of `seed`; layers of one network need different seeds.
    """

    def __init__(self, p: float = 0.5, *, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be at least 0 and below 1, got {p}")
        self.p, self.seed, self.step = p, seed, 0
        self._training = False

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._training = training
        if not training:
            return inputs[0]
        self.step += 1
        return ops.dropout(inputs[0], self.p, seed=self.seed, offset=self.step)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        if not self._training:
            return (dy,)
        return (ops.dropout_backward(dy, self.p, seed=self.seed, offset=self.step),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def counters(self) -> dict[str, int]:
        return {"step": self.step}

    def set_counters(self, counters: dict[str, int]) -> None:
        self.step = counters["step"]
