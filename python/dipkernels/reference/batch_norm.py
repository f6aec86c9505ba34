"""Oracles of batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.activation import apply_activation
from dipkernels.reference.geometry import Float64

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_with_stats"]


def _of_channels(values: Any, x: Float64, otherwise: float) -> Float64:
    """One value for each channel, in a shape that goes with x (N, C, …)."""
    array = np.full(x.shape[1], otherwise) if values is None else np.asarray(values, np.float64)
    return array.reshape(1, -1, *[1] * (x.ndim - 2))


def _all_but_channels(x: Float64) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def batch_norm(
    x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, activation: Any = None
) -> Float64:
    """(x − mean)/√(var + eps)·weight + bias, through the activation."""
    x = np.asarray(x, np.float64)
    normalized = (x - _of_channels(mean, x, 0)) / np.sqrt(_of_channels(var, x, 1) + eps)
    return apply_activation(normalized * _of_channels(weight, x, 1) + _of_channels(bias, x, 0), activation)


def batch_norm_with_stats(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Any = None,
) -> tuple[Float64, Float64, Float64]:
    """The same with the batch's own mean and variance, which it returns too."""
    x = np.asarray(x, np.float64)
    if not x.size:
        return x.copy(), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    mean, var = x.mean(_all_but_channels(x)), x.var(_all_but_channels(x))
    if running_mean is not None:
        count = x.size // x.shape[1]
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * count / (count - 1) - running_var)
    return batch_norm(x, mean, var, weight, bias, eps, activation), mean, var


def batch_norm_backward(
    dy: Any, x: Any, mean: Any, var: Any, weight: Any = None, eps: float = 1e-5, training: bool = True
) -> tuple[Float64, Float64, Float64]:
    """dx, dweight and dbias; in training mean and variance depend on x."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    axes, count = _all_but_channels(x), max(x.size // max(x.shape[1], 1), 1)
    deviation = np.sqrt(_of_channels(var, x, 1) + eps)
    normalized = (x - _of_channels(mean, x, 0)) / deviation
    dweight, dbias = (dy * normalized).sum(axes), dy.sum(axes)
    dx = dy
    if training:
        dx = dy - _of_channels(dbias, x, 0) / count - normalized * _of_channels(dweight, x, 0) / count
    return dx * _of_channels(weight, x, 1) / deviation, dweight, dbias
