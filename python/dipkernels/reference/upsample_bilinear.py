"""Oracles of bilinear interpolation: a matrix for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64, pair

__all__ = ["upsample_bilinear2d", "upsample_bilinear2d_backward"]


def _weights(small: int, large: int, align_corners: bool) -> Float64:
    """How much of each of the `small` elements is in each of the `large` ones."""
    weights = np.zeros((large, small))
    for o in range(large):
        if align_corners:
            source = o * (small - 1) / (large - 1) if large > 1 else 0.0
        else:
            source = max((o + 0.5) * small / large - 0.5, 0.0)
        first = min(int(source), small - 1)
        weights[o, first] += 1 - (source - first)
        weights[o, min(first + 1, small - 1)] += source - first
    return weights


def upsample_bilinear2d(x: Any, scale_factor: Any = None, *, size: Any = None, align_corners: bool = False) -> Float64:
    """Between the rows, and between the columns."""
    x = np.asarray(x, np.float64)
    if size is None:
        size = [n * s for n, s in zip(x.shape[2:], pair(scale_factor), strict=True)]
    rows, columns = (_weights(n, m, align_corners) for n, m in zip(x.shape[2:], size, strict=True))
    return np.einsum("hi,ncij,wj->nchw", rows, x, columns)


def upsample_bilinear2d_backward(
    dy: Any, scale_factor: Any = None, *, input_size: Sequence[int] | None = None, align_corners: bool = False
) -> Float64:
    """The same matrices, transposed."""
    dy = np.asarray(dy, np.float64)
    small = (
        [n // s for n, s in zip(dy.shape[2:], pair(scale_factor), strict=True)]
        if input_size is None
        else list(input_size)
    )
    rows, columns = (_weights(n, m, align_corners) for n, m in zip(small, dy.shape[2:], strict=True))
    return np.einsum("hi,nchw,wj->ncij", rows, dy, columns)
