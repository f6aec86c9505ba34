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
    x = np.asarray(x, np.float64)
    windows = Windows(x.shape, kernel_size, kernel_size if stride is None else stride, padding, dilation, rounding)
    (top, _), (left, _) = windows.padding
    height, width = x.shape[2:]
    y = np.full((*x.shape[:2], *windows.output), -np.inf)
    indices = np.full(y.shape, -1)
    for oh in range(windows.output[0]):
        for ow in range(windows.output[1]):
            best, at = y[:, :, oh, ow], indices[:, :, oh, ow]
            for r in range(windows.kernel[0]):
                for s in range(windows.kernel[1]):
                    h = oh * windows.stride[0] + r * windows.dilation[0] - top
                    w = ow * windows.stride[1] + s * windows.dilation[1] - left
                    if not (0 <= h < height and 0 <= w < width):
                        continue
                    value = x[:, :, h, w]
                    wins = (at < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best))
                    best[wins], at[wins] = value[wins], h * width + w
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
