"""The training loop: learning by pattern, by mini-batch or by epoch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from dipkernels import ops
from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.nn.serialization import set_parameters
from dipkernels.ops.backend import FloatArray, to_host
from dipkernels.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from dipkernels.train.cpu import CpuEpochs
from dipkernels.train.evaluation import Loss, evaluate
from dipkernels.train.gpu import GpuEpochs
from dipkernels.train.history import Epoch, History
from dipkernels.train.progress import progress_bar


def fit(
    model: Graph,
    train: Dataset,
    validation: Dataset | None = None,
    *,
    optimizer: Optimizer,
    loss: Loss = ops.cross_entropy_with_grad,
    epochs: int = 10,
    batch_size: int | Literal["pattern", "epoch"] = 64,
    seed: int = 0,
    augment: Callable[[np.random.Generator, FloatArray], FloatArray] | None = None,
    schedule: Callable[[int], float] | None = None,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> History:
    """Trains `model` in place and returns what happened.

    Parameters
    ----------
    train, validation
        With validation data the best epoch is the one with the lowest validation loss, else with the lowest training
        loss; its weights are what the model ends with.
    loss
        (outputs, targets) → (loss, gradient), like the `…_with_grad` functions of `ops`. A network with several heads
        gives a tuple of outputs, and takes a tuple of gradients.
    epochs
        At most.
    batch_size
        A number; "pattern" updates after every example, "epoch" once with the gradient of all of them.
    seed
        Of the order of the examples and of the augmentation. The same seed gives the same bits, for any number of
        threads.
    augment
        (rng, images) → images, for each batch, such as `data.AffineAugmentation()`.
    schedule
        epoch (from 1) → learning rate.
    patience
        Stop early after so many epochs without a better one.
    checkpoint
        A file written after every epoch. Where it exists, training goes on from it, and ends with the same bits as if
        it had never stopped.
    progress
        A progress bar: True, False, or None for one where rich is installed.
    device
        "cuda" trains on the GPU: `train.gpu` says how. The model's weights are on the host again afterwards.

    Raises
    ------
    ValueError
        Empty training data, a batch size, number of epochs or patience below 1, or another device.
    FloatingPointError
        The loss is NaN or infinite; the message says where. The model keeps the weights of that step; on the GPU, where
        the loss is looked at once an epoch, those of the epoch's end.
    RuntimeError
        device is "cuda", and there is no GPU, or no CUDA backend.

    Source: lecture, backpropagation, learning by pattern, mini-batch and epoch, early stopping.
    """
    size = {"pattern": 1, "epoch": len(train)}.get(batch_size, 0) if isinstance(batch_size, str) else batch_size
    if not len(train):
        raise ValueError("fit: the training data are empty")
    if size < 1 or epochs < 1 or (patience is not None and patience < 1):
        raise ValueError(
            f'fit: batch_size must be at least 1, "pattern" or "epoch", epochs and patience at least 1; '
            f"got {batch_size!r}, {epochs}, {patience}"
        )
    if device not in ("cpu", "cuda"):
        raise ValueError(f'fit: device must be "cpu" or "cuda", got {device!r}')
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        run = load_checkpoint(path, model, optimizer)
    else:
        run = Progress(np.random.default_rng(seed))
        run.history.settings = {"batch_size": size, "seed": seed, **optimizer.hyperparameters()}
    done = len(run.history.epochs)
    learn = GpuEpochs if device == "cuda" else CpuEpochs
    with (
        contextlib.closing(learn(model, train, optimizer, loss, size)) as epochs_of_data,
        progress_bar(progress, epochs * len(train), done * len(train)) as bar,
    ):
        for number in range(done + 1, epochs + 1):
            if run.stopped:
                break
            if schedule is not None:
                optimizer.lr = schedule(number)
            start = time.perf_counter()
            train_loss, accuracy = epochs_of_data.run(number, run.rng.permutation(len(train)), run.rng, augment, bar)
            seconds = time.perf_counter() - start
            checked = evaluate(model, validation, loss) if validation is not None and len(validation) else None
            epoch = Epoch(
                number,
                optimizer.lr,
                train_loss,
                accuracy,
                checked.loss if checked else None,
                checked.accuracy if checked else None,
                seconds,
                len(train) / seconds,
            )
            _keep_best(model, run, epoch, patience)
            if path is not None:
                save_checkpoint(path, model, optimizer, run)
            bar.finish_epoch(_line(epoch, epochs))
        set_parameters(model, run.best, "the best epoch")
    return run.history


def _keep_best(model: Graph, run: Progress, epoch: Epoch, patience: int | None) -> None:
    run.history.epochs.append(epoch)
    judged = epoch.train_loss if epoch.validation_loss is None else epoch.validation_loss
    if judged < run.best_loss or not run.best:
        run.best_loss, run.history.best_epoch = judged, epoch.number
        run.best = {name: to_host(value) for name, value in model.parameters.items()}
    elif patience is not None and epoch.number - (run.history.best_epoch or 0) >= patience:
        run.stopped = True


def _line(epoch: Epoch, epochs: int) -> str:
    """At most 80 characters, so that no terminal breaks it."""
    text = f"epoch {epoch.number:3}/{epochs}  loss {epoch.train_loss:.4f}"
    if epoch.train_accuracy is not None:
        text += f" {epoch.train_accuracy:7.2%}"
    if epoch.validation_loss is not None:
        text += f"  validation {epoch.validation_loss:.4f}"
    if epoch.validation_accuracy is not None:
        text += f" {epoch.validation_accuracy:7.2%}"
    return text + f"  {epoch.images_per_second:7,.0f} images/s"
