"""Epochs on the CPU."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dipkernels.data.augmentation import Augmentation, augmented
from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.ops.backend import FloatArray
from dipkernels.train.evaluation import count_correct
from dipkernels.train.losses import Loss, counting, weighted
from dipkernels.train.progress import RichBar, SilentBar


class CpuEpochs:
    """Trains `model` epoch by epoch on NumPy arrays."""

    def __init__(
        self,
        model: Graph,
        train: Dataset,
        optimizer: Optimizer,
        loss: Loss,
        batch_size: int,
        sample_weight: FloatArray | None = None,
    ) -> None:
        self.model, self.train, self.optimizer, self.loss = model, train, optimizer, loss
        self.batch_size, self.sample_weight = batch_size, sample_weight

    def run(
        self,
        number: int,
        order: npt.NDArray[np.int64],
        rng: np.random.Generator,
        augment: Augmentation | None,
        bar: SilentBar | RichBar,
    ) -> tuple[float, float | None]:
        """Epoch `number`, in this order: the mean loss and, for classes, the accuracy."""
        total, count, correct, can_be_right = 0.0, 0.0, 0, 0
        classes, is_mean = True, True
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            x, t = self.train.x[chosen], self.train.t[chosen]
            x, t = augmented(augment, rng, x, t)
            weights = None if self.sample_weight is None else self.sample_weight[chosen]
            step = self._step(x, t, weights)
            if step.share and not np.isfinite(step.value):
                raise FloatingPointError(
                    f"fit: the loss is {step.value} in epoch {number}, batch {first // self.batch_size + 1}; "
                    "a smaller learning rate usually helps"
                )
            if step.share:
                total, count = total + step.value * step.share, count + step.share
            classes, is_mean = classes and step.right is not None, step.is_mean
            correct += step.right or 0
            can_be_right += step.can_be_right
            mean = total if not is_mean else total / count if count else float("nan")
            accuracy = correct / can_be_right if classes and can_be_right else None
            bar.update(len(chosen), mean, accuracy)
        return mean, accuracy

    def _step(self, x: FloatArray, t: npt.NDArray[Any], weights: FloatArray | None) -> Step:
        """Learns from a batch."""
        step = self._compute(x, t, weights)
        self.optimizer.step(self.model.parameters, self.model.gradients)
        return step

    def _compute(self, x: FloatArray, t: npt.NDArray[Any], weights: FloatArray | None) -> Step:
        """Loss and gradients."""
        counted = counting(self.loss, t)
        outputs, value, gradient = self._judge(x, t, weights)
        self.model.backward(*(gradient if isinstance(gradient, tuple) else (gradient,)))
        right = count_correct(outputs, t, counted.right)
        is_mean = counted.of_examples is not None
        return Step(value, counted.of(slice(None)), right, int(counted.right.sum()), is_mean)

    def _judge(self, x: FloatArray, t: npt.NDArray[Any], weights: FloatArray | None) -> tuple[Any, float, Any]:
        """Outputs, loss and gradients of the outputs."""
        outputs = self.model.forward(x, training=True)
        value, gradient = self.loss(outputs, t) if weights is None else weighted(self.loss, outputs, t, weights)
        return outputs, float(value), gradient

    def close(self) -> None:
        """Nothing: all is on the host."""


class Step(NamedTuple):
    """What a batch gave: its loss, what that counts, hits (None where there are no classes), how many could be right,
    and whether the loss is a mean.
    """

    value: float
    share: float
    right: int | None
    can_be_right: int
    is_mean: bool
