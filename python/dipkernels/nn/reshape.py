"""From feature maps to feature vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dipkernels import ops
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray
from dipkernels.ops.geometry import padding_pairs


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


class Pad2d(Layer):
    """Rows and columns of zeros around x (N, C, H, W), or, where `padding` is below 0, x without some of its own."""

    def __init__(self, padding: int | Sequence[int] | Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.padding = padding_pairs("Pad2d", padding)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        return ops.pad2d(inputs[0], self.padding)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.pad2d_backward(dy, self.padding),)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, *size = shapes[0]
        height, width = (n + sum(sides) for n, sides in zip(size, self.padding, strict=True))
        if min(height, width) < 1:
            raise ValueError(f"Pad2d: padding {self.padding} leaves nothing of an input {shapes[0]}")
        return channels, height, width
