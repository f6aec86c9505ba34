"""Layers that move numbers and compute none: feature vectors, edges, frames."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dipkernels import ops
from dipkernels.arguments import integer
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


class Frame(Layer):
    """One frame of every clip, (N, C, D, H, W) to (N, C, H, W); a negative `index` counts from the end.

    ValueError, in a graph, for a frame that its clips do not have.
    """

    def __init__(self, index: int = 0) -> None:
        super().__init__()
        self.index = integer("Frame", "index", index)
        self._shape: Shape | None = None

    def _cut(self, frames: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """What is cut off a clip whose frames are rows, before and behind the one."""
        before = self.index % frames
        return (-before, before + 1 - frames), (0, 0)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        n, channels, frames, *size = self._shape = tuple(inputs[0].shape)
        rows = inputs[0].reshape((n, channels, frames, math.prod(size)))
        return ops.pad2d(rows, self._cut(frames)).reshape((n, channels, *size))

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        n, channels, frames, *size = self._saved(self._shape)
        row = dy.reshape((n, channels, 1, math.prod(size)))
        return (ops.pad2d_backward(row, self._cut(frames)).reshape((n, channels, frames, *size)),)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 4:
            raise ValueError(f"Frame: needs an input (C, D, H, W), got {shapes[0]}")
        channels, frames, *size = shapes[0]
        if not -frames <= self.index < frames:
            raise ValueError(f"Frame: index must be from {-frames} to {frames - 1}, got {self.index}")
        return channels, *size

    def receptive_field(self, sizes: Sequence[int], jumps: Sequence[int]) -> tuple[list[int], list[int]]:
        return list(sizes[-2:]), list(jumps[-2:])
