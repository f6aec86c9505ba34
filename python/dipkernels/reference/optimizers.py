"""Oracles of the optimizer steps: they update float64 arrays in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["adadelta_step", "adagrad_step", "adam_step", "gradient_descent_step", "momentum_step", "nesterov_step"]

Numbers: TypeAlias = float | Sequence[float]


def _options(
    gradients: Sequence[Any], lr: Numbers, weight_decay: Numbers, clip_norm: float | None, clip_value: float | None
) -> Iterator[tuple[Any, Any, Any]]:
    """For each tensor its clipped gradient, learning rate and weight decay."""
    arrays = [np.asarray(g, np.float64) for g in gradients]
    norm = np.sqrt(sum((g * g).sum() for g in arrays))
    factor = clip_norm / norm if clip_norm is not None and norm > clip_norm else 1.0
    limit = np.inf if clip_value is None else clip_value
    for i, g in enumerate(arrays):
        rate, decay = (n[i] if isinstance(n, (list, tuple)) else n for n in (lr, weight_decay))
        yield np.clip(g * factor, -limit, limit), rate, decay


def gradient_descent_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    lr: Numbers,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """w ← w − ε·g."""
    options = _options(gradients, lr, weight_decay, clip_norm, clip_value)
    for w, (g, rate, decay) in zip(weights, options, strict=True):
        w -= rate * (g + decay * w)


def momentum_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    velocities: Sequence[Float64],
    lr: Numbers,
    momentum: float = 0.9,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """v ← μ·v + g, w ← w − ε·v."""
    options = _options(gradients, lr, weight_decay, clip_norm, clip_value)
    for w, (g, rate, decay), v in zip(weights, options, velocities, strict=True):
        v[...] = momentum * v + g + decay * w
        w -= rate * v


def nesterov_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    velocities: Sequence[Float64],
    lr: Numbers,
    momentum: float = 0.9,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """v ← μ·v + g, w ← w − ε·(g + μ·v)."""
    options = _options(gradients, lr, weight_decay, clip_norm, clip_value)
    for w, (gradient, rate, decay), v in zip(weights, options, velocities, strict=True):
        g = gradient + decay * w
        v[...] = momentum * v + g
        w -= rate * (g + momentum * v)


def adagrad_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    square_sums: Sequence[Float64],
    lr: Numbers = 0.01,
    eps: float = 1e-10,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """s ← s + g², w ← w − ε·g/(√s + eps)."""
    options = _options(gradients, lr, weight_decay, clip_norm, clip_value)
    for w, (gradient, rate, decay), s in zip(weights, options, square_sums, strict=True):
        g = gradient + decay * w
        s += g * g
        w -= rate * g / (np.sqrt(s) + eps)


def adadelta_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    square_averages: Sequence[Float64],
    step_averages: Sequence[Float64],
    lr: Numbers = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """s ← ρ·s + (1 − ρ)·g²; Δ = √(d + eps)/√(s + eps)·g; d ← ρ·d + (1 − ρ)·Δ²; w ← w − ε·Δ."""
    options = _options(gradients, lr, weight_decay, clip_norm, clip_value)
    for w, (gradient, rate, decay), s, d in zip(weights, options, square_averages, step_averages, strict=True):
        g = gradient + decay * w
        s[...] = rho * s + (1 - rho) * g * g
        delta = np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d[...] = rho * d + (1 - rho) * delta * delta
        w -= rate * delta


def adam_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    first_moments: Sequence[Float64],
    second_moments: Sequence[Float64],
    step: int,
    lr: Numbers = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    *,
    weight_decay: Numbers = 0.0,
    decoupled: bool = False,
    largest_second_moments: Sequence[Float64] | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − ε·m̂/(√v̂ + eps); v̂ of the largest v with AMSGrad."""
    options = _options(gradients, lr, weight_decay, clip_norm, clip_value)
    largest: Sequence[Any] = largest_second_moments or [None] * len(weights)
    for w, (gradient, rate, decay), m, v, top in zip(
        weights, options, first_moments, second_moments, largest, strict=True
    ):
        g = gradient + (0.0 if decoupled else decay * w)
        if decoupled:
            w -= rate * decay * w
        m[...] = betas[0] * m + (1 - betas[0]) * g
        v[...] = betas[1] * v + (1 - betas[1]) * g * g
        if top is not None:
            top[...] = np.maximum(top, v)
        second = v if top is None else top
        w -= rate * (m / (1 - betas[0] ** step)) / (np.sqrt(second / (1 - betas[1] ** step)) + eps)
