"""Fused optimizer steps: each updates many tensors, in place, in one call.

Common parameters: `weights` and `gradients`, sequences of float32 arrays of matching shapes; the rule's states
likewise, zeros at the start; `lr` the learning rate ε; `weight_decay` λ adds λ·w to the gradient. Weights and states
must be C-contiguous and writeable and share no memory: ValueError otherwise, before anything is written. All
hyperparameters must be finite and at least 0, decay rates below 1. TypeError for other dtypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dipkernels.ops.backend import FloatArray, backend_of

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray


def _step(
    rule: str,
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    states1: Sequence[FloatArray] = (),
    states2: Sequence[FloatArray] = (),
    *,
    lr: float,
    weight_decay: float = 0.0,
    decay1: float = 0.0,
    decay2: float = 0.0,
    eps: float = 0.0,
    step: int | DeviceArray = 1,
) -> None:
    module = backend_of(f"{rule}_step", *weights, *gradients)
    module.optimizer_step(
        rule,
        list(weights),
        list(gradients),
        list(states1),
        list(states2),
        lr,
        weight_decay,
        decay1,
        decay2,
        eps,
        step,
    )


def gradient_descent_step(
    weights: Sequence[FloatArray], gradients: Sequence[FloatArray], lr: float, *, weight_decay: float = 0.0
) -> None:
    """w ← w − ε·g. Source: lecture, gradient descent.

    >>> w = np.float32([1, 2])
    >>> gradient_descent_step([w], [np.float32([1, -1])], lr=0.5)
    >>> w
    array([0.5, 2.5], dtype=float32)
    """
    _step("gradient_descent", weights, gradients, lr=lr, weight_decay=weight_decay)


def momentum_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    velocities: Sequence[FloatArray],
    lr: float,
    momentum: float = 0.9,
    *,
    weight_decay: float = 0.0,
) -> None:
    """v ← μ·v + g, w ← w − ε·v. Source: lecture; Polyak 1964, in the form of torch.optim.SGD."""
    _step("momentum", weights, gradients, velocities, lr=lr, decay1=momentum, weight_decay=weight_decay)


def nesterov_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    velocities: Sequence[FloatArray],
    lr: float,
    momentum: float = 0.9,
    *,
    weight_decay: float = 0.0,
) -> None:
    """v ← μ·v + g, w ← w − ε·(g + μ·v). Source: lecture; Nesterov 1983, in the form of Sutskever et al. 2013."""
    _step("nesterov", weights, gradients, velocities, lr=lr, decay1=momentum, weight_decay=weight_decay)


def adagrad_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    square_sums: Sequence[FloatArray],
    lr: float = 0.01,
    eps: float = 1e-10,
    *,
    weight_decay: float = 0.0,
) -> None:
    """s ← s + g², w ← w − ε·g/(√s + eps). Source: lecture; Duchi, Hazan, Singer 2011."""
    _step("adagrad", weights, gradients, square_sums, lr=lr, eps=eps, weight_decay=weight_decay)


def adadelta_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    square_averages: Sequence[FloatArray],
    step_averages: Sequence[FloatArray],
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    *,
    weight_decay: float = 0.0,
) -> None:
    """s ← ρ·s + (1 − ρ)·g²; Δ = √(d + eps)/√(s + eps)·g; d ← ρ·d + (1 − ρ)·Δ²; w ← w − ε·Δ.

    Source: lecture; Zeiler 2012, "ADADELTA".
    """
    _step(
        "adadelta",
        weights,
        gradients,
        square_averages,
        step_averages,
        lr=lr,
        decay1=rho,
        eps=eps,
        weight_decay=weight_decay,
    )


def adam_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    first_moments: Sequence[FloatArray],
    second_moments: Sequence[FloatArray],
    step: int | DeviceArray,
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − ε·m̂/(√v̂ + eps), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    `step` is t, from 1; on the GPU it may be an int64 array of one element, for a captured step. `decoupled=True` is
    AdamW: the weights shrink by 1 − ε·λ, and the gradient has no decay.

    Source: lecture; Kingma, Ba 2015; Loshchilov, Hutter 2019.
    """
    _step(
        "adamw" if decoupled else "adam",
        weights,
        gradients,
        first_moments,
        second_moments,
        lr=lr,
        decay1=betas[0],
        decay2=betas[1],
        eps=eps,
        step=step,
        weight_decay=weight_decay,
    )
