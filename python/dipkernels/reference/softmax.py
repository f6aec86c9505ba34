"""Oracles of softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def log_softmax(x: Any, dim: int = -1) -> Float64:
    """x − log Σ eˣ."""
    x = np.asarray(x, np.float64)
    shifted = x - x.max(dim, keepdims=True)
    result: Float64 = shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))
    return result


def log_softmax_backward(dy: Any, y: Any, dim: int = -1) -> Float64:
    """dy − e^y·Σ dy."""
    dy = np.asarray(dy, np.float64)
    result: Float64 = dy - np.exp(np.asarray(y, np.float64)) * dy.sum(dim, keepdims=True)
    return result


def softmax(x: Any, dim: int = -1) -> Float64:
    """eˣ / Σ eˣ."""
    return np.exp(log_softmax(x, dim))


def softmax_backward(dy: Any, y: Any, dim: int = -1) -> Float64:
    """y·(dy − Σ dy·y)."""
    dy, y = np.asarray(dy, np.float64), np.asarray(y, np.float64)
    result: Float64 = y * (dy - (dy * y).sum(dim, keepdims=True))
    return result
