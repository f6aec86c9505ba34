"""The transposed convolution as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from dipkernels import cuda, ops
from dipkernels.arguments import flag, integer
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.activation import Activation, apply_activation_backward, check_activation
from dipkernels.ops.backend import FloatArray
from dipkernels.ops.geometry import Pair, padding_pairs, pair

Both: TypeAlias = tuple[int, int]  # of height and width


class ConvTranspose2d(Layer):
    """Upsampling with learned weights; arguments as `ops.conv_transpose2d`, x (N, in_channels, H, W).

    TypeError or ValueError, at once, for what no transposed convolution can be.
    """

    _remembered = ("_x", "_y")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: int | Sequence[int] | Sequence[Sequence[int]] = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        activation: Activation = None,
    ) -> None:
        super().__init__()
        op = "ConvTranspose2d"
        in_channels, out_channels = (
            integer(op, "in_channels", in_channels, 1),
            integer(op, "out_channels", out_channels, 1),
        )
        groups = integer(op, "groups", groups, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{op}: groups must divide in_channels ({in_channels}) and out_channels ({out_channels}), got {groups}"
            )
        check_activation(op, activation)
        self.kernel_size = positive_pair(op, "kernel_size", kernel_size)
        self.stride = positive_pair(op, "stride", stride)
        self.dilation = positive_pair(op, "dilation", dilation)
        self.padding = padding_pairs(op, padding)
        self.output_padding = pair(op, "output_padding", output_padding)
        if any(not 0 <= more < step for more, step in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"{op}: output_padding must be from 0 to stride - 1, got {output_padding!r}")
        self.groups, self.activation = groups, activation
        self.parameters["weight"] = np.zeros((in_channels, out_channels // groups, *self.kernel_size), np.float32)
        if flag(op, "bias", bias):
            self.parameters["bias"] = np.zeros(out_channels, np.float32)
        self.initialize(np.random.default_rng(0))
        self._x: FloatArray | None = None
        self._y: FloatArray | None = None

    @property
    def geometry(self) -> tuple[Both, tuple[Both, Both], Both, int, Both]:
        """stride, padding, output_padding, groups and dilation, as the operators take them."""
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        self._y = ops.conv_transpose2d(self._x, weight, bias, *self.geometry, self.activation)
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        x, weight = self._saved(self._x), self.parameters["weight"]
        dy = apply_activation_backward(dy, self._saved(self._y), self.activation)
        with cuda.weights_beside():
            self.gradients["weight"] = ops.conv_transpose2d_backward_weight(dy, x, weight.shape, *self.geometry)
            if "bias" in self.parameters:
                self.gradients["bias"] = ops.conv_transpose2d_backward_bias(dy)
        if not input_gradient:
            return (None,)
        return (ops.conv_transpose2d_backward_data(dy, weight, x.shape, *self.geometry),)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, filters = self.parameters["weight"].shape[:2]
        if len(shapes[0]) != 3 or shapes[0][0] != channels:
            raise ValueError(f"ConvTranspose2d: needs an input ({channels}, H, W), got {shapes[0]}")
        sizes = []
        for axis, size in enumerate(shapes[0][1:]):
            span = self.dilation[axis] * (self.kernel_size[axis] - 1) + self.output_padding[axis] + 1
            sizes.append((size - 1) * self.stride[axis] - sum(self.padding[axis]) + span)
        if min(sizes) < 1:
            raise ValueError(f"ConvTranspose2d: padding {self.padding} leaves nothing of an input {shapes[0]}")
        return filters * self.groups, *sizes

    def fans(self) -> tuple[int, int]:
        channels, filters, height, width = self.parameters["weight"].shape
        # An element of y meets only every stride-th tap.
        taps = max(height * width // (self.stride[0] * self.stride[1]), 1)
        return channels // self.groups * taps, filters * taps
