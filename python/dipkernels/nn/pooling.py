"""Pooling layers; arguments as the functions of the same names in `ops`, x (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels import ops
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray, IndexArray
from dipkernels.ops.geometry import Padding, Pair, Rounding, padding_pairs, pair


class _Pool2d(Layer):
    _remembered: tuple[str, ...] = ("_x",)

    def __init__(
        self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, rounding: Rounding = "exact"
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride)
        self.padding, self.rounding = padding_pairs(name, padding), rounding
        self._x: FloatArray | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, *size = shapes[0]
        height, width = (
            ops.output_size(n, f, s, p, rounding=self.rounding)
            for n, f, s, p in zip(size, self.kernel_size, self.stride, self.padding, strict=True)
        )
        return channels, height, width

    def receptive_field(self, sizes: Sequence[int], jump: int) -> tuple[list[int], int]:
        return [s + jump * (f - 1) for s, f in zip(sizes, self.kernel_size, strict=True)], jump * max(self.stride)


class MaxPool2d(_Pool2d):
    """The maxima of the windows. `indices` has their positions, as `MaxUnpool2d` takes them."""

    _remembered = ("_x", "indices")
    indices: IndexArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        y, self.indices = ops.max_pool2d_with_indices(
            self._x, self.kernel_size, self.stride, self.padding, rounding=self.rounding
        )
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.max_pool2d_backward(dy, self._saved(self.indices), self._saved(self._x).shape),)


class AvgPool2d(_Pool2d):
    """The means of the windows."""

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        return ops.avg_pool2d(self._x, self.kernel_size, self.stride, self.padding, rounding=self.rounding)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        size = self._saved(self._x).shape
        return (ops.avg_pool2d_backward(dy, size, self.kernel_size, self.stride, self.padding, rounding=self.rounding),)


class SumPool2d(_Pool2d):
    """The sums of the windows."""

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        return ops.sum_pool2d(self._x, self.kernel_size, self.stride, self.padding, rounding=self.rounding)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        size = self._saved(self._x).shape
        return (ops.sum_pool2d_backward(dy, size, self.kernel_size, self.stride, self.padding, rounding=self.rounding),)


class L2Pool2d(_Pool2d):
    """The roots of the sums of squares of the windows."""

    _remembered = ("_x", "_y")
    _y: FloatArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        self._y = ops.l2_pool2d(self._x, self.kernel_size, self.stride, self.padding, rounding=self.rounding)
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        x, y = self._saved(self._x), self._saved(self._y)
        return (ops.l2_pool2d_backward(dy, x, y, self.kernel_size, self.stride, self.padding, rounding=self.rounding),)
