"""Oracles of the activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.reference.geometry import Float64

__all__ = [
    "elu",
    "elu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "maxout",
    "maxout_backward",
    "maxout_with_indices",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "step",
    "step_backward",
    "tanh",
    "tanh_backward",
]


def _where_flat(dy: Any, y: Any, flat: Any) -> Float64:
    """dy; 0 where `flat`, whatever dy; NaN where y is NaN."""
    y = np.asarray(y, np.float64)
    return np.where(np.isnan(y), y, np.where(flat, 0.0, np.asarray(dy, np.float64)))


def step(x: Any) -> Float64:
    """1 where x > 0, else 0."""
    x = np.asarray(x, np.float64)
    return np.where(np.isnan(x), x, (x > 0).astype(np.float64))


def step_backward(dy: Any, y: Any) -> Float64:
    """Zero."""
    return _where_flat(dy, y, np.ones(np.shape(y), bool))


def sigmoid(x: Any) -> Float64:
    """1/(1 + e^−x), from e^−|x| so that nothing overflows."""
    x = np.asarray(x, np.float64)
    e = np.exp(-np.abs(x))
    return np.where(x > 0, 1 / (1 + e), e / (1 + e))


def sigmoid_backward(dy: Any, y: Any) -> Float64:
    """dy·y·(1 − y)."""
    y = np.asarray(y, np.float64)
    return np.asarray(dy, np.float64) * y * (1 - y)


def tanh(x: Any) -> Float64:
    """The hyperbolic tangent."""
    return np.tanh(np.asarray(x, np.float64))


def tanh_backward(dy: Any, y: Any) -> Float64:
    """dy·(1 − y²)."""
    y = np.asarray(y, np.float64)
    return np.asarray(dy, np.float64) * (1 - y * y)


def relu(x: Any) -> Float64:
    """max(0, x)."""
    return np.maximum(np.asarray(x, np.float64), 0.0)


def relu_backward(dy: Any, y: Any) -> Float64:
    """dy where y > 0."""
    return _where_flat(dy, y, np.asarray(y) <= 0)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Float64:
    """x, below zero negative_slope·x."""
    x = np.asarray(x, np.float64)
    return np.where(x < 0, np.float64(np.float32(negative_slope)) * x, x)


def leaky_relu_backward(dy: Any, y: Any, negative_slope: float = 0.01) -> Float64:
    """dy where y > 0, else negative_slope·dy."""
    y, slope = np.asarray(y, np.float64), np.float64(np.float32(negative_slope))
    return np.asarray(dy, np.float64) * np.where(y > 0, 1.0, np.where(y <= 0, slope, y))


def elu(x: Any, alpha: float = 1.0) -> Float64:
    """x, below zero alpha·(eˣ − 1)."""
    x = np.asarray(x, np.float64)
    return np.where(x < 0, np.float64(np.float32(alpha)) * np.expm1(np.minimum(x, 0)), x)


def elu_backward(dy: Any, y: Any, alpha: float = 1.0) -> Float64:
    """dy where y > 0, else dy·(y + alpha)."""
    y = np.asarray(y, np.float64)
    return np.asarray(dy, np.float64) * np.where(y > 0, 1.0, y + np.float64(np.float32(alpha)))


def apply_activation(x: Float64, activation: Any) -> Float64:
    """The activation of a fused operator: None, a name, or (name, parameter)."""
    if activation is None:
        return x
    name, *parameter = (activation,) if isinstance(activation, str) else activation
    functions = {
        "step": step,
        "sigmoid": sigmoid,
        "tanh": tanh,
        "relu": relu,
        "leaky_relu": leaky_relu,
        "elu": elu,
    }
    result: Float64 = functions[name](x, *parameter)
    return result


def maxout_with_indices(x: Any, pieces: int) -> tuple[Float64, npt.NDArray[np.int64]]:
    """The largest of `pieces` neighbouring channels, and which of them."""
    x = np.asarray(x, np.float64)
    parts = x.reshape(x.shape[0], x.shape[1] // pieces, pieces, *x.shape[2:])
    indices = parts.argmax(2)  # the first maximum; the first NaN before every number
    return np.take_along_axis(parts, indices[:, :, None], 2)[:, :, 0], indices


def maxout(x: Any, pieces: int) -> Float64:
    """The largest of `pieces` neighbouring channels."""
    return maxout_with_indices(x, pieces)[0]


def maxout_backward(dy: Any, indices: Any, pieces: int) -> Float64:
    """dy to the channel that was largest."""
    dy, indices = np.asarray(dy, np.float64), np.asarray(indices)
    dx = np.zeros((*dy.shape[:2], pieces, *dy.shape[2:]))
    np.put_along_axis(dx, indices[:, :, None].astype(np.int64), dy[:, :, None], 2)
    return dx.reshape(dy.shape[0], dy.shape[1] * pieces, *dy.shape[2:])
