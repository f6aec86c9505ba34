"""Optimizers: an update rule, its hyperparameters, and the state it keeps for each weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dipkernels import ops
from dipkernels.ops.backend import FloatArray, zeros_like

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray


class Optimizer:
    """`step(parameters, gradients)` updates the parameters in place, all of them in one kernel call.

    `state` maps the names of the rule's states to {parameter: array}; they start at zero with the first step. On the
    GPU `device_step`, an int64 array of one element, may count the steps instead of `steps`, for a captured step.
    """

    state_names: tuple[str, ...] = ()

    def __init__(self, lr: float, weight_decay: float = 0.0) -> None:
        self.lr, self.weight_decay, self.steps = lr, weight_decay, 0
        self.state: dict[str, dict[str, FloatArray]] = {name: {} for name in self.state_names}
        self.device_step: DeviceArray | None = None

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
        self._update([parameters[n] for n in names], [gradients[n] for n in names], *states_in_order)

    def _update(self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray]) -> None:
        raise NotImplementedError

    def hyperparameters(self) -> dict[str, Any]:
        """The numbers that define the rule, as JSON can hold them."""
        numbers = {k: v for k, v in vars(self).items() if k not in ("state", "steps", "device_step", "state_names")}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in numbers.items()}


class SGD(Optimizer):
    """Gradient descent, with `momentum` or Nesterov's; batch, mini-batch or stochastic by what the gradients are of."""

    def __init__(self, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> None:
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.state_names = ("velocities",) if momentum else ()
        super().__init__(lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov

    def _update(self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray]) -> None:
        if not self.momentum:
            ops.gradient_descent_step(weights, gradients, self.lr, weight_decay=self.weight_decay)
            return
        rule = ops.nesterov_step if self.nesterov else ops.momentum_step
        rule(weights, gradients, states[0], self.lr, self.momentum, weight_decay=self.weight_decay)


class AdaGrad(Optimizer):
    """`ops.adagrad_step`."""

    state_names = ("square_sums",)

    def __init__(self, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.eps = eps

    def _update(self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray]) -> None:
        ops.adagrad_step(weights, gradients, states[0], self.lr, self.eps, weight_decay=self.weight_decay)


class AdaDelta(Optimizer):
    """`ops.adadelta_step`."""

    state_names = ("square_averages", "step_averages")

    def __init__(self, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.rho, self.eps = rho, eps

    def _update(self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray]) -> None:
        ops.adadelta_step(
            weights, gradients, states[0], states[1], self.lr, self.rho, self.eps, weight_decay=self.weight_decay
        )


class Adam(Optimizer):
    """`ops.adam_step`; `decoupled=True` is AdamW."""

    state_names = ("first_moments", "second_moments")

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.betas, self.eps, self.decoupled = betas, eps, decoupled

    def _update(self, weights: list[FloatArray], gradients: list[FloatArray], *states: list[FloatArray]) -> None:
        ops.adam_step(
            weights,
            gradients,
            states[0],
            states[1],
            self.steps if self.device_step is None else self.device_step,
            self.lr,
            self.betas,
            self.eps,
            weight_decay=self.weight_decay,
            decoupled=self.decoupled,
        )
