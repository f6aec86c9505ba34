"""Several tasks on one trunk: the loss of a network with several heads, how the tasks are weighted, and in which order
they are learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipkernels import cuda
from dipkernels.arguments import choice, described, function, integer, limited
from dipkernels.checks import check_fields, checked, instance, listed, network, string
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.ops.backend import to_host
from dipkernels.train.evaluation import outputs_on_host, predict_heads
from dipkernels.train.loop import fit
from dipkernels.train.losses import Loss, as_loss
from dipkernels.train.progress import progress_bar

Schedule = Literal["joint", "alternating", "consecutive"]


@dataclass(frozen=True)
class HeadTask:
    """What one head learns.

    `loss` is as `fit` takes it; `targets` makes the head's targets of those of the data set, `lambda t: t[:, 0]` say;
    `weight` is how much its loss counts where weights are static; `score` judges (outputs, targets), by default by the
    loss.
    """

    name: str
    loss: Loss | str
    targets: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
    weight: float = 1.0
    score: Callable[[Any, Any], float] | None = None

    def __post_init__(self) -> None:
        check_fields(self, name=string, targets=function, weight=limited)
        as_loss("HeadTask", self.loss)


@dataclass(eq=False)
class MultiTaskLoss:
    """The loss of a network with a head for every task: a function (outputs, targets) → (loss, gradients) for `fit`.

    Parameters
    ----------
    tasks
        In the order of the network's outputs.
    weighting
        "static": Σ weight·L. "uncertainty": Σ exp(−s)·L + ½·s, where the network's last output are the log-variances s
        (one for each task), which `nn.Weights` learns: a task that the network is unsure of counts less.
    active
        The indices of the tasks that are learned now; None for all. The gradients of the others are zero.
    alternating
        One active task a call, in turn.

    Raises TypeError or ValueError for a loss or weighting that is none.

    Source: lecture, multi-task networks; Kendall, Gal, Cipolla 2018, "Multi-Task Learning Using Uncertainty to Weigh
    Losses" (with its ½ of a squared error in the loss itself, and exp(−s) for both kinds of tasks).
    """

    tasks: Sequence[HeadTask]
    weighting: Literal["static", "uncertainty"] = "static"
    active: Sequence[int] | None = None
    alternating: bool = False
    can_be_captured: bool = field(default=False, init=False)  # targets are taken apart on the host
    _calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        check_fields(self, tasks=listed(instance(HeadTask), 1))
        choice("MultiTaskLoss", "weighting", self.weighting, ("static", "uncertainty"))
        self._losses = [as_loss("MultiTaskLoss", task.loss) for task in self.tasks]

    def counts(self, t: npt.NDArray[Any]) -> Any:
        """Every example counts alike."""
        return np.ones(len(t), np.float32)

    def parts(self, outputs: Any, t: Any) -> list[tuple[float, Any]]:
        """The loss and the gradient of every task, without its weight."""
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        wanted = len(self.tasks) + (self.weighting == "uncertainty")
        if len(heads) != wanted:
            raise ValueError(f"MultiTaskLoss: the network must have {wanted} outputs, got {len(heads)}")
        on_host = t if isinstance(t, np.ndarray) else t.to_host()
        found = []
        for task, loss, head in zip(self.tasks, self._losses, heads, strict=False):
            target = task.targets(on_host)
            value, gradient = loss(head, target if isinstance(head, np.ndarray) else cuda.to_device(target))
            found.append((float(value), gradient))
        return found

    def __call__(self, outputs: Any, t: Any) -> tuple[float, Any]:
        """The loss, and the gradients of the outputs."""
        found = self.parts(outputs, t)
        learned = range(len(found)) if self.active is None else self.active
        if self.alternating:
            learned = [list(learned)[self._calls % len(learned)]]
            self._calls += 1
        if self.weighting == "static":
            weights = np.array([task.weight if i in learned else 0.0 for i, task in enumerate(self.tasks)])
            total = float(sum(w * value for w, (value, _) in zip(weights, found, strict=True) if w))
            return total, self._gradients(outputs, found, weights)
        s = to_host(outputs[-1]).astype(np.float64)
        weights = np.array([np.exp(-s[i]) if i in learned else 0.0 for i in range(len(found))])
        values = np.array([value for value, _ in found])
        total = float((weights * values).sum() + s[list(learned)].sum() / 2)
        ds = np.array([0.5 - w * v if w else 0.0 for w, v in zip(weights, values, strict=True)], np.float32)
        last = ds if isinstance(outputs[-1], np.ndarray) else cuda.to_device(ds)
        gradients = self._gradients(outputs, found, weights)
        return total, (*(gradients if isinstance(gradients, tuple) else (gradients,)), last)

    def _gradients(self, outputs: Any, found: Any, weights: npt.NDArray[Any]) -> Any:
        scaled = []
        for (_, gradient), weight in zip(found, weights, strict=True):
            product = np.float32(weight) * to_host(gradient) if weight else np.zeros(gradient.shape, np.float32)
            scaled.append(product if isinstance(gradient, np.ndarray) else cuda.to_device(product))
        return tuple(scaled) if isinstance(outputs, tuple) else scaled[0]


@dataclass(frozen=True)
class ScheduledTraining:
    """What `fit_tasks` returns: the scores (epochs, tasks) of the validation data after every epoch, by which task, or
    tasks, were learned in it, and, with weights by uncertainty, the log-variances (epochs, tasks).
    """

    names: tuple[str, ...]
    scores: npt.NDArray[np.float64]
    learned: tuple[tuple[str, ...], ...]
    log_variances: npt.NDArray[np.float64] | None


@checked(model=network, data=instance(Dataset), tasks=listed(instance(HeadTask)))
def task_scores(model: Graph, data: Dataset, tasks: Sequence[HeadTask]) -> list[float]:
    """Every task's score on a data set; ValueError where that is empty."""
    if not len(data):
        raise ValueError("task_scores: the data set is empty")
    found = []
    for task, outputs in zip(tasks, predict_heads(model, data.x), strict=False):
        target = task.targets(data.t)
        judged = task.score(outputs, target) if task.score else as_loss("task_scores", task.loss)(outputs, target)[0]
        found.append(float(judged))
    return found


@checked(model=network, data=instance(Splits), tasks=listed(instance(HeadTask), 1))
def fit_tasks(
    model: Graph,
    data: Splits,
    tasks: Sequence[HeadTask],
    *,
    schedule: Schedule = "joint",
    weighting: Literal["static", "uncertainty"] = "static",
    optimizer: Callable[[], Optimizer],
    epochs: int = 10,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> ScheduledTraining:
    """Trains a network with a head for every task, and scores all tasks after every epoch.

    Parameters
    ----------
    schedule
        "joint": all tasks in every batch. "alternating": one task a batch, in turn. "consecutive": one task after the
        other, `epochs` each, with an optimizer of its own; what the trunk unlearns of the first shows in the scores.
    weighting, device
        As `MultiTaskLoss` and `fit` take them.
    optimizer
        Makes one, `lambda: nn.Adam(0.002)` say.
    epochs
        Of every task where they come one after the other, else of all.

    Raises as `fit`, and ValueError for another schedule. Source: lecture, multi-task networks: consecutive training
    forgets, alternating training does not.
    """
    choice("fit_tasks", "schedule", schedule, ("joint", "alternating", "consecutive"))
    epochs = integer("fit_tasks", "epochs", epochs, 1)
    if not callable(optimizer):
        raise TypeError(f"fit_tasks: optimizer must be a function that makes one, got {described(optimizer)}")
    phases = [[i] for i in range(len(tasks))] if schedule == "consecutive" else [list(range(len(tasks)))]
    scores: list[list[float]] = []
    learned: list[tuple[str, ...]] = []
    variances: list[npt.NDArray[np.float64]] = []
    rounds = epochs * len(phases)
    with progress_bar(progress, rounds * len(data.train)) as bar:
        for active in phases:
            chosen = optimizer()
            loss = MultiTaskLoss(tasks, weighting, active, schedule == "alternating")
            for _ in range(epochs):
                number = len(scores)
                history = fit(
                    model, data.train, loss=loss, optimizer=chosen, epochs=1, batch_size=batch_size, seed=seed + number,
                    keep="last", progress=False, device=device,
                )  # fmt: skip
                scores.append(task_scores(model, data.validation, tasks))
                learned.append(tuple(tasks[i].name for i in active))
                if weighting == "uncertainty":
                    variances.append(np.array(outputs_on_host(model, data.train.x[:1])[-1], np.float64))
                bar.update(len(data.train), history.epochs[-1].train_loss)
                bar.finish_epoch(_line(number + 1, rounds, history.epochs[-1].train_loss, tasks, scores[-1]))
    names = tuple(task.name for task in tasks)
    return ScheduledTraining(
        names, np.array(scores), tuple(learned), np.array(variances) if weighting == "uncertainty" else None
    )


def _line(number: int, rounds: int, loss: float, tasks: Sequence[HeadTask], scores: Sequence[float]) -> str:
    """What an epoch came to."""
    said = "  ".join(f"{task.name} {score:.4f}" for task, score in zip(tasks, scores, strict=True))
    return f"epoch {number:3}/{rounds}  loss {loss:.4f}  {said}"
