"""The convolutional layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels import cuda, ops
from dipkernels.arguments import choice, flag, integer
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.windows import layer_padding, positive_pair, window_output
from dipkernels.ops.activation import Activation, apply_activation_backward, check_activation
from dipkernels.ops.backend import FloatArray
from dipkernels.ops.geometry import Padding, Pair, Rounding


class Conv2d(Layer):
    """y = activation(x ⋆ weight + bias); arguments as `ops.conv2d`, x (N, in_channels, H, W).

    TypeError or ValueError, at once, for what no convolution can be.
    """

    _remembered = ("_x", "_y")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Activation = None,
        rounding: Rounding = "exact",
    ) -> None:
        super().__init__()
        in_channels = integer("Conv2d", "in_channels", in_channels, 1)
        out_channels = integer("Conv2d", "out_channels", out_channels, 1)
        groups = integer("Conv2d", "groups", groups, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups must divide in_channels ({in_channels}) and out_channels ({out_channels}), "
                f"got {groups}"
            )
        check_activation("Conv2d", activation)
        self.kernel_size = positive_pair("Conv2d", "kernel_size", kernel_size)
        self.stride = positive_pair("Conv2d", "stride", stride)
        self.dilation = positive_pair("Conv2d", "dilation", dilation)
        self.padding: Padding = layer_padding("Conv2d", padding)
        self.rounding: Rounding = (
            "floor" if choice("Conv2d", "rounding", rounding, ("exact", "floor")) == "floor" else "exact"
        )
        self.groups, self.activation = groups, activation
        self.parameters["weight"] = np.zeros((out_channels, in_channels // groups, *self.kernel_size), np.float32)
        if flag("Conv2d", "bias", bias):
            self.parameters["bias"] = np.zeros(out_channels, np.float32)
        self.initialize(np.random.default_rng(0))
        self._x: FloatArray | None = None
        self._y: FloatArray | None = None

    @property
    def geometry(self) -> tuple[tuple[int, int], Padding, tuple[int, int], int]:
        """stride, padding, dilation and groups, as the operators take them."""
        return self.stride, self.padding, self.dilation, self.groups

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        self._y = ops.conv2d(
            self._x,
            self.parameters["weight"],
            self.parameters.get("bias"),
            *self.geometry,
            self.activation,
            rounding=self.rounding,
        )
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        x, weight = self._saved(self._x), self.parameters["weight"]
        dy = apply_activation_backward(dy, self._saved(self._y), self.activation)
        options: dict[str, Any] = {"rounding": self.rounding}
        with cuda.weights_beside():
            self.gradients["weight"] = ops.conv2d_backward_weight(dy, x, weight.shape, *self.geometry, **options)
            if "bias" in self.parameters:
                self.gradients["bias"] = ops.conv2d_backward_bias(dy)
        if not input_gradient:
            return (None,)
        return (ops.conv2d_backward_data(dy, weight, x.shape, *self.geometry, **options),)

    def output_shape(self, *shapes: Shape) -> Shape:
        filters, channels = self.parameters["weight"].shape[:2]
        if len(shapes[0]) != 3 or shapes[0][0] != channels * self.groups:
            raise ValueError(f"Conv2d: needs an input ({channels * self.groups}, H, W), got {shapes[0]}")
        sizes = window_output(
            "Conv2d", shapes[0][1:], self.kernel_size, self.stride, self.padding, self.dilation, self.rounding
        )
        return filters, *sizes

    def receptive_field(self, sizes: Sequence[int], jump: int) -> tuple[list[int], int]:
        grown = [s + jump * d * (f - 1) for s, f, d in zip(sizes, self.kernel_size, self.dilation, strict=True)]
        return grown, jump * max(self.stride)

    def fans(self) -> tuple[int, int]:
        filters, channels, height, width = self.parameters["weight"].shape
        return channels * height * width, filters // self.groups * height * width
