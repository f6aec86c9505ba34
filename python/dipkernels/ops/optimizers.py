"""Fused optimizer steps: each updates many tensors, in place, in one call.

Common parameters: `weights` and `gradients`, sequences of float32 arrays of matching shapes; the rule's states
likewise, zeros at the start; `lr` the learning rate ε and `weight_decay` λ, which adds λ·w to the gradient: numbers, or
a list with one for each tensor; on a GPU `lr` may be a float32 array of these there, which a captured step reads anew.
`clip_norm` scales all gradients alike so that together they are no longer than that, as a vector of all their elements;
`clip_value` then cuts every element off at ± that; None for neither. Weights and states must be C-contiguous and
writeable and share no memory: ValueError otherwise, before anything is written. All hyperparameters must be finite and
at least 0, decay rates below 1. TypeError for other dtypes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from dipkernels.arguments import arrays, flag, numbers
from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["adadelta_step", "adagrad_step", "adam_step", "gradient_descent_step", "momentum_step", "nesterov_step"]

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray


Numbers: TypeAlias = float | Sequence[float]
"""One for all tensors, or one for each."""


def _listed(numbers: Any) -> Any:
    return list(numbers) if isinstance(numbers, (tuple, list)) else numbers


def _step(
    rule: str,
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    states: Mapping[str, Sequence[FloatArray]],
    *,
    lr: Numbers,
    weight_decay: Numbers,
    clip_norm: float | None,
    clip_value: float | None,
    decay1: float = 0.0,
    decay2: float = 0.0,
    eps: float = 0.0,
    step: int | DeviceArray = 1,
) -> None:
    op = f"{rule}_step"
    given = [arrays(op, name, value) for name, value in {"weights": weights, "gradients": gradients, **states}.items()]
    module = backend_of(op, *given[0], *given[1])
    module.optimizer_step(
        rule,
        *given,
        *[[] for _ in range(5 - len(given))],
        _listed(lr),
        _listed(weight_decay),
        decay1,
        decay2,
        eps,
        clip_norm,
        clip_value,
        step,
    )


def gradient_descent_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    lr: Numbers,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """w ← w − ε·g. Source: lecture, gradient descent.

    `weights`, `gradients` and states are lists of float32 arrays of matching shapes; weights and states are updated in
    place, and nothing is returned. The other parameters and the errors are said at the top of this module:
    `help(dipkernels.ops.optimizers)`.

    >>> w = np.float32([1, 2])
    >>> gradient_descent_step([w], [np.float32([1, -1])], lr=0.5)
    >>> w
    array([0.5, 2.5], dtype=float32)
    """
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value}
    _step("gradient_descent", weights, gradients, {}, **options)


def momentum_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    velocities: Sequence[FloatArray],
    lr: Numbers,
    momentum: float = 0.9,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """v ← μ·v + g, w ← w − ε·v. Source: lecture; Polyak 1964, in the form of torch.optim.SGD.

    `weights`, `gradients` and states are lists of float32 arrays of matching shapes; weights and states are updated in
    place, and nothing is returned. The other parameters and the errors are said at the top of this module:
    `help(dipkernels.ops.optimizers)`.
    """
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value}
    _step("momentum", weights, gradients, {"velocities": velocities}, decay1=momentum, **options)


def nesterov_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    velocities: Sequence[FloatArray],
    lr: Numbers,
    momentum: float = 0.9,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """v ← μ·v + g, w ← w − ε·(g + μ·v). Source: lecture; Nesterov 1983, in the form of Sutskever et al. 2013.

    `weights`, `gradients` and states are lists of float32 arrays of matching shapes; weights and states are updated in
    place, and nothing is returned. The other parameters and the errors are said at the top of this module:
    `help(dipkernels.ops.optimizers)`.
    """
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value}
    _step("nesterov", weights, gradients, {"velocities": velocities}, decay1=momentum, **options)


def adagrad_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    square_sums: Sequence[FloatArray],
    lr: Numbers = 0.01,
    eps: float = 1e-10,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """s ← s + g², w ← w − ε·g/(√s + eps). Source: lecture; Duchi, Hazan, Singer 2011.

    `weights`, `gradients` and states are lists of float32 arrays of matching shapes; weights and states are updated in
    place, and nothing is returned. The other parameters and the errors are said at the top of this module:
    `help(dipkernels.ops.optimizers)`.
    """
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value}
    _step("adagrad", weights, gradients, {"square_sums": square_sums}, eps=eps, **options)


def adadelta_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    square_averages: Sequence[FloatArray],
    step_averages: Sequence[FloatArray],
    lr: Numbers = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    *,
    weight_decay: Numbers = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """s ← ρ·s + (1 − ρ)·g²; Δ = √(d + eps)/√(s + eps)·g; d ← ρ·d + (1 − ρ)·Δ²; w ← w − ε·Δ.

    `weights`, `gradients` and states are lists of float32 arrays of matching shapes; weights and states are updated in
    place, and nothing is returned. The other parameters and the errors are said at the top of this module:
    `help(dipkernels.ops.optimizers)`.

    Source: lecture; Zeiler 2012, "ADADELTA".
    """
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value}
    states = {"square_averages": square_averages, "step_averages": step_averages}
    _step("adadelta", weights, gradients, states, decay1=rho, eps=eps, **options)


def adam_step(
    weights: Sequence[FloatArray],
    gradients: Sequence[FloatArray],
    first_moments: Sequence[FloatArray],
    second_moments: Sequence[FloatArray],
    step: int | DeviceArray,
    lr: Numbers = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    *,
    weight_decay: Numbers = 0.0,
    decoupled: bool = False,
    largest_second_moments: Sequence[FloatArray] | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> None:
    """m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − ε·m̂/(√v̂ + eps), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    `weights`, `gradients` and states are lists of float32 arrays of matching shapes; weights and states are updated in
    place, and nothing is returned. The other parameters and the errors are said at the top of this module:
    `help(dipkernels.ops.optimizers)`.

    `step` is t, from 1; on the GPU it may be an int64 array of one element, for a captured step. `decoupled=True` is
    AdamW: the weights shrink by 1 − ε·λ, and the gradient has no decay. With `largest_second_moments` it is AMSGrad:
    they keep the largest v so far, which takes v's place.

    Source: lecture; Kingma, Ba 2015; Loshchilov, Hutter 2019; Reddi, Kale, Kumar 2018.
    """
    rule = "adamw" if flag("adam_step", "decoupled", decoupled) else "adam"
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value}
    states = {"first_moments": first_moments, "second_moments": second_moments}
    if largest_second_moments is not None:
        states["largest_second_moments"] = largest_second_moments
    decay1, decay2 = numbers("adam_step", "betas", betas, 2)
    _step(rule, weights, gradients, states, decay1=decay1, decay2=decay2, eps=eps, step=step, **options)
