"""Epochs on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.ops.backend import FloatArray
from dipkernels.train.evaluation import Loss, count_correct
from dipkernels.train.progress import RichBar, SilentBar


class CpuEpochs:
    """Trains `model` epoch by epoch on NumPy arrays."""

    def __init__(self, model: Graph, train: Dataset, optimizer: Optimizer, loss: Loss, batch_size: int) -> None:
        self.model, self.train, self.optimizer, self.loss = model, train, optimizer, loss
        self.batch_size = batch_size

    def run(
        self,
        number: int,
        order: npt.NDArray[np.int64],
        rng: np.random.Generator,
        augment: Callable[[np.random.Generator, FloatArray], FloatArray] | None,
        bar: SilentBar | RichBar,
    ) -> tuple[float, float | None]:
        """Epoch `number`, in this order: the mean loss and, for classes, the accuracy."""
        total, correct, seen = 0.0, 0, 0
        parameters = self.model.parameters
        classes = True
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            x, t = self.train.x[chosen], self.train.t[chosen]
            if augment is not None:
                x = augment(rng, x)
            outputs = self.model.forward(x, training=True)
            value, gradient = self.loss(outputs, t)
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"fit: the loss is {value} in epoch {number}, batch {first // self.batch_size + 1}; "
                    "a smaller learning rate usually helps"
                )
            self.model.backward(*(gradient if isinstance(gradient, tuple) else (gradient,)))
            self.optimizer.step(parameters, self.model.gradients)
            seen += len(chosen)
            total += float(value) * len(chosen)
            right = count_correct(outputs, t)
            classes = classes and right is not None
            correct += right or 0
            bar.update(len(chosen), total / seen, correct / seen if classes else None)
        return total / seen, correct / seen if classes else None

    def close(self) -> None:
        """Nothing: all is on the host."""
