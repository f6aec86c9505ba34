"""The automated focal loss as `fit` takes it: with the running mean that it keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import cuda, ops
from dipkernels.arguments import integer, limited
from dipkernels.checks import array, checked
from dipkernels.ops.backend import FloatArray, to_host


class AutomatedFocalLoss:
    """`ops.automated_focal_loss_with_grad` with its state: γ = −log p̂ follows the training.

    Parameters
    ----------
    start
        p̂ before the first batch, above 0 and at most 1: how probable the right class is to an untrained network.
    momentum
        How slowly p̂ follows the batches, from 0 to 1.
    weight, ignore_index
        As in `ops.focal_loss`.

    Validation data are judged with the γ there is, and change nothing. ValueError for a start or momentum outside.

    Source: lecture, automated focal loss; Weber, Fürst, Zöllner 2019.

    >>> loss = AutomatedFocalLoss(start=0.5)
    >>> _ = loss(np.zeros((1, 2), np.float32), np.array([1]))
    >>> round(loss.gamma, 4)
    0.6931
    """

    can_be_captured = True

    @checked(weight=array("C"))
    def __init__(
        self,
        start: float = 0.1,
        momentum: float = 0.95,
        weight: FloatArray | None = None,
        ignore_index: int = -100,
    ) -> None:
        start, momentum = (
            limited("AutomatedFocalLoss", "start", start),
            limited("AutomatedFocalLoss", "momentum", momentum),
        )
        if not 0 < start <= 1 or momentum > 1:
            raise ValueError(
                f"AutomatedFocalLoss: start must be above 0 and momentum at least 0, both at most 1, got {start} and "
                f"{momentum}"
            )
        self.momentum, self.ignore_index = momentum, integer("AutomatedFocalLoss", "ignore_index", ignore_index)
        self.weight = None if weight is None else np.asarray(weight, np.float32)
        self.running: Any = np.array([start], np.float32)
        self._device_weight: Any = None

    @property
    def gamma(self) -> float:
        """−log p̂."""
        return float(-np.log(max(float(to_host(self.running)[0]), 1e-6)))

    def __call__(self, outputs: Any, t: Any) -> tuple[Any, Any]:
        """Loss and gradient; p̂ moves towards the mean probability of these labels."""
        on_host = isinstance(outputs, np.ndarray)
        if isinstance(self.running, np.ndarray) != on_host:
            self.running = to_host(self.running) if on_host else cuda.to_device(self.running)
        if not on_host and self.weight is not None and self._device_weight is None:
            self._device_weight = cuda.to_device(self.weight)
        weight = self.weight if on_host else self._device_weight
        return ops.automated_focal_loss_with_grad(outputs, t, self.running, self.momentum, weight, self.ignore_index)

    def evaluation(self, outputs: FloatArray, t: npt.NDArray[Any]) -> tuple[float, None]:
        """The loss of data that are not learned from."""
        running = to_host(self.running)
        return ops.automated_focal_loss(outputs, t, running, self.weight, self.ignore_index), None

    def counts(self, t: npt.NDArray[Any]) -> FloatArray:
        """How much each example is of a mean over the data set."""
        kept = t != self.ignore_index
        weights = np.float32(1) if self.weight is None else self.weight[np.where(kept, t, 0)]
        return np.where(kept, weights, 0).reshape(len(t), -1).sum(1).astype(np.float32)

    def state(self) -> dict[str, FloatArray]:
        """What a checkpoint must hold of it."""
        return {"running": to_host(self.running)}

    def set_state(self, state: dict[str, FloatArray]) -> None:
        """Takes back what `state` gave."""
        self.running = state["running"].copy()
