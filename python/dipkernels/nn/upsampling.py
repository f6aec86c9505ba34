"""Layers that make feature maps larger; x (N, C, H, W), or of clips (N, C, D, H, W)."""

from __future__ import annotations

from typing import Any

from dipkernels import ops
from dipkernels.arguments import described
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.pooling import MaxPool2d, MaxPool3d
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.backend import FloatArray, IndexArray
from dipkernels.ops.geometry import Pair, pair


class _MaxUnpool(Layer):
    _remembered = ("_indices",)
    _axes = 2

    def __init__(self, pool: MaxPool2d | MaxPool3d) -> None:
        super().__init__()
        name, kind = type(self).__name__, MaxPool2d if self._axes == 2 else MaxPool3d
        if not isinstance(pool, kind):
            raise TypeError(f"{name}: pool must be the {kind.__name__} whose maxima go back, got {described(pool)}")
        self.pool = pool
        self.reads = (pool,)
        self._indices: IndexArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._indices = self._saved(self.pool.indices)
        unpool: Any = ops.max_unpool2d if self._axes == 2 else ops.max_unpool3d
        y: FloatArray = unpool(inputs[0], self._indices, output_size=self._saved(self.pool.input_size))
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        backward = ops.max_unpool2d_backward if self._axes == 2 else ops.max_unpool3d_backward
        return (backward(dy, self._saved(self._indices)),)

    def output_shape(self, *shapes: Shape) -> Shape:
        name = type(self).__name__
        if self.pool.input_size is None:
            raise ValueError(f"{name}: its {type(self.pool).__name__} is no node of this graph")
        pooled = self.pool.output_shape((shapes[0][0], *self.pool.input_size))
        if shapes[0] != pooled:
            raise ValueError(f"{name}: needs an input of the size that was pooled to, {pooled}, got {shapes[0]}")
        return shapes[0][0], *self.pool.input_size


class MaxUnpool2d(_MaxUnpool):
    """Puts every element back to where `pool`, a `MaxPool2d` of the same network, found its maximum.

    The result is as large as the pool's input was; TypeError where `pool` is no `MaxPool2d`.
    """

    pool: MaxPool2d


class MaxUnpool3d(_MaxUnpool):
    """The same of clips, for a `MaxPool3d`."""

    _axes = 3
    pool: MaxPool3d


class _Upsample2d(Layer):
    _remembered = ("_size",)

    def __init__(self, scale_factor: Pair | None = None, size: Pair | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        if (scale_factor is None) == (size is None):
            raise ValueError(f"{name}: give one of scale_factor and size, got {scale_factor!r} and {size!r}")
        self.scale_factor = None if scale_factor is None else positive_pair(name, "scale_factor", scale_factor)
        self.size = None if size is None else positive_pair(name, "size", size)
        self._size: tuple[int, int] | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        if self.scale_factor is None:
            return channels, *(self.size or ())
        return channels, height * self.scale_factor[0], width * self.scale_factor[1]


class UpsampleNearest2d(_Upsample2d):
    """Repeats every element in a block of `scale_factor`, or makes planes of `size`, (height, width)."""

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._size = inputs[0].shape[2], inputs[0].shape[3]
        return ops.upsample_nearest2d(inputs[0], self.scale_factor, size=self.size)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.upsample_nearest2d_backward(dy, input_size=self._saved(self._size)),)


class UpsampleBilinear2d(_Upsample2d):
    """Interpolates between the elements, to `scale_factor` times the size, or to planes of `size`, (height, width)."""

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._size = inputs[0].shape[2], inputs[0].shape[3]
        return ops.upsample_bilinear2d(inputs[0], self.scale_factor, size=self.size)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.upsample_bilinear2d_backward(dy, input_size=self._saved(self._size)),)


class BedOfNails2d(Layer):
    """Every element at one place, `offset`, of a block of `scale_factor`, zeros elsewhere."""

    def __init__(self, scale_factor: Pair, offset: Pair = 0) -> None:
        super().__init__()
        self.scale_factor = positive_pair("BedOfNails2d", "scale_factor", scale_factor)
        self.offset = pair("BedOfNails2d", "offset", offset)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        return ops.bed_of_nails2d(inputs[0], self.scale_factor, self.offset)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.bed_of_nails2d_backward(dy, self.scale_factor, self.offset),)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height * self.scale_factor[0], width * self.scale_factor[1]
