"""Epochs on several processes, on the CPU or with a GPU each, by data parallelism: `train.Ranks`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipkernels import cuda
from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.ops.backend import FloatArray, to_host
from dipkernels.train.cpu import CpuEpochs, Step
from dipkernels.train.gpu import loss_on_gpu, on_gpu
from dipkernels.train.losses import Loss
from dipkernels.train.ranks import Ranks


class RankEpochs(CpuEpochs):
    """Trains `model` epoch by epoch, on this rank's share of every batch.

    The data stay on the host, and the share of a batch goes to the GPU where the network computes there.
    """

    def __init__(
        self,
        model: Graph,
        train: Dataset,
        optimizer: Optimizer,
        loss: Loss,
        batch_size: int,
        ranks: Ranks,
        device: Literal["cpu", "cuda"],
    ) -> None:
        super().__init__(model, train, optimizer, loss, batch_size)
        self.ranks = ranks
        if device == "cuda":
            model.to_device()
            optimizer.move_state(cuda.to_device)
            self._loss_on_gpu = loss_on_gpu(loss)

    def _step(self, x: FloatArray, t: npt.NDArray[Any], weights: FloatArray | None) -> Step:
        """Learns from this rank's share of a batch, and with the others of all of it."""
        part = self.ranks.share(np.arange(len(x)))
        # A rank without a share has nothing to add.
        step = self._compute(x[part], t[part], None) if len(part) else Step(0.0, 0.0, 0, 0, True)
        own = step.value * step.share if step.share else 0.0
        flags = step.right is None, not step.is_mean
        sums = np.array([step.share, own, step.right or 0, step.can_be_right, *flags], np.float64)
        self.ranks.add(sums)
        share, value = float(sums[0]), float(sums[1])
        is_mean = not sums[5]
        total = share if is_mean else 1.0
        parameters = self.model.parameters
        gradients = self.ranks.average(self.model.gradients, parameters, step.share, total or 1.0)
        self.optimizer.step(parameters, gradients)
        right = None if sums[4] else int(sums[2])
        return Step(value / total if total else float("nan"), total, right, int(sums[3]), is_mean)

    def _judge(self, x: FloatArray, t: npt.NDArray[Any], weights: FloatArray | None) -> tuple[Any, float, Any]:
        if not self.model.on_device:
            return super()._judge(x, t, weights)
        outputs = self.model.forward(cuda.to_device(x), training=True)  # type: ignore[arg-type]
        value, gradient = self._loss_on_gpu(outputs, cuda.to_device(on_gpu(t)))
        return outputs if isinstance(outputs, tuple) else to_host(outputs), float(value), gradient

    def close(self) -> None:
        """Moves weights and optimizer state back to the host."""
        if self.model.on_device:
            self.model.to_host()
            self.optimizer.move_state(to_host)
