"""Oracles of the fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.activation import apply_activation
from dipkernels.reference.geometry import Float64

__all__ = ["linear", "linear_backward", "linear_backward_bias", "linear_backward_data", "linear_backward_weight"]


def linear(x: Any, weight: Any, bias: Any = None, activation: Any = None) -> Float64:
    """activation(x·weightᵀ + bias)."""
    y = np.asarray(x, np.float64) @ np.asarray(weight, np.float64).T
    return apply_activation(y if bias is None else y + np.asarray(bias, np.float64), activation)


def linear_backward_data(dy: Any, weight: Any) -> Float64:
    """dy · weight."""
    return np.asarray(dy, np.float64) @ np.asarray(weight, np.float64)


def linear_backward_weight(dy: Any, x: Any) -> Float64:
    """dyᵀ · x."""
    return np.asarray(dy, np.float64).T @ np.asarray(x, np.float64)


def linear_backward_bias(dy: Any) -> Float64:
    """Σ dy over the batch."""
    return np.asarray(dy, np.float64).sum(0)


def linear_backward(dy: Any, x: Any, weight: Any) -> tuple[Float64, Float64, Float64]:
    """(dx, dweight, dbias)."""
    return linear_backward_data(dy, weight), linear_backward_weight(dy, x), linear_backward_bias(dy)
