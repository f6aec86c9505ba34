"""Oracles of average, sum and L2 pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64, Windows

__all__ = ["avg_pool2d", "avg_pool2d_backward", "l2_pool2d", "l2_pool2d_backward", "sum_pool2d", "sum_pool2d_backward"]


def _windows(size: Sequence[int], kernel_size: Any, stride: Any, padding: Any, rounding: str) -> Windows:
    strides = kernel_size if stride is None else stride
    return Windows(tuple(size), kernel_size, strides, padding, 1, rounding, axes=len(size) - 2)


def _sum(x: Float64, windows: Windows, padding: float = 0.0) -> Float64:
    padded = windows.pad(x, padding)
    y = np.zeros((*x.shape[:2], *windows.output))
    for tap in windows.taps():
        y += padded[tap]
    return y


def _spread(dy: Float64, size: Sequence[int], windows: Windows) -> Float64:
    dx = windows.pad(np.zeros(tuple(size)))
    for tap in windows.taps():
        dx[tap] += dy
    return windows.crop(dx)


def _divisor(windows: Windows, count_include_pad: bool) -> Any:
    """How many places of each window lie in x, or in x and its padding."""
    return _sum(np.ones((1, 1, *windows.size)), windows, 1.0 if count_include_pad else 0.0)


def sum_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *, rounding: str = "exact") -> Float64:
    """The sum of every window."""
    x = np.asarray(x, np.float64)
    return _sum(x, _windows(x.shape, kernel_size, stride, padding, rounding))


def sum_pool2d_backward(
    dy: Any,
    input_size: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    *,
    rounding: str = "exact",
) -> Float64:
    """dy onto every element of its window."""
    windows = _windows(input_size, kernel_size, stride, padding, rounding)
    return _spread(np.asarray(dy, np.float64), input_size, windows)


def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    count_include_pad: bool = True,
    *,
    rounding: str = "exact",
) -> Float64:
    """The mean of every window."""
    x = np.asarray(x, np.float64)
    windows = _windows(x.shape, kernel_size, stride, padding, rounding)
    result: Float64 = _sum(x, windows) / _divisor(windows, count_include_pad)
    return result


def avg_pool2d_backward(
    dy: Any,
    input_size: Sequence[int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    count_include_pad: bool = True,
    *,
    rounding: str = "exact",
) -> Float64:
    """dy, divided as its window was, onto every element of it."""
    windows = _windows(input_size, kernel_size, stride, padding, rounding)
    return _spread(np.asarray(dy, np.float64) / _divisor(windows, count_include_pad), input_size, windows)


def l2_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *, rounding: str = "exact") -> Float64:
    """The root of the sum of squares of every window."""
    x = np.asarray(x, np.float64)
    return np.sqrt(_sum(x * x, _windows(x.shape, kernel_size, stride, padding, rounding)))


def l2_pool2d_backward(
    dy: Any,
    x: Any,
    y: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    *,
    rounding: str = "exact",
) -> Float64:
    """dy·x/y, 0 where y is 0."""
    dy, x, y = (np.asarray(a, np.float64) for a in (dy, x, y))
    ratio = np.divide(dy, y, out=np.zeros_like(dy), where=y != 0)
    return x * _spread(ratio, x.shape, _windows(x.shape, kernel_size, stride, padding, rounding))
