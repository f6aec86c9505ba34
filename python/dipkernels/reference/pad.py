"""Oracles of padding and cropping."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64, padding_pairs

__all__ = ["pad2d", "pad2d_backward"]


def pad2d(x: Any, padding: Any, value: float = 0.0) -> Float64:
    """Every place of the result that lies in x has its element, every other the value."""
    x = np.asarray(x, np.float64)
    (top, bottom), (left, right) = padding_pairs(padding)
    height, width = x.shape[2:]
    y = np.full((*x.shape[:2], height + top + bottom, width + left + right), float(value))
    for h in range(y.shape[2]):
        for w in range(y.shape[3]):
            if 0 <= h - top < height and 0 <= w - left < width:
                y[:, :, h, w] = x[:, :, h - top, w - left]
    return y


def pad2d_backward(dy: Any, padding: Any) -> Float64:
    """The padding is cropped off, and what was cropped off is zero."""
    return pad2d(dy, tuple((-start, -end) for start, end in padding_pairs(padding)))
