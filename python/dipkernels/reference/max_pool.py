"""Oracles of max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.reference.geometry import Float64, Windows
from dipkernels.reference.unpool import max_unpool2d

__all__ = ["max_pool2d", "max_pool2d_backward", "max_pool2d_with_indices"]


def max_pool2d_with_indices(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    rounding: str = "exact",
) -> tuple[Float64, npt.NDArray[np.int64]]:
    """Window by window: the first NaN, or else the first maximum, and its flat position in the plane."""
    return pool_maxima(x, kernel_size, stride, padding, dilation, rounding, axes=2)


def pool_maxima(
    x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, rounding: str, axes: int
) -> tuple[Float64, npt.NDArray[np.int64]]:
    """Of images or clips: the first NaN, or else the first maximum, and its flat position in the channel."""
    x = np.asarray(x, np.float64)
    strides = kernel_size if stride is None else stride
    windows = Windows(x.shape, kernel_size, strides, padding, dilation, rounding, axes)
    y = np.full((*x.shape[:2], *windows.output), -np.inf)
    indices = np.full(y.shape, -1)
    positions = np.arange(int(np.prod(windows.size))).reshape(windows.size)
    for _, outputs, inputs in windows.meetings():
        to_y: Any = (..., *outputs)
        from_x: Any = (..., *inputs)
        best, at, value = y[to_y], indices[to_y], x[from_x]
        wins = (at < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best))
        best[wins], at[wins] = value[wins], np.broadcast_to(positions[inputs], at.shape)[wins]
    return y, indices


def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    rounding: str = "exact",
) -> Float64:
    """The largest element of every window."""
    return max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, rounding=rounding)[0]


def max_pool2d_backward(dy: Any, indices: Any, input_size: Sequence[int]) -> Float64:
    """dy to the stored positions, added up."""
    return max_unpool2d(dy, indices, output_size=tuple(input_size)[-2:])
