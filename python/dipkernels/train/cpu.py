"""Epochs on the CPU."""

from __future__ import annotations

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
        total, count, correct, seen, can_be_right = 0.0, 0.0, 0, 0, 0
        parameters = self.model.parameters
        classes = True
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            x, t = self.train.x[chosen], self.train.t[chosen]
            x, t = augmented(augment, rng, x, t)
            counted = counting(self.loss, t)
            outputs = self.model.forward(x, training=True)
            share = counted.of(slice(None))
            if self.sample_weight is None:
                value, gradient = self.loss(outputs, t)
            else:
                value, gradient = weighted(self.loss, outputs, t, self.sample_weight[chosen])
            if share and not np.isfinite(value):
                raise FloatingPointError(
                    f"fit: the loss is {value} in epoch {number}, batch {first // self.batch_size + 1}; "
                    "a smaller learning rate usually helps"
                )
            self.model.backward(*(gradient if isinstance(gradient, tuple) else (gradient,)))
            self.optimizer.step(parameters, self.model.gradients)
            seen += len(chosen)
            if share:
                total, count = total + float(value) * share, count + share
            right = count_correct(outputs, t, counted.right)
            classes = classes and right is not None
            correct += right or 0
            can_be_right += int(counted.right.sum())
            mean = total if counted.of_examples is None else total / count if count else float("nan")
            accuracy = correct / can_be_right if classes and can_be_right else None
            bar.update(len(chosen), mean, accuracy)
        return mean, accuracy

    def close(self) -> None:
        """Nothing: all is on the host."""
