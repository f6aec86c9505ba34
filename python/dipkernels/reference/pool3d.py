"""Oracles of pooling and unpooling of clips: those of images, over one more axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.reference.geometry import Float64
from dipkernels.reference.max_pool import pool_maxima
from dipkernels.reference.pool import avg_pool2d, avg_pool2d_backward
from dipkernels.reference.unpool import size_before_pooling, unpooled, unpooled_backward

__all__ = [
    "avg_pool3d",
    "avg_pool3d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "max_pool3d_with_indices",
    "max_unpool3d",
    "max_unpool3d_backward",
]


def max_pool3d_with_indices(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    rounding: str = "exact",
) -> tuple[Float64, npt.NDArray[np.int64]]:
    """Window by window: the first NaN, or else the first maximum, and its flat position in the volume."""
    return pool_maxima(x, kernel_size, stride, padding, dilation, rounding, axes=3)


def max_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    rounding: str = "exact",
) -> Float64:
    """The largest element of every window."""
    return max_pool3d_with_indices(x, kernel_size, stride, padding, dilation, rounding=rounding)[0]


def max_pool3d_backward(dy: Any, indices: Any, input_size: Sequence[int]) -> Float64:
    """dy to the stored positions, added up."""
    return unpooled(dy, indices, tuple(input_size)[-3:])


def max_unpool3d(
    y: Any,
    indices: Any,
    kernel_size: Any = None,
    stride: Any = None,
    padding: Any = 0,
    *,
    output_size: Sequence[int] | None = None,
) -> Float64:
    """Every element added at its stored position."""
    if output_size is None:
        output_size = size_before_pooling(np.shape(y)[2:], kernel_size, stride, padding)
    return unpooled(y, indices, tuple(output_size)[-3:])


def max_unpool3d_backward(dy: Any, indices: Any) -> Float64:
    """dy at the stored positions."""
    return unpooled_backward(dy, indices)


def avg_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    count_include_pad: bool = True,
    *,
    rounding: str = "exact",
) -> Float64:
    """The mean of every window."""
    return avg_pool2d(x, kernel_size, stride, padding, count_include_pad, rounding=rounding)


def avg_pool3d_backward(
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
    return avg_pool2d_backward(dy, input_size, kernel_size, stride, padding, count_include_pad, rounding=rounding)
