"""Oracles of the losses other than softmax cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64
from dipkernels.reference.softmax_cross_entropy import reduce_loss

__all__ = [
    "half_sum_of_squares",
    "half_sum_of_squares_with_grad",
    "hinge_loss",
    "hinge_loss_with_grad",
    "huber_loss",
    "huber_loss_with_grad",
    "l1_loss",
    "l1_loss_with_grad",
    "mse_loss",
    "mse_loss_with_grad",
    "msle_loss",
    "msle_loss_with_grad",
    "probability_loss",
    "probability_loss_with_grad",
    "smooth_l1_loss",
    "smooth_l1_loss_with_grad",
]


def _reduced(values: Float64, slopes: Float64, reduction: str) -> tuple[Any, Float64]:
    loss, scale = reduce_loss(values, reduction, float(values.size))
    return loss, scale * slopes


def mse_loss_with_grad(x: Any, target: Any, reduction: str = "mean") -> tuple[Any, Float64]:
    """`mse_loss` and its gradient."""
    d = np.asarray(x, np.float64) - np.asarray(target, np.float64)
    return _reduced(d * d, 2 * d, reduction)


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """(x − target)²."""
    return mse_loss_with_grad(x, target, reduction)[0]


def l1_loss_with_grad(x: Any, target: Any, reduction: str = "mean") -> tuple[Any, Float64]:
    """`l1_loss` and its gradient."""
    d = np.asarray(x, np.float64) - np.asarray(target, np.float64)
    return _reduced(np.abs(d), np.sign(d), reduction)


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """|x − target|."""
    return l1_loss_with_grad(x, target, reduction)[0]


def msle_loss_with_grad(x: Any, target: Any, reduction: str = "mean") -> tuple[Any, Float64]:
    """`msle_loss` and its gradient."""
    x = np.asarray(x, np.float64)
    d = np.log1p(x) - np.log1p(np.asarray(target, np.float64))
    return _reduced(d * d, 2 * d / (x + 1), reduction)


def msle_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """(log(x + 1) − log(target + 1))²."""
    return msle_loss_with_grad(x, target, reduction)[0]


def smooth_l1_loss_with_grad(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> tuple[Any, Float64]:
    """`smooth_l1_loss` and its gradient."""
    d = np.asarray(x, np.float64) - np.asarray(target, np.float64)
    near = np.abs(d) < beta
    divisor = beta or 1.0
    values = np.where(near, d * d / (2 * divisor), np.abs(d) - beta / 2)
    return _reduced(values, np.where(near, d / divisor, np.sign(d)), reduction)


def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """d²/(2β) for |d| < β, |d| − β/2 beyond."""
    return smooth_l1_loss_with_grad(x, target, reduction, beta)[0]


def half_sum_of_squares_with_grad(x: Any, target: Any) -> tuple[Any, Float64]:
    """`half_sum_of_squares` and its gradient."""
    d = np.asarray(x, np.float64) - np.asarray(target, np.float64)
    return 0.5 * (d * d).sum(), d


def half_sum_of_squares(x: Any, target: Any) -> Any:
    """½ Σ (x − target)²."""
    return half_sum_of_squares_with_grad(x, target)[0]


def huber_loss_with_grad(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> tuple[Any, Float64]:
    """`huber_loss` and its gradient."""
    d = np.asarray(x, np.float64) - np.asarray(target, np.float64)
    near = np.abs(d) < delta
    values = np.where(near, d * d / 2, delta * (np.abs(d) - delta / 2))
    return _reduced(values, np.where(near, d, delta * np.sign(d)), reduction)


def huber_loss(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """d²/2 for |d| < δ, δ·(|d| − δ/2) beyond."""
    return huber_loss_with_grad(x, target, reduction, delta)[0]


def hinge_loss_with_grad(
    scores: Any, target: Any, margin: float = 1.0, reduction: str = "mean", p: int = 1, weight: Any = None
) -> tuple[Any, Float64]:
    """`hinge_loss` and its gradient."""
    scores, target = np.asarray(scores, np.float64), np.asarray(target)
    rows = np.arange(len(target))
    w = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)[target]
    excess = scores - scores[rows, target][:, None] + margin
    excess[rows, target] = 0.0
    slopes = w[:, None] * (excess > 0) * p * np.maximum(excess, 0) ** (p - 1)
    slopes[rows, target] = -slopes.sum(1)
    return _reduced(w * (np.maximum(excess, 0) ** p).sum(1), slopes, reduction)


def hinge_loss(
    scores: Any, target: Any, margin: float = 1.0, reduction: str = "mean", p: int = 1, weight: Any = None
) -> Any:
    """w_y·Σ_{j ≠ y} max(0, s_j − s_y + margin)^p, a row."""
    return hinge_loss_with_grad(scores, target, margin, reduction, p, weight)[0]


def probability_loss_with_grad(probabilities: Any, target: Any, reduction: str = "mean") -> tuple[Any, Float64]:
    """`probability_loss` and its gradient."""
    p, labels = np.asarray(probabilities, np.float64), np.asarray(target, np.int64)[:, None]
    own = np.take_along_axis(p, labels, 1)
    slopes = np.zeros_like(p)
    np.put_along_axis(slopes, labels, -1 / own, 1)
    return _reduced(-np.log(own[:, 0]), slopes, reduction)


def probability_loss(probabilities: Any, target: Any, reduction: str = "mean") -> Any:
    """−log p_y."""
    return probability_loss_with_grad(probabilities, target, reduction)[0]
