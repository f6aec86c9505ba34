"""Pooling layers; arguments as the functions of the same names in `ops`, x (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels import ops
from dipkernels.arguments import choice, flag
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.windows import layer_padding, positive_pair, window_output
from dipkernels.ops.backend import FloatArray, IndexArray
from dipkernels.ops.geometry import Padding, Pair, Rounding


class _Pool2d(Layer):
    _remembered: tuple[str, ...] = ("_x",)
    dilation = (1, 1)

    def __init__(
        self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, rounding: Rounding = "exact"
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = positive_pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else positive_pair(name, "stride", stride)
        self.padding: Padding = layer_padding(name, padding)
        choice(name, "rounding", rounding, ("exact", "floor", "ceil"))
        self.rounding: Rounding = rounding
        self._x: FloatArray | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        name = type(self).__name__
        if len(shapes[0]) != 3:
            raise ValueError(f"{name}: needs an input (C, H, W), got {shapes[0]}")
        channels, *size = shapes[0]
        window = self.kernel_size, self.stride, self.padding, self.dilation, self.rounding
        return channels, *window_output(name, size, *window)

    def receptive_field(self, sizes: Sequence[int], jump: int) -> tuple[list[int], int]:
        grown = [s + jump * d * (f - 1) for s, f, d in zip(sizes, self.kernel_size, self.dilation, strict=True)]
        return grown, jump * max(self.stride)


class MaxPool2d(_Pool2d):
    """The maxima of the windows. `indices` has their positions and `input_size` the size of x, as `MaxUnpool2d` takes
    them.
    """

    _remembered = ("_x", "indices")
    indices: IndexArray | None = None
    input_size: tuple[int, int] | None = None

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        rounding: Rounding = "exact",
        dilation: Pair = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding, rounding)
        self.dilation = positive_pair("MaxPool2d", "dilation", dilation)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        self.input_size = self._x.shape[2], self._x.shape[3]
        y, self.indices = ops.max_pool2d_with_indices(
            self._x, self.kernel_size, self.stride, self.padding, self.dilation, rounding=self.rounding
        )
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.max_pool2d_backward(dy, self._saved(self.indices), self._saved(self._x).shape),)

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = super().output_shape(*shapes)
        self.input_size = shapes[0][1], shapes[0][2]
        return shape


class AvgPool2d(_Pool2d):
    """The means of the windows; with `count_include_pad=False` of what in them is not padding."""

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        rounding: Rounding = "exact",
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, rounding)
        self.count_include_pad = flag("AvgPool2d", "count_include_pad", count_include_pad)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        window = self.kernel_size, self.stride, self.padding, self.count_include_pad
        return ops.avg_pool2d(self._x, *window, rounding=self.rounding)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        window = self.kernel_size, self.stride, self.padding, self.count_include_pad
        return (ops.avg_pool2d_backward(dy, self._saved(self._x).shape, *window, rounding=self.rounding),)


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


class GlobalAvgPool2d(Layer):
    """The mean of every plane, whatever its size: (N, C, H, W) to (N, C)."""

    _remembered = ("_shape",)
    _shape: tuple[int, ...] | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._shape = tuple(inputs[0].shape)
        return ops.avg_pool2d(inputs[0], self._shape[2:]).reshape(self._shape[:2])

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        shape = self._saved(self._shape)
        return (ops.avg_pool2d_backward(dy.reshape((*shape[:2], 1, 1)), shape, shape[2:]),)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 3:
            raise ValueError(f"GlobalAvgPool2d: needs an input (C, H, W), got {shapes[0]}")
        return (shapes[0][0],)

    def receptive_field(self, sizes: Sequence[int], jump: int) -> tuple[list[int], int]:
        return [2**62] * 2, jump
