"""Oracles of unpooling and upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64, padding_per_axis, pair, per_axis

__all__ = [
    "bed_of_nails2d",
    "bed_of_nails2d_backward",
    "max_unpool2d",
    "max_unpool2d_backward",
    "upsample_nearest2d",
    "upsample_nearest2d_backward",
]


def unpooled(y: Any, indices: Any, size: Sequence[int]) -> Float64:
    """Every element added at its stored position in a channel of this size, (H, W) or (D, H, W)."""
    y, indices = np.asarray(y, np.float64), np.asarray(indices)
    x = np.zeros((*y.shape[:2], int(np.prod(size))))
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            np.add.at(x[n, c], indices[n, c].ravel(), y[n, c].ravel())
    return x.reshape(*y.shape[:2], *size)


def unpooled_backward(dy: Any, indices: Any) -> Float64:
    """dy at the stored positions."""
    dy, indices = np.asarray(dy, np.float64), np.asarray(indices, np.int64)
    flat = dy.reshape(*dy.shape[:2], int(np.prod(dy.shape[2:])))
    places = indices.reshape(*indices.shape[:2], int(np.prod(indices.shape[2:])))
    return np.take_along_axis(flat, places, 2).reshape(indices.shape)


def size_before_pooling(pooled: Sequence[int], kernel_size: Any, stride: Any, padding: Any) -> list[int]:
    """(O − 1)·S + F − P along each axis."""
    axes = len(pooled)
    kernel, steps = per_axis(kernel_size, axes), per_axis(kernel_size if stride is None else stride, axes)
    pads = [sum(side) for side in padding_per_axis(padding, axes)]
    return [(o - 1) * s + f - p for o, s, f, p in zip(pooled, steps, kernel, pads, strict=True)]


def max_unpool2d(
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
    return unpooled(y, indices, tuple(output_size)[-2:])


def max_unpool2d_backward(dy: Any, indices: Any) -> Float64:
    """dy at the stored positions."""
    return unpooled_backward(dy, indices)


def _places(small: int, large: int) -> Any:
    """For each element of the large axis the one of the small axis that it is."""
    return np.arange(large) * small // large


def upsample_nearest2d(x: Any, scale_factor: Any = None, *, size: Any = None) -> Float64:
    """Every element repeated in a block, or where the nearest one of the large plane is it."""
    x = np.asarray(x, np.float64)
    height, width = size or (n * s for n, s in zip(x.shape[2:], pair(scale_factor), strict=True))
    return x[:, :, _places(x.shape[2], height)][:, :, :, _places(x.shape[3], width)]


def upsample_nearest2d_backward(dy: Any, scale_factor: Any = None, *, input_size: Any = None) -> Float64:
    """Σ dy over all places that an element went to."""
    dy = np.asarray(dy, np.float64)
    height, width = input_size or (n // s for n, s in zip(dy.shape[2:], pair(scale_factor), strict=True))
    dx = np.zeros((height, width, *dy.shape[:2]))
    rows, columns = np.meshgrid(_places(height, dy.shape[2]), _places(width, dy.shape[3]), indexing="ij")
    np.add.at(dx, (rows, columns), np.moveaxis(dy, (2, 3), (0, 1)))
    return np.moveaxis(dx, (0, 1), (2, 3))


def bed_of_nails2d(x: Any, scale_factor: Any, offset: Any = 0) -> Float64:
    """Every element at one place of its block."""
    x, (height, width), (row, column) = np.asarray(x, np.float64), pair(scale_factor), pair(offset)
    y = np.zeros((*x.shape[:2], x.shape[2] * height, x.shape[3] * width))
    y[:, :, row::height, column::width] = x
    return y


def bed_of_nails2d_backward(dy: Any, scale_factor: Any, offset: Any = 0) -> Float64:
    """dy at the places of the nails."""
    (height, width), (row, column) = pair(scale_factor), pair(offset)
    return np.asarray(dy, np.float64)[:, :, row::height, column::width]
