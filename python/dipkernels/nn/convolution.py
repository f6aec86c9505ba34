"""The convolutional layers, of images and of clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels import cuda, ops
from dipkernels.arguments import choice, flag, integer
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.windows import grown_field, layer_padding, positive_sizes, window_output
from dipkernels.ops.activation import Activation, apply_activation_backward, check_activation
from dipkernels.ops.backend import FloatArray
from dipkernels.ops.geometry import Padding, Padding3d, Rounding


class _Convolution(Layer):
    """What both have: the operators are those of the class's name."""

    _remembered = ("_x", "_y")
    _axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Activation = None,
        rounding: Rounding = "exact",
    ) -> None:
        super().__init__()
        name = type(self).__name__
        in_channels = integer(name, "in_channels", in_channels, 1)
        out_channels = integer(name, "out_channels", out_channels, 1)
        groups = integer(name, "groups", groups, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups must divide in_channels ({in_channels}) and out_channels ({out_channels}), "
                f"got {groups}"
            )
        check_activation(name, activation)
        self.kernel_size: Any = positive_sizes(name, "kernel_size", kernel_size, self._axes)
        self.stride: Any = positive_sizes(name, "stride", stride, self._axes)
        self.dilation: Any = positive_sizes(name, "dilation", dilation, self._axes)
        self.padding: Any = layer_padding(name, padding, self._axes)
        self.rounding: Rounding = (
            "floor" if choice(name, "rounding", rounding, ("exact", "floor")) == "floor" else "exact"
        )
        self.groups, self.activation = groups, activation
        self.parameters["weight"] = np.zeros((out_channels, in_channels // groups, *self.kernel_size), np.float32)
        if flag(name, "bias", bias):
            self.parameters["bias"] = np.zeros(out_channels, np.float32)
        self.initialize(np.random.default_rng(0))
        self._x: FloatArray | None = None
        self._y: FloatArray | None = None

    def _operator(self, of: str = "") -> Any:
        """conv2d or conv3d, or one of its gradients."""
        return getattr(ops, f"{type(self).__name__.lower()}{of}")

    @property
    def geometry(self) -> tuple[Any, Any, Any, int]:
        """stride, padding, dilation and groups, as the operators take them."""
        return self.stride, self.padding, self.dilation, self.groups

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        y: FloatArray = self._operator()(self._x, weight, bias, *self.geometry, self.activation, rounding=self.rounding)
        self._y = y
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        x, weight = self._saved(self._x), self.parameters["weight"]
        dy = apply_activation_backward(dy, self._saved(self._y), self.activation)
        options: dict[str, Any] = {"rounding": self.rounding}
        with cuda.weights_beside():
            to_weight = self._operator("_backward_weight")
            self.gradients["weight"] = to_weight(dy, x, weight.shape, *self.geometry, **options)
            if "bias" in self.parameters:
                self.gradients["bias"] = self._operator("_backward_bias")(dy)
        if not input_gradient:
            return (None,)
        return (self._operator("_backward_data")(dy, weight, x.shape, *self.geometry, **options),)

    def output_shape(self, *shapes: Shape) -> Shape:
        name, (filters, channels) = type(self).__name__, self.parameters["weight"].shape[:2]
        if len(shapes[0]) != 1 + self._axes or shapes[0][0] != channels * self.groups:
            sizes = "H, W" if self._axes == 2 else "D, H, W"
            raise ValueError(f"{name}: needs an input ({channels * self.groups}, {sizes}), got {shapes[0]}")
        window = self.kernel_size, self.stride, self.padding, self.dilation, self.rounding
        return filters, *window_output(name, shapes[0][1:], *window)

    def receptive_field(self, sizes: Sequence[int], jumps: Sequence[int]) -> tuple[list[int], list[int]]:
        return grown_field(sizes, jumps, self.kernel_size, self.stride, self.dilation)

    def fans(self) -> tuple[int, int]:
        filters, channels, *window = self.parameters["weight"].shape
        taps = math.prod(window)
        return channels * taps, filters // self.groups * taps


class Conv2d(_Convolution):
    """y = activation(x ⋆ weight + bias); arguments as `ops.conv2d`, x (N, in_channels, H, W).

    TypeError or ValueError, at once, for what no convolution can be.
    """

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding


class Conv3d(_Convolution):
    """y = activation(x ⋆ weight + bias) of clips; arguments as `ops.conv3d`, x (N, in_channels, D, H, W), D the number
    of frames. Sizes are ints or (depth, height, width).

    TypeError or ValueError, at once, for what no convolution can be. Source: Tran et al. 2015 (C3D).
    """

    _axes = 3
    kernel_size: tuple[int, int, int]
    stride: tuple[int, int, int]
    dilation: tuple[int, int, int]
    padding: Padding3d
