"""Epochs on the GPU: the data stay there, and each step is one launch of a captured graph."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import cuda
from dipkernels.data.augmentation import Augmentation, augmented
from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.ops.backend import FloatArray, backend_of
from dipkernels.train.evaluation import are_classes
from dipkernels.train.losses import Loss, counting
from dipkernels.train.progress import RichBar, SilentBar

_SECONDS_BETWEEN_LOOKS = 0.25


def on_gpu(t: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Targets as they are stored there: labels as int64."""
    return t.astype(np.int64) if t.dtype.kind in "iu" else t


def loss_on_gpu(loss: Loss) -> Loss:
    """The loss with its weights of the classes, if it has any, there."""
    if not isinstance(loss, functools.partial):
        return loss
    there = {k: cuda.to_device(v) if isinstance(v, np.ndarray) else v for k, v in loss.keywords.items()}
    return functools.partial(loss.func, *loss.args, **there)


class GpuEpochs:
    """Trains `model`, whose weights it moves to the GPU, epoch by epoch; `close` moves them back.

    A step gathers its batch from the data on the GPU, runs forward and backward, updates the weights, and adds up loss
    and hits there. It is captured once for each batch size, and replayed, unless a layer or the loss says that it
    cannot be: the learning rates and the counter of steps, which chooses the masks of `Dropout`, lie on the GPU too.
    The host looks at the totals a few times a second for the progress bar, and at the end of the epoch.
    """

    def __init__(
        self,
        model: Graph,
        train: Dataset,
        optimizer: Optimizer,
        loss: Loss,
        batch_size: int,
        sample_weight: FloatArray | None = None,
    ) -> None:
        if sample_weight is not None:
            raise ValueError('fit: sample_weight is for device="cpu", got device="cuda"')
        self.model, self.train, self.optimizer, self.loss = model, train, optimizer, loss_on_gpu(loss)
        self.batch_size = batch_size
        model.to_device()
        optimizer.to_device(list(model.parameters))
        labels = on_gpu(train.t)
        self._x, self._t = cuda.to_device(train.x), cuda.to_device(labels)
        self._counting = counting(loss, train.t)
        # No class is −1: an ignored label that is the number of a class must not be right.
        counts = self._counting.right
        self._hits = None if counts.all() or labels.ndim != 1 else cuda.to_device(np.where(counts, labels, -1))
        of_examples = self._counting.of_examples
        self._counts = None if of_examples is None else cuda.to_device(of_examples)
        self._order = cuda.to_device(np.zeros(len(train), np.int64))
        self._position = cuda.to_device(np.zeros(1, np.int64))  # in the order
        self._totals = cuda.to_device(np.zeros(2))  # loss and hits
        self._lr = optimizer.lr
        assert optimizer.device_step is not None
        for layer in model.layers.values():
            layer.begin_capture(optimizer.steps, optimizer.device_step)
        self._may_capture = all(each.can_be_captured for each in model.layers.values())
        self._may_capture &= getattr(loss, "can_be_captured", True)
        self._backend = backend_of("fit", self._x)
        self._classes = False
        self._buffers: dict[int, tuple[Any, Any, Any, Any]] = {}
        self._graphs: dict[int, cuda.Graph] = {}

    def run(
        self,
        number: int,
        order: npt.NDArray[np.int64],
        rng: np.random.Generator,
        augment: Augmentation | None,
        bar: SilentBar | RichBar,
    ) -> tuple[float, float | None]:
        """Epoch `number`, in this order: the mean loss and, for classes, the accuracy."""
        self._order.set(order)
        self._position.set(np.zeros(1, np.int64))
        self._totals.set(np.zeros(2))
        if self._lr != self.optimizer.lr:
            self.optimizer.renew_device_rates(list(self.model.parameters))
            self._lr = self.optimizer.lr
        steps = self.optimizer.steps
        looked, shown, loss = time.perf_counter(), 0, 0.0
        right: float | None = None
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            if augment is None:
                self._step(len(chosen))
            else:
                self._step(len(chosen), augmented(augment, rng, self.train.x[chosen], self.train.t[chosen]))
            steps += 1
            seen = first + len(chosen)
            if seen == len(order) or time.perf_counter() - looked > _SECONDS_BETWEEN_LOOKS:
                loss, hits = (float(total) for total in self._totals.to_host())
                counted = self._counting.of(order[:seen])
                loss = loss / counted if counted else float("nan")
                can_be_right = int(self._counting.right[order[:seen]].sum())
                right = hits / can_be_right if self._classes and can_be_right else None
                bar.update(seen - shown, loss, right)
                looked, shown = time.perf_counter(), seen
        self.optimizer.steps = steps
        for layer in self.model.layers.values():
            layer.replayed(steps)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"fit: the loss is {loss} at the end of epoch {number}; a smaller learning rate usually helps"
            )
        return loss, right

    def _step(self, size: int, batch: tuple[FloatArray, npt.NDArray[Any]] | None = None) -> None:
        if size not in self._buffers:
            counts = None if self._counts is None else self._counts[:size].copy()
            hits = None if self._hits is None else self._hits[:size].copy()
            self._buffers[size] = self._x[:size].copy(), self._t[:size].copy(), counts, hits
        x, t, _, _ = self._buffers[size]
        if batch is not None:
            x.set(np.ascontiguousarray(batch[0]))
            t.set(np.ascontiguousarray(on_gpu(batch[1])))
        if size in self._graphs:
            self.step_again(size)
            return
        # The first one is not captured: it makes the optimizer's state and loads the kernels.
        self._learn(size, batch is None)
        if not self._may_capture:
            return
        self._graphs[size] = cuda.Graph()
        with self._graphs[size]:
            self._learn(size, batch is None)

    def _learn(self, size: int, gathers: bool) -> None:
        """A step on the batch in the buffers; with `gathers` it is brought there from all data."""
        x, t, counts, hits = buffers = self._buffers[size]
        sources = (self._x if gathers else None, self._t if gathers else None, self._counts, self._hits)
        pairs = [(source, buffer) for source, buffer in zip(sources, buffers, strict=True) if source is not None]
        if pairs:
            gathered, into = zip(*pairs, strict=True)
            self._backend.gather_rows(list(gathered), self._order, self._position, list(into))
        outputs = self.model.forward(x, training=True)
        value, gradient = self.loss(outputs, t)
        if isinstance(value, float):  # of a loss that is computed on the host
            value = cuda.to_device(np.array(value))
        self.model.backward(*(gradient if isinstance(gradient, tuple) else (gradient,)))
        self.optimizer.step(self.model.parameters, self.model.gradients)
        self._classes = self.train.t.ndim == 1 and are_classes(outputs, self.train.t)
        logits, labels = (outputs, t if hits is None else hits) if self._classes else (None, None)
        self._backend.finish_step(
            value, counts, logits, labels, len(x), self._totals, self._position, self.optimizer.device_step
        )

    def step_again(self, size: int) -> None:
        """Replays the captured step of so many examples, at the place in the order where the last one stopped.

        KeyError where none was captured.
        """
        self._graphs[size].replay()

    def close(self) -> None:
        """Moves weights and optimizer state back to the host."""
        self._graphs.clear()
        self.model.to_host()
        self.optimizer.to_host()
        for layer in self.model.layers.values():
            layer.end_capture()
