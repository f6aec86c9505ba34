"""Oracles of local response normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["local_response_norm", "local_response_norm_backward"]


def _windows(values: Float64, before: int, after: int) -> Float64:
    """The sum over the channels from c − before to c + after."""
    channels = values.shape[1]
    sums = np.zeros_like(values)
    for c in range(channels):
        sums[:, c] = values[:, max(c - before, 0) : min(c + after, channels - 1) + 1].sum(1)
    return sums


def _scale(x: Float64, size: int, alpha: float, k: float) -> Float64:
    return k + alpha / size * _windows(x**2, size // 2, (size - 1) // 2)


def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Float64:
    """x/s^β with s = k + alpha/size·Σ x²."""
    x = np.asarray(x, np.float64)
    normalized: Float64 = x / _scale(x, size, alpha, k) ** beta
    return normalized


def local_response_norm_backward(
    dy: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Float64:
    """What x's own result gives, and what the results whose windows it is in do."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    s = _scale(x, size, alpha, k)
    of_others = _windows(dy * x / s ** (beta + 1), (size - 1) // 2, size // 2)
    gradient: Float64 = dy / s**beta - 2 * alpha / size * beta * x * of_others
    return gradient
