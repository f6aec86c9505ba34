"""The training loop: learning by pattern, by mini-batch or by epoch."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dipkernels import ops
from dipkernels.arguments import choice, described, flag, function, integer, limited
from dipkernels.checks import checked, network
from dipkernels.data.augmentation import Augmentation
from dipkernels.data.dataset import Dataset, Splits, as_dataset
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import OPTIMIZERS, SGD, Optimizer
from dipkernels.nn.serialization import set_state
from dipkernels.ops.backend import FloatArray, to_host
from dipkernels.train.checkpoint import RunState, check_writable, load_checkpoint, save_checkpoint
from dipkernels.train.cpu import CpuEpochs
from dipkernels.train.data_parallel import RankEpochs
from dipkernels.train.evaluation import Evaluation, evaluate
from dipkernels.train.gpu import GpuEpochs
from dipkernels.train.history import Epoch, History, to_json
from dipkernels.train.losses import Loss, as_loss, counting, name_of
from dipkernels.train.progress import progress_bar
from dipkernels.train.ranks import Ranks


@checked(model=network)
def fit(
    model: Graph,
    train: Dataset | Splits | Any,
    validation: Dataset | Any = None,
    *,
    optimizer: Optimizer | str = "adam",
    loss: Loss | str = ops.cross_entropy_with_grad,
    epochs: int = 10,
    batch_size: int | Literal["pattern", "epoch"] = 64,
    seed: int = 0,
    augment: Augmentation | None = None,
    schedule: Callable[[int], float] | None = None,
    patience: int | None = None,
    keep: Literal["best", "last"] = "best",
    sample_weight: FloatArray | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    progress: bool | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    ranks: Ranks | None = None,
) -> History:
    """Trains `model` in place and returns what happened.

    Parameters
    ----------
    train, validation
        Data sets; or `Splits`, whose training and validation parts are taken; or arrays of inputs and targets. With
        validation data the best epoch is the one with the lowest validation loss, else with the lowest training loss.
        A loss that is NaN is never the best.
    optimizer
        One of `nn`, or its name, "sgd" (learning rate 0.01), "adagrad", "adadelta" or "adam".
    loss
        A function of `ops`, its name without "_loss", `functools.partial` of it, or any function (outputs, targets) →
        (loss, gradient). A network with several heads gives a tuple of outputs, and takes a tuple of gradients. Over
        an epoch a mean is one over all that counts: examples, or the weights of labels that are not ignored.
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
    keep
        Which epoch's weights the model ends with. "last" suits validation data that say little, and a learning rate
        that goes to nothing.
    sample_weight
        float32 (N,), at least 0: how often each training example counts. On the CPU.
    checkpoint
        A file written after every epoch. Where it exists, training goes on from it, and ends with the same bits as if
        it had never stopped. It must be of the same seed, batch size, loss and optimizer.
    resume
        False begins anew where the checkpoint exists; that stays until the first epoch's replaces it.
    progress
        A progress bar: True, False, or None for one where rich is installed.
    device
        "cuda" trains on the GPU: `train.gpu` says how. The model's weights are on the host again afterwards.
    ranks
        The processes of an MPI job that train this model together, `train.Ranks()` on each of them with the same other
        arguments: every one computes a share of each batch. The result is that of one process up to rounding, but for
        layers that see the whole batch (`BatchNorm` sees the share) or draw masks.

    Raises
    ------
    TypeError, ValueError
        Data, loss or optimizer that are none of those; empty training data; a batch size, number of epochs or patience
        below 1; another device; a checkpoint of other settings.
    OSError
        The folder of the checkpoint cannot be written to; before training begins.
    FloatingPointError
        The loss is NaN or infinite; the message says where. The model keeps the weights of that step; on the GPU, where
        the loss is looked at once an epoch, those of the epoch's end.
    RuntimeError
        device is "cuda", and there is no GPU, or no CUDA backend.

    Source: lecture, backpropagation, learning by pattern, mini-batch and epoch, early stopping.
    """
    train, validation = _data(train, validation)
    loss, optimizer = as_loss("fit", loss), _as_optimizer(optimizer)
    if not len(train):
        raise ValueError("fit: the training data are empty")
    epochs, seed = integer("fit", "epochs", epochs, 1), integer("fit", "seed", seed, 0)
    patience = None if patience is None else integer("fit", "patience", patience, 1)
    if isinstance(batch_size, str):
        choice("fit", "batch_size", batch_size, ("pattern", "epoch"))
    size = {"pattern": 1, "epoch": len(train)}[batch_size] if isinstance(batch_size, str) else batch_size
    size = integer("fit", "batch_size", size, 1, 'an int, "pattern" or "epoch"')
    choice("fit", "device", device, ("cpu", "cuda"))
    choice("fit", "keep", keep, ("best", "last"))
    for name, value in (("augment", augment), ("schedule", schedule)):
        if value is not None:
            function("fit", name, value)
    weights = None if sample_weight is None else _sample_weight(sample_weight, len(train))
    if ranks is not None and weights is not None:
        raise ValueError("fit: sample_weight is for one process: leave out ranks, or sample_weight")
    settings = {
        "batch_size": size,
        "seed": seed,
        "loss": name_of(loss),
        "optimizer": type(optimizer).__name__,
        **optimizer.hyperparameters(),
        "examples": len(train),
        "patience": patience,
        "device": device,
    }
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        check_writable(path)
    if path is not None and path.exists() and flag("fit", "resume", resume):
        saved = load_checkpoint(path, model, optimizer)
        _check_settings(path, saved.run, settings)
        run = saved.restore(model, optimizer)
        if run.loss and hasattr(loss, "set_state"):
            loss.set_state(run.loss)
        _go_on(path, run, epochs, patience)
    else:
        run = RunState(np.random.default_rng(seed))
    run.history.settings.update(settings)
    done = len(run.history.epochs)
    learner: CpuEpochs | GpuEpochs
    if ranks is not None:
        learner = RankEpochs(model, train, optimizer, loss, size, ranks, device)
    elif device == "cuda":
        learner = GpuEpochs(model, train, optimizer, loss, size, weights)
    else:
        learner = CpuEpochs(model, train, optimizer, loss, size, weights)
    is_first = ranks is None or ranks.is_first
    with (
        contextlib.closing(learner) as epochs_of_data,
        progress_bar(progress if is_first else False, epochs * len(train), done * len(train)) as bar,
    ):
        for number in range(done + 1, epochs + 1):
            if run.stopped:
                break
            if schedule is not None:
                optimizer.lr = limited("fit", "what schedule returns", schedule(number))
            start = time.perf_counter()
            train_loss, accuracy = epochs_of_data.run(number, run.rng.permutation(len(train)), run.rng, augment, bar)
            seconds = time.perf_counter() - start
            checked = _checked(model, validation, loss, ranks) if validation is not None and len(validation) else None
            epoch = Epoch(
                number=number,
                lr=optimizer.lr,
                train_loss=train_loss,
                train_accuracy=accuracy,
                validation_loss=checked.loss if checked else None,
                validation_accuracy=checked.accuracy if checked else None,
                seconds=seconds,
                images_per_second=len(train) / seconds,
            )
            _keep_best(model, run, epoch, patience)
            if path is not None and is_first:
                run.loss = loss.state() if hasattr(loss, "state") else {}
                save_checkpoint(path, model, optimizer, run)
            bar.finish_epoch(_line(epoch, epochs, bar.width))
        if run.best and keep == "best":
            set_state(model, run.best, "the best epoch")
    return run.history


def _checked(model: Graph, validation: Dataset, loss: Loss, ranks: Ranks | None) -> Evaluation:
    """Loss and accuracy on the validation data, of which every rank judges a share."""
    if ranks is None:
        return evaluate(model, validation, loss=loss)
    part = ranks.share(np.arange(len(validation)))
    sums = np.zeros(5)
    if len(part):
        data = validation.subset(part)
        found, counted = evaluate(model, data, loss=loss), counting(loss, data.t)
        share = 1.0 if counted.of_examples is None else counted.of(slice(None))
        can_be_right = 0 if found.accuracy is None else int(counted.right.sum())
        hits = (found.accuracy or 0) * can_be_right
        sums[:] = share, found.loss * share if share else 0, hits, can_be_right, counted.of_examples is None
    ranks.add(sums)
    share, value, hits, can_be_right, is_sum = sums.tolist()
    mean = value if is_sum else value / share if share else float("nan")
    return Evaluation(mean, hits / can_be_right if can_be_right else None, None)


def _data(train: Any, validation: Any) -> tuple[Dataset, Dataset | None]:
    if isinstance(train, Splits):
        return train.train, train.validation if validation is None else as_dataset("fit", validation, None)
    if isinstance(train, Dataset):
        return train, None if validation is None else as_dataset("fit", validation, None)
    return as_dataset("fit", train, validation), None


def _as_optimizer(optimizer: Any) -> Optimizer:
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer.lower() in OPTIMIZERS:
        kind = OPTIMIZERS[optimizer.lower()]
        return SGD(0.01) if kind is SGD else kind()  # type: ignore[call-arg]
    raise (ValueError if isinstance(optimizer, str) else TypeError)(
        f"fit: optimizer must be an optimizer such as nn.Adam(0.001), or one of {', '.join(OPTIMIZERS)}, "
        f"got {described(optimizer)}"
    )


def _sample_weight(weights: Any, count: int) -> FloatArray:
    array = np.asarray(weights, np.float32)
    if array.shape != (count,) or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"fit: sample_weight must be {count} finite numbers of at least 0, got {described(weights)}")
    return array


def _check_settings(path: Path, run: RunState, settings: dict[str, Any]) -> None:
    """Training that goes on with other settings would be neither the old run nor a new one."""
    before = run.history.settings
    free = ("lr", "patience", "device")  # a schedule may set the rate; the others change nothing that was computed
    wanted = json.loads(to_json(settings))
    for name, value in wanted.items():
        if name not in free and name in before and before[name] != value:
            raise ValueError(
                f"fit: {path} was written with {name} {before[name]!r}, not {value!r}; "
                "give the same, or another checkpoint to start anew"
            )


def _go_on(path: Path, run: RunState, epochs: int, patience: int | None) -> None:
    """Whether there is anything left to do, and if not why."""
    done, best = len(run.history.epochs), run.history.best_epoch or 0
    if run.stopped and (patience is None or done - best < patience):
        run.stopped = False
    if done >= epochs:
        warnings.warn(
            f"fit: {path} has {done} epochs already, and epochs is {epochs}: nothing is left to do", stacklevel=3
        )
    elif run.stopped:
        warnings.warn(
            f"fit: {path} stopped early, {done - best} epochs after the best one: nothing is left to do with "
            f"patience {patience}; a larger one goes on",
            stacklevel=3,
        )


def _keep_best(model: Graph, run: RunState, epoch: Epoch, patience: int | None) -> None:
    run.history.epochs.append(epoch)
    judged = epoch.train_loss if epoch.validation_loss is None else epoch.validation_loss
    if judged < run.best_loss:
        run.best_loss, run.history.best_epoch = judged, epoch.number
        run.best = {name: to_host(value) for name, value in model.state.items()}
    elif patience is not None and epoch.number - (run.history.best_epoch or 0) >= patience:
        run.stopped = True


def _line(epoch: Epoch, epochs: int, width: int) -> str:
    """At most 80 characters, in a narrower terminal at most 60, so that none breaks it."""
    wide = width >= 80
    text = f"epoch {epoch.number:3}/{epochs}  loss {epoch.train_loss:.4f}"
    if epoch.train_accuracy is not None:
        text += f" {epoch.train_accuracy:7.2%}"
    if epoch.validation_loss is not None:
        text += f"  {'validation' if wide else 'val.'} {epoch.validation_loss:.4f}"
    if epoch.validation_accuracy is not None:
        text += f" {epoch.validation_accuracy:7.2%}"
    return text + f"  {epoch.images_per_second:7,.0f} images/s" if wide else text
