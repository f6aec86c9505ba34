"""Oracles of softmax cross-entropy and the focal loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64
from dipkernels.reference.softmax import log_softmax

__all__ = [
    "automated_focal_loss",
    "automated_focal_loss_with_grad",
    "cross_entropy",
    "cross_entropy_with_grad",
    "focal_loss",
    "focal_loss_with_grad",
    "nll_loss",
    "nll_loss_with_grad",
]


def reduce_loss(values: Float64, reduction: str, denominator: float) -> tuple[Any, float]:
    """The reduced loss, and what the gradient is multiplied by."""
    if reduction == "none":
        return values, 1.0
    if reduction == "sum":
        return values.sum(), 1.0
    return (values.sum() / denominator, 1.0 / denominator) if denominator else (np.nan, 0.0)


def _targets(logits: Float64, target: Any, weight: Any, ignore_index: int, smoothing: float) -> tuple[Float64, float]:
    """The weighted, smoothed target of every class, zero where ignored, and the mean's denominator."""
    target, classes = np.asarray(target), logits.shape[1]
    along_classes = (1, -1, *[1] * (logits.ndim - 2))
    w = (np.ones(classes) if weight is None else np.asarray(weight, np.float64)).reshape(along_classes)
    if target.dtype.kind == "f":
        hard, kept = target.astype(np.float64), np.ones((logits.shape[0], *logits.shape[2:]), bool)
        denominator = float(kept.size)
    else:
        kept = target != ignore_index
        hard = (target[:, None] == np.arange(classes).reshape(along_classes)).astype(np.float64)
        denominator = float((w * hard * kept[:, None]).sum())
    return w * ((1 - smoothing) * hard + smoothing / classes) * kept[:, None], denominator


def cross_entropy_with_grad(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Any, Float64]:
    """−Σ_c w_c·t_c·log p_c, and (Σ_c w_c·t_c)·p − w·t."""
    logits = np.asarray(logits, np.float64)
    t, denominator = _targets(logits, target, weight, ignore_index, label_smoothing)
    log_p = log_softmax(logits, 1)
    loss, scale = reduce_loss(-(t * np.where(t == 0, 0.0, log_p)).sum(1), reduction, denominator)
    return loss, scale * (t.sum(1, keepdims=True) * np.exp(log_p) - t)


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """−Σ_c w_c·t_c·log p_c."""
    return cross_entropy_with_grad(logits, target, weight, ignore_index, reduction, label_smoothing)[0]


def focal_loss_with_grad(
    logits: Any,
    target: Any,
    gamma: float = 2.0,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Any, Float64]:
    """−w·(1 − p)^γ·log p, and by the chain rule w·((1 − p)^γ − γ·p·(1 − p)^{γ−1}·log p)·(softmax − onehot)."""
    logits = np.asarray(logits, np.float64)
    t, denominator = _targets(logits, target, weight, ignore_index, 0.0)
    weights = t.sum(1)  # w of the label, 0 where ignored
    log_p = log_softmax(logits, 1)
    log_pt = np.where(t > 0, log_p, 0.0).sum(1)
    rest = -np.expm1(log_pt)
    power = rest**gamma
    loss, scale = reduce_loss(-weights * power * log_pt, reduction, denominator)
    slope = np.divide(gamma * np.exp(log_pt) * power * log_pt, rest, out=np.zeros_like(rest), where=rest > 0)
    factor = (power - slope if gamma else np.ones_like(power))[:, None]
    return loss, scale * factor * (weights[:, None] * np.exp(log_p) - t)


def focal_loss(
    logits: Any,
    target: Any,
    gamma: float = 2.0,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """−w·(1 − p)^γ·log p."""
    return focal_loss_with_grad(logits, target, gamma, weight, ignore_index, reduction)[0]


def automated_focal_loss(
    logits: Any,
    target: Any,
    running: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """The focal loss with γ = −log p̂."""
    gamma = -np.log(max(float(np.asarray(running)[0]), 1e-6))
    return focal_loss(logits, target, gamma, weight, ignore_index, reduction)


def automated_focal_loss_with_grad(
    logits: Any,
    target: Any,
    running: Any,
    momentum: float = 0.95,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Any, Float64]:
    """The same with its gradient; then p̂ moves towards the weighted mean of the labels' probabilities."""
    gamma = -np.log(max(float(running[0]), 1e-6))
    result = focal_loss_with_grad(logits, target, gamma, weight, ignore_index, reduction)
    logits = np.asarray(logits, np.float64)
    t, counted = _targets(logits, target, weight, ignore_index, 0.0)
    if counted:
        mean = (t * np.exp(log_softmax(logits, 1))).sum() / counted
        running[0] = momentum * running[0] + (1 - momentum) * mean
    return result


def nll_loss_with_grad(
    log_probabilities: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Any, Float64]:
    """−w_y·x_y, and −w_y at the label."""
    x = np.asarray(log_probabilities, np.float64)
    t, denominator = _targets(x, target, weight, ignore_index, 0.0)
    loss, scale = reduce_loss(-np.where(t == 0, 0.0, t * x).sum(1), reduction, denominator)
    return loss, -scale * t


def nll_loss(
    log_probabilities: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """−w_y·x_y."""
    return nll_loss_with_grad(log_probabilities, target, weight, ignore_index, reduction)[0]
