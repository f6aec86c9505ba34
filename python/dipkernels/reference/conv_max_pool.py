"""Oracles of the convolution followed by max pooling: of the two, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.reference.conv import conv2d, conv2d_backward
from dipkernels.reference.geometry import Float64, Windows
from dipkernels.reference.max_pool import max_pool2d_backward, max_pool2d_with_indices

__all__ = ["conv2d_max_pool2d", "conv2d_max_pool2d_backward"]


def conv2d_max_pool2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: Any = None,
    pool_size: Any = 2,
    *,
    rounding: str = "exact",
) -> tuple[Float64, npt.NDArray[np.int64]]:
    """The maxima of the windows of the convolution, and where they stand."""
    y = conv2d(x, weight, bias, stride, padding, dilation, groups, activation, rounding=rounding)
    return max_pool2d_with_indices(y, pool_size, rounding=rounding)


def conv2d_max_pool2d_backward(
    dy: Any,
    indices: Any,
    x: Any,
    weight: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pool_size: Any = 2,
    *,
    input_gradient: bool = True,
    rounding: str = "exact",
) -> tuple[Float64 | None, Float64, Float64]:
    """(dx, dweight, dbias) of the convolution, with dy where the maxima stood."""
    windows = Windows(np.shape(x), np.shape(weight)[2:], stride, padding, dilation, rounding)
    large = max_pool2d_backward(dy, indices, (*np.shape(dy)[:2], *windows.output))
    dx, dweight, dbias = conv2d_backward(large, x, weight, stride, padding, dilation, groups, rounding=rounding)
    return dx if input_gradient else None, dweight, dbias
