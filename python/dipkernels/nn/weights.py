"""Numbers that are learned and depend on no input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipkernels.arguments import integer
from dipkernels.checks import array, checked
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray, assign


class Weights(Layer):
    """`count` learned numbers, (count,), whatever the input is: as an output of a network, a loss can read and train
    them. `start` is what they begin with, one for all or one each.

    TypeError or ValueError for what cannot be that. Source: Kendall, Gal, Cipolla 2018: learned log-variances of tasks.
    """

    @checked(start=array("*"))
    def __init__(self, count: int, start: float | Sequence[float] = 0.0) -> None:
        super().__init__()
        count = integer("Weights", "count", count, 1)
        values = np.asarray(start, np.float32)
        if values.shape not in ((), (count,)) or not np.isfinite(values).all():
            raise ValueError(f"Weights: start must be a finite number, or one for each of {count}, got {start!r}")
        self._start = np.broadcast_to(values, count).copy()
        self.parameters["values"] = self._start.copy()

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        return self.parameters["values"]

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        self.gradients["values"] = dy
        return (None,)

    def output_shape(self, *shapes: Shape) -> Shape:
        return (len(self._start),)

    def initialize(self, rng: np.random.Generator, initializer: str = "he_normal") -> None:
        assign(self.parameters["values"], self._start)
