"""Layers that make feature maps larger; x (N, C, H, W)."""

from __future__ import annotations

from dipkernels import ops
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.ops.backend import FloatArray, IndexArray
from dipkernels.ops.geometry import Pair, pair


class MaxUnpool2d(Layer):
    """Puts every element back to where `pool`, an earlier `MaxPool2d` of the same network, found its maximum."""

    _remembered = ("_indices",)

    def __init__(self, pool: MaxPool2d) -> None:
        super().__init__()
        self.pool = pool
        self._indices: IndexArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._indices = self._saved(self.pool.indices)
        return ops.max_unpool2d(inputs[0], self._indices, output_size=self._saved(self.pool._x).shape[2:])

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.max_unpool2d_backward(dy, self._saved(self._indices)),)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, *size = shapes[0]
        height, width = (
            (n - 1) * s + f - sum(p)
            for n, s, f, p in zip(size, self.pool.stride, self.pool.kernel_size, self.pool.padding, strict=True)
        )
        return channels, height, width


class UpsampleNearest2d(Layer):
    """Repeats every element in a block of `scale_factor`."""

    def __init__(self, scale_factor: Pair) -> None:
        super().__init__()
        self.scale_factor = pair("UpsampleNearest2d", "scale_factor", scale_factor)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        return ops.upsample_nearest2d(inputs[0], self.scale_factor)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.upsample_nearest2d_backward(dy, self.scale_factor),)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height * self.scale_factor[0], width * self.scale_factor[1]


class BedOfNails2d(UpsampleNearest2d):
    """Every element at one place, `offset`, of a block of `scale_factor`, zeros elsewhere."""

    def __init__(self, scale_factor: Pair, offset: Pair = 0) -> None:
        super().__init__(scale_factor)
        self.offset = pair("BedOfNails2d", "offset", offset)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        return ops.bed_of_nails2d(inputs[0], self.scale_factor, self.offset)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.bed_of_nails2d_backward(dy, self.scale_factor, self.offset),)
