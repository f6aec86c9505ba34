"""From feature maps to feature vectors."""

from __future__ import annotations

import math

from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray


class Flatten(Layer):
    """x (N, ...) as (N, features), without a copy where x is contiguous."""

    def __init__(self) -> None:
        super().__init__()
        self._shape: Shape | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._shape = inputs[0].shape
        return inputs[0].reshape((len(inputs[0]), math.prod(self._shape[1:])))

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (dy.reshape(self._saved(self._shape)),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return (math.prod(shapes[0]),)
