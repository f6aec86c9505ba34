"""Oracles of the convolution, of images, and what those of clips share with them. A tap on the padding adds nothing,
whatever its weight, infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.activation import apply_activation
from dipkernels.reference.geometry import Float64, Windows

__all__ = ["conv2d", "conv2d_backward", "conv2d_backward_bias", "conv2d_backward_data", "conv2d_backward_weight"]


def _grouped(weight_size: Sequence[int], groups: int) -> list[tuple[slice, slice]]:
    """For each group, its filters and the channels of x they see."""
    filters, channels = weight_size[0] // groups, weight_size[1]
    return [(slice(g * filters, (g + 1) * filters), slice(g * channels, (g + 1) * channels)) for g in range(groups)]


def _places(channels: slice, filters: slice, tap: tuple[int, ...], outputs: Any, inputs: Any) -> tuple[Any, Any, Any]:
    """Where a tap meets x and y, and where it stands in the weights of a group."""
    return (slice(None), channels, *inputs), (slice(None), filters, *outputs), (filters, slice(None), *tap)


def convolve(
    x: Any, weight: Any, bias: Any, activation: Any, geometry: tuple[Any, Any, Any, str], groups: int
) -> Float64:
    """y[n, k] = Σ over channels and taps of weight · x, plus bias, through the activation. `geometry`: stride, padding,
    dilation, rounding.
    """
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    windows = Windows(x.shape, weight.shape[2:], *geometry, x.ndim - 2)
    y = np.zeros((x.shape[0], weight.shape[0], *windows.output))
    for filters, channels in _grouped(weight.shape, groups):
        for tap, outputs, inputs in windows.meetings():
            from_x, to_y, of_tap = _places(channels, filters, tap, outputs, inputs)
            y[to_y] += np.einsum("nc...,kc->nk...", x[from_x], weight[of_tap])
    if bias is not None:
        y += np.asarray(bias, np.float64).reshape(-1, *[1] * (x.ndim - 2))
    return apply_activation(y, activation)


def convolve_backward_data(
    dy: Any, weight: Any, input_size: Sequence[int], geometry: tuple[Any, Any, Any, str], groups: int
) -> Float64:
    """Every dy goes back to the elements it was computed from, times their weight."""
    dy, weight = np.asarray(dy, np.float64), np.asarray(weight, np.float64)
    windows = Windows(tuple(input_size), weight.shape[2:], *geometry, dy.ndim - 2)
    dx = np.zeros(tuple(input_size))
    for filters, channels in _grouped(weight.shape, groups):
        for tap, outputs, inputs in windows.meetings():
            to_x, from_y, of_tap = _places(channels, filters, tap, outputs, inputs)
            dx[to_x] += np.einsum("nk...,kc->nc...", dy[from_y], weight[of_tap])
    return dx


def convolve_backward_weight(
    dy: Any, x: Any, weight_size: Sequence[int], geometry: tuple[Any, Any, Any, str], groups: int
) -> Float64:
    """The gradient of every position, summed into the one set of weights."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    windows = Windows(x.shape, weight_size[2:], *geometry, x.ndim - 2)
    dweight = np.zeros(tuple(weight_size))
    summed = (0, *range(2, x.ndim))
    for filters, channels in _grouped(weight_size, groups):
        for tap, outputs, inputs in windows.meetings():
            from_x, from_y, to_tap = _places(channels, filters, tap, outputs, inputs)
            dweight[to_tap] = np.tensordot(dy[from_y], x[from_x], (summed, summed))
    return dweight


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: Any = None,
    *,
    rounding: str = "exact",
) -> Float64:
    """y[n, k] = Σ over channels and taps of weight · x, plus bias, through the activation."""
    return convolve(x, weight, bias, activation, (stride, padding, dilation, rounding), groups)


def conv2d_backward_data(
    dy: Any,
    weight: Any,
    input_size: Sequence[int],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    rounding: str = "exact",
) -> Float64:
    """Every dy goes back to the elements it was computed from, times their weight."""
    return convolve_backward_data(dy, weight, input_size, (stride, padding, dilation, rounding), groups)


def conv2d_backward_weight(
    dy: Any,
    x: Any,
    weight_size: Sequence[int],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    rounding: str = "exact",
) -> Float64:
    """The gradient of every position, summed into the one set of weights."""
    return convolve_backward_weight(dy, x, weight_size, (stride, padding, dilation, rounding), groups)


def conv2d_backward_bias(dy: Any) -> Float64:
    """Σ dy over images and positions."""
    return np.asarray(dy, np.float64).sum((0, 2, 3))


def conv2d_backward(
    dy: Any,
    x: Any,
    weight: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    rounding: str = "exact",
) -> tuple[Float64, Float64, Float64]:
    """(dx, dweight, dbias)."""
    return (
        conv2d_backward_data(dy, weight, x.shape, stride, padding, dilation, groups, rounding=rounding),
        conv2d_backward_weight(dy, x, weight.shape, stride, padding, dilation, groups, rounding=rounding),
        conv2d_backward_bias(dy),
    )
