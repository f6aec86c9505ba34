"""Oracles of the optimizer steps: they update float64 arrays in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64


def gradient_descent_step(
    weights: Sequence[Float64], gradients: Sequence[Any], lr: float, *, weight_decay: float = 0.0
) -> None:
    """w ← w − ε·g."""
    for w, g in zip(weights, gradients, strict=True):
        w -= lr * (g + weight_decay * w)


def momentum_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    velocities: Sequence[Float64],
    lr: float,
    momentum: float = 0.9,
    *,
    weight_decay: float = 0.0,
) -> None:
    """v ← μ·v + g, w ← w − ε·v."""
    for w, g, v in zip(weights, gradients, velocities, strict=True):
        v[...] = momentum * v + g + weight_decay * w
        w -= lr * v


def nesterov_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    velocities: Sequence[Float64],
    lr: float,
    momentum: float = 0.9,
    *,
    weight_decay: float = 0.0,
) -> None:
    """v ← μ·v + g, w ← w − ε·(g + μ·v)."""
    for w, gradient, v in zip(weights, gradients, velocities, strict=True):
        g = gradient + weight_decay * w
        v[...] = momentum * v + g
        w -= lr * (g + momentum * v)


def adagrad_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    square_sums: Sequence[Float64],
    lr: float = 0.01,
    eps: float = 1e-10,
    *,
    weight_decay: float = 0.0,
) -> None:
    """s ← s + g², w ← w − ε·g/(√s + eps)."""
    for w, gradient, s in zip(weights, gradients, square_sums, strict=True):
        g = gradient + weight_decay * w
        s += g * g
        w -= lr * g / (np.sqrt(s) + eps)


def adadelta_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    square_averages: Sequence[Float64],
    step_averages: Sequence[Float64],
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    *,
    weight_decay: float = 0.0,
) -> None:
    """s ← ρ·s + (1 − ρ)·g²; Δ = √(d + eps)/√(s + eps)·g; d ← ρ·d + (1 − ρ)·Δ²; w ← w − ε·Δ."""
    for w, gradient, s, d in zip(weights, gradients, square_averages, step_averages, strict=True):
        g = gradient + weight_decay * w
        s[...] = rho * s + (1 - rho) * g * g
        delta = np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d[...] = rho * d + (1 - rho) * delta * delta
        w -= lr * delta


def adam_step(
    weights: Sequence[Float64],
    gradients: Sequence[Any],
    first_moments: Sequence[Float64],
    second_moments: Sequence[Float64],
    step: int,
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − ε·m̂/(√v̂ + eps)."""
    for w, gradient, m, v in zip(weights, gradients, first_moments, second_moments, strict=True):
        g = gradient + (0.0 if decoupled else weight_decay * w)
        if decoupled:
            w -= lr * weight_decay * w
        m[...] = betas[0] * m + (1 - betas[0]) * g
        v[...] = betas[1] * v + (1 - betas[1]) * g * g
        w -= lr * (m / (1 - betas[0] ** step)) / (np.sqrt(v / (1 - betas[1] ** step)) + eps)
