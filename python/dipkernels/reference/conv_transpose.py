"""Oracles of the transposed 2-D convolution, by its own definition: every x is spread over y by its filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dipkernels.reference.activation import apply_activation
from dipkernels.reference.geometry import Float64, padding_pairs, pair

__all__ = [
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_backward_bias",
    "conv_transpose2d_backward_data",
    "conv_transpose2d_backward_weight",
]


class _Spread:
    """Where the tap (r, s) of x[i, j] comes to lie in y, for every geometry."""

    def __init__(
        self, x: Sequence[int], taps: Sequence[int], stride: Any, padding: Any, output_padding: Any, dilation: Any
    ) -> None:
        self.x, self.taps = tuple(x), tuple(taps)
        self.stride, self.dilation = pair(stride), pair(dilation)
        self.padding = padding_pairs(padding)
        more = pair(output_padding)
        self.y = tuple(
            (self.x[a] - 1) * self.stride[a] - sum(self.padding[a]) + more[a] + self._span(a) for a in range(2)
        )

    def _span(self, axis: int) -> int:
        return self.dilation[axis] * (self.taps[axis] - 1) + 1

    def meetings(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """r, s, i, j, and the row and column of y that x[i, j] meets with this tap."""
        for r, s, i, j in np.ndindex(*self.taps, *self.x):
            row = i * self.stride[0] + r * self.dilation[0] - self.padding[0][0]
            column = j * self.stride[1] + s * self.dilation[1] - self.padding[1][0]
            if 0 <= row < self.y[0] and 0 <= column < self.y[1]:
                yield r, s, i, j, row, column


def _grouped(weight_size: Sequence[int], groups: int) -> list[tuple[slice, slice]]:
    """For each group, the channels of x and those of y."""
    ins, outs = weight_size[0] // groups, weight_size[1]
    return [(slice(g * ins, (g + 1) * ins), slice(g * outs, (g + 1) * outs)) for g in range(groups)]


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    activation: Any = None,
) -> Float64:
    """y[n, k, row, column] = Σ x · weight over all that comes to lie there, plus bias, through the activation."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    spread = _Spread(x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation)
    y = np.zeros((x.shape[0], weight.shape[1] * groups, *spread.y))
    for ins, outs in _grouped(weight.shape, groups):
        for r, s, i, j, row, column in spread.meetings():
            y[:, outs, row, column] += x[:, ins, i, j] @ weight[ins, :, r, s]
    if bias is not None:
        y += np.asarray(bias, np.float64)[:, None, None]
    return apply_activation(y, activation)


def conv_transpose2d_backward_data(
    dy: Any,
    weight: Any,
    input_size: Sequence[int],
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Float64:
    """Every x gets back dy from where it went, times the weight it went by."""
    dy, weight = np.asarray(dy, np.float64), np.asarray(weight, np.float64)
    spread = _Spread(tuple(input_size)[2:], weight.shape[2:], stride, padding, output_padding, dilation)
    dx = np.zeros(tuple(input_size))
    for ins, outs in _grouped(weight.shape, groups):
        for r, s, i, j, row, column in spread.meetings():
            dx[:, ins, i, j] += dy[:, outs, row, column] @ weight[ins, :, r, s].T
    return dx


def conv_transpose2d_backward_weight(
    dy: Any,
    x: Any,
    weight_size: Sequence[int],
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Float64:
    """The gradient of every meeting, summed into the one set of weights."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    spread = _Spread(x.shape[2:], tuple(weight_size)[2:], stride, padding, output_padding, dilation)
    dweight = np.zeros(tuple(weight_size))
    for ins, outs in _grouped(weight_size, groups):
        for r, s, i, j, row, column in spread.meetings():
            dweight[ins, :, r, s] += x[:, ins, i, j].T @ dy[:, outs, row, column]
    return dweight


def conv_transpose2d_backward_bias(dy: Any) -> Float64:
    """Σ dy over images and positions."""
    sums: Float64 = np.asarray(dy, np.float64).sum((0, 2, 3))
    return sums


def conv_transpose2d_backward(
    dy: Any,
    x: Any,
    weight: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> tuple[Float64, Float64, Float64]:
    """All three."""
    geometry = (stride, padding, output_padding, groups, dilation)
    return (
        conv_transpose2d_backward_data(dy, weight, np.shape(x), *geometry),
        conv_transpose2d_backward_weight(dy, x, np.shape(weight), *geometry),
        conv_transpose2d_backward_bias(dy),
    )
