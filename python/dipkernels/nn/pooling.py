"""Pooling layers; arguments as the functions of the same names in `ops`, x (N, C, H, W), of clips (N, C, D, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels import ops
from dipkernels.arguments import choice, flag
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.windows import grown_field, layer_padding, positive_sizes, window_output
from dipkernels.ops.backend import FloatArray, IndexArray
from dipkernels.ops.geometry import Pair, Rounding

_SIZES = {2: "C, H, W", 3: "C, D, H, W"}


class _Pool(Layer):
    _remembered: tuple[str, ...] = ("_x",)
    _axes = 2

    def __init__(
        self, kernel_size: Pair, stride: Pair | None = None, padding: Any = 0, rounding: Rounding = "exact"
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size: Any = positive_sizes(name, "kernel_size", kernel_size, self._axes)
        self.stride: Any = self.kernel_size if stride is None else positive_sizes(name, "stride", stride, self._axes)
        self.dilation: Any = (1,) * self._axes
        self.padding: Any = layer_padding(name, padding, self._axes)
        choice(name, "rounding", rounding, ("exact", "floor", "ceil"))
        self.rounding: Rounding = rounding
        self._x: FloatArray | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        name = type(self).__name__
        if len(shapes[0]) != 1 + self._axes:
            raise ValueError(f"{name}: needs an input ({_SIZES[self._axes]}), got {shapes[0]}")
        channels, *size = shapes[0]
        window = self.kernel_size, self.stride, self.padding, self.dilation, self.rounding
        return channels, *window_output(name, size, *window)

    def receptive_field(self, sizes: Sequence[int], jumps: Sequence[int]) -> tuple[list[int], list[int]]:
        return grown_field(sizes, jumps, self.kernel_size, self.stride, self.dilation)


class _MaxPool(_Pool):
    _remembered = ("_x", "indices")
    indices: IndexArray | None = None
    input_size: tuple[int, ...] | None = None

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Any = 0,
        rounding: Rounding = "exact",
        dilation: Pair = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding, rounding)
        self.dilation = positive_sizes(type(self).__name__, "dilation", dilation, self._axes)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        self.input_size = tuple(self._x.shape[2:])
        pool: Any = ops.max_pool2d_with_indices if self._axes == 2 else ops.max_pool3d_with_indices
        y: FloatArray
        y, self.indices = pool(
            self._x, self.kernel_size, self.stride, self.padding, self.dilation, rounding=self.rounding
        )
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        backward = ops.max_pool2d_backward if self._axes == 2 else ops.max_pool3d_backward
        return (backward(dy, self._saved(self.indices), self._saved(self._x).shape),)

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = super().output_shape(*shapes)
        self.input_size = tuple(shapes[0][1:])
        return shape


class MaxPool2d(_MaxPool):
    """The maxima of the windows. `indices` has their positions and `input_size` the size of x, as `MaxUnpool2d` takes
    them.
    """


class MaxPool3d(_MaxPool):
    """The same of clips, x (N, C, D, H, W); sizes are ints or (depth, height, width). `MaxUnpool3d` undoes it."""

    _axes = 3


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Any = 0,
        rounding: Rounding = "exact",
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, rounding)
        self.count_include_pad = flag(type(self).__name__, "count_include_pad", count_include_pad)

    def _window(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.count_include_pad

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        pool: Any = ops.avg_pool2d if self._axes == 2 else ops.avg_pool3d
        y: FloatArray = pool(self._x, *self._window(), rounding=self.rounding)
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        backward: Any = ops.avg_pool2d_backward if self._axes == 2 else ops.avg_pool3d_backward
        return (backward(dy, self._saved(self._x).shape, *self._window(), rounding=self.rounding),)


class AvgPool2d(_AvgPool):
    """The means of the windows; with `count_include_pad=False` of what in them is not padding."""


class AvgPool3d(_AvgPool):
    """The same of clips, x (N, C, D, H, W); sizes are ints or (depth, height, width)."""

    _axes = 3


class SumPool2d(_Pool):
    """The sums of the windows."""

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        return ops.sum_pool2d(self._x, self.kernel_size, self.stride, self.padding, rounding=self.rounding)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        size = self._saved(self._x).shape
        return (ops.sum_pool2d_backward(dy, size, self.kernel_size, self.stride, self.padding, rounding=self.rounding),)


class L2Pool2d(_Pool):
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


class _GlobalAvgPool(Layer):
    _remembered = ("_shape",)
    _axes = 2
    _shape: tuple[int, ...] | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._shape = tuple(inputs[0].shape)
        pool: Any = ops.avg_pool2d if self._axes == 2 else ops.avg_pool3d
        y: FloatArray = pool(inputs[0], self._shape[2:]).reshape(self._shape[:2])
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        shape = self._saved(self._shape)
        backward: Any = ops.avg_pool2d_backward if self._axes == 2 else ops.avg_pool3d_backward
        return (backward(dy.reshape((*shape[:2], *[1] * self._axes)), shape, shape[2:]),)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 1 + self._axes:
            raise ValueError(f"{type(self).__name__}: needs an input ({_SIZES[self._axes]}), got {shapes[0]}")
        return (shapes[0][0],)

    def receptive_field(self, sizes: Sequence[int], jumps: Sequence[int]) -> tuple[list[int], list[int]]:
        return [2**62] * len(sizes), list(jumps)


class GlobalAvgPool2d(_GlobalAvgPool):
    """The mean of every plane, whatever its size: (N, C, H, W) to (N, C)."""


class GlobalAvgPool3d(_GlobalAvgPool):
    """The mean of every channel of a clip, whatever its size: (N, C, D, H, W) to (N, C)."""

    _axes = 3
