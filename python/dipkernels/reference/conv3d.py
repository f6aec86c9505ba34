"""Oracles of the convolution of clips: those of images, over one more axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.conv import convolve, convolve_backward_data, convolve_backward_weight
from dipkernels.reference.geometry import Float64

__all__ = ["conv3d", "conv3d_backward", "conv3d_backward_bias", "conv3d_backward_data", "conv3d_backward_weight"]


def conv3d(
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


def conv3d_backward_data(
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


def conv3d_backward_weight(
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


def conv3d_backward_bias(dy: Any) -> Float64:
    """Σ dy over clips and positions."""
    return np.asarray(dy, np.float64).sum((0, 2, 3, 4))


def conv3d_backward(
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
        conv3d_backward_data(dy, weight, x.shape, stride, padding, dilation, groups, rounding=rounding),
        conv3d_backward_weight(dy, x, weight.shape, stride, padding, dilation, groups, rounding=rounding),
        conv3d_backward_bias(dy),
    )
