"""Optimizers: an update rule, its hyperparameters, and the state it keeps for each weight."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipkernels import cuda, ops
from dipkernels.arguments import choice, flag, limited, number, numbers
from dipkernels.ops.backend import FloatArray, to_host, zeros_like

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray


Groups: TypeAlias = Mapping[str, Mapping[str, float]]


class Optimizer:
    """`step(parameters, gradients)` updates the parameters in place, all of them in one kernel call.

    Parameters
    ----------
    lr, weight_decay
        The learning rate ε, and λ of L2 regularisation.
    clip_norm, clip_value
        Gradients are scaled so that all together are no longer than `clip_norm`, and cut off at ± `clip_value`.
    groups
        {pattern: {"lr": …, "weight_decay": …}}: other numbers for the parameters whose names match, "*.bias" say; the
        first pattern counts. Where a schedule changes `lr`, theirs change in proportion.

    `state` maps the names of the rule's states to {parameter: array}; they start at zero with the first step. After
    `to_device` a step may be captured: it reads `device_step`, the number of the next step, and `device_rates`, the
    learning rates of all parameters, on the GPU anew at each replay.

    Raises TypeError or ValueError for impossible numbers and unknown settings of a group.
    """

    state_names: tuple[str, ...] = ()

    def __init__(
        self,
        lr: float,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        op = type(self).__name__
        self.lr, self.weight_decay = limited(op, "lr", lr), limited(op, "weight_decay", weight_decay)
        self.clip_norm, self.clip_value = _limit(op, "clip_norm", clip_norm), _limit(op, "clip_value", clip_value)
        self.groups = _groups(op, groups)
        self.first_lr, self.steps = self.lr, 0
        self.state: dict[str, dict[str, FloatArray]] = {name: {} for name in self.state_names}
        self.device_step: DeviceArray | None = None
        self.device_rates: DeviceArray | None = None

    def to_device(self, names: Sequence[str]) -> None:
        """Moves the state of these parameters to the GPU. RuntimeError without one."""
        self.move_state(cuda.to_device)
        self.device_step = cuda.to_device(np.array([self.steps + 1]))
        self.device_rates = cuda.to_device(self._all_rates(names))

    def renew_device_rates(self, names: Sequence[str]) -> None:
        """After a change of `lr`: the rates of these parameters, which captured steps read."""
        assert self.device_rates is not None
        self.device_rates.set(self._all_rates(names))

    def to_host(self) -> None:
        """Moves the state back to NumPy arrays."""
        self.move_state(to_host)
        self.device_step = self.device_rates = None

    def move_state(self, move: Callable[[Any], Any]) -> None:
        """Moves the state alone: `cuda.to_device` to the GPU, for steps that are not captured."""
        self.state = {name: {key: move(value) for key, value in states.items()} for name, states in self.state.items()}

    def _all_rates(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.broadcast_to(np.float32(self.rates(names)["lr"]), len(names)).copy()

    def step(self, parameters: Mapping[str, FloatArray], gradients: Mapping[str, FloatArray]) -> None:
        """One update. Raises ValueError where a parameter has no gradient."""
        missing = parameters.keys() - gradients.keys()
        if missing:
            raise ValueError(f"{type(self).__name__}: no gradient for {sorted(missing)}; call backward first")
        for states in self.state.values():
            for name, value in parameters.items():
                if name not in states:
                    states[name] = zeros_like(value)
        self.steps += 1
        names = list(parameters)
        states_in_order = [[states[name] for name in names] for states in self.state.values()]
        options = {**self.rates(names), "clip_norm": self.clip_norm, "clip_value": self.clip_value}
        if self.device_rates is not None:
            options["lr"] = self.device_rates
        self._update([parameters[n] for n in names], [gradients[n] for n in names], *states_in_order, **options)

    def rates(self, names: Sequence[str]) -> dict[str, Any]:
        """The `lr` and `weight_decay` of these parameters: one number for all, or with groups a list of each one's."""
        if not self.groups:
            return {"lr": self.lr, "weight_decay": self.weight_decay}
        changed = self.lr / self.first_lr if self.first_lr else 0.0
        rates, decays = [], []
        for name in names:
            group = next((g for pattern, g in self.groups.items() if fnmatch.fnmatchcase(name, pattern)), {})
            rates.append(group["lr"] * changed if "lr" in group else self.lr)
            decays.append(group.get("weight_decay", self.weight_decay))
        return {"lr": rates, "weight_decay": decays}

    def _update(
        self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray], **options: Any
    ) -> None:
        raise NotImplementedError

    def hyperparameters(self) -> dict[str, Any]:
        """The numbers that define the rule, as JSON can hold them."""
        left_out = ("state", "steps", "device_step", "device_rates", "state_names", "first_lr")
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items() if k not in left_out}


def _limit(op: str, name: str, value: float | None) -> float | None:
    if value is None:
        return None
    result = number(op, name, value)
    if not result > 0:
        raise ValueError(f"{op}: {name} must be None or above 0, got {value!r}")
    return result


def _groups(op: str, groups: Groups | None) -> dict[str, dict[str, float]]:
    checked: dict[str, dict[str, float]] = {}
    for pattern, settings in (groups or {}).items():
        for name in settings:
            choice(op, f"a setting of group {pattern!r}", name, ("lr", "weight_decay"))
        checked[pattern] = {name: limited(op, f"groups[{pattern!r}][{name!r}]", v) for name, v in settings.items()}
    return checked


class SGD(Optimizer):
    """Gradient descent, with `momentum` or Nesterov's; batch, mini-batch or stochastic by what the gradients are of.

    `shared`: `clip_norm`, `clip_value` and `groups`, as `Optimizer` has them.
    """

    def __init__(
        self, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0, **shared: Any
    ) -> None:
        self.momentum, self.nesterov = limited("SGD", "momentum", momentum, 1.0), flag("SGD", "nesterov", nesterov)
        if nesterov and self.momentum == 0:
            raise ValueError(f"SGD: nesterov needs a momentum above 0, got {momentum!r}")
        self.state_names = ("velocities",) if momentum else ()
        super().__init__(lr, weight_decay, **shared)

    def _update(
        self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray], **options: Any
    ) -> None:
        if not self.momentum:
            ops.gradient_descent_step(weights, gradients, **options)
            return
        rule = ops.nesterov_step if self.nesterov else ops.momentum_step
        rule(weights, gradients, states[0], momentum=self.momentum, **options)


class AdaGrad(Optimizer):
    """`ops.adagrad_step`. `shared` as of `SGD`.

    s ← s + g², w ← w − lr·g/(√s + eps): weights that are seldom needed keep a large rate. TypeError or ValueError for
    impossible numbers. Source: lecture; Duchi, Hazan, Singer 2011.
    """

    state_names = ("square_sums",)

    def __init__(self, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0, **shared: Any) -> None:
        super().__init__(lr, weight_decay, **shared)
        self.eps = limited("AdaGrad", "eps", eps)

    def _update(
        self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray], **options: Any
    ) -> None:
        ops.adagrad_step(weights, gradients, states[0], eps=self.eps, **options)


class AdaDelta(Optimizer):
    """`ops.adadelta_step`. `shared` as of `SGD`.

    Steps as long as the root mean square of the last ones over that of the gradients, with the decay `rho`; `lr` scales
    them. TypeError or ValueError for impossible numbers. Source: lecture; Zeiler 2012.
    """

    state_names = ("square_averages", "step_averages")

    def __init__(
        self, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0, **shared: Any
    ) -> None:
        super().__init__(lr, weight_decay, **shared)
        self.rho, self.eps = limited("AdaDelta", "rho", rho, 1.0), limited("AdaDelta", "eps", eps)

    def _update(
        self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray], **options: Any
    ) -> None:
        ops.adadelta_step(weights, gradients, states[0], states[1], rho=self.rho, eps=self.eps, **options)


class Adam(Optimizer):
    """`ops.adam_step`; `decoupled=True` is AdamW, `amsgrad=True` AMSGrad. `shared` as of `SGD`.

    Means of gradients and of their squares, with the decays `betas`, corrected for their start at zero. TypeError or
    ValueError for impossible numbers. Source: lecture; Kingma, Ba 2015; AdamW by Loshchilov, Hutter 2019; AMSGrad by
    Reddi, Kale, Kumar 2018.
    """

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
        amsgrad: bool = False,
        **shared: Any,
    ) -> None:
        self.amsgrad = flag("Adam", "amsgrad", amsgrad)
        self.state_names = ("first_moments", "second_moments", *(["largest_second_moments"] if amsgrad else []))
        super().__init__(lr, weight_decay, **shared)
        first, second = numbers("Adam", "betas", betas, 2)
        self.betas = limited("Adam", "betas[0]", first, 1.0), limited("Adam", "betas[1]", second, 1.0)
        self.eps, self.decoupled = limited("Adam", "eps", eps), flag("Adam", "decoupled", decoupled)

    def _update(
        self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray], **options: Any
    ) -> None:
        ops.adam_step(
            weights,
            gradients,
            states[0],
            states[1],
            self.steps if self.device_step is None else self.device_step,
            betas=self.betas,
            eps=self.eps,
            decoupled=self.decoupled,
            largest_second_moments=states[2] if self.amsgrad else None,
            **options,
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": AdaGrad,
    "adadelta": AdaDelta,
    "adam": Adam,
}
"""By the names that `train.fit` and the command take."""
