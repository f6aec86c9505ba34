"""The study of multi-task training: schedules and weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels import models, nn, viz
from dipkernels.cli.studies import Findings, Settings, percent
from dipkernels.data import digit_tasks
from dipkernels.train import HeadTask, fit_tasks, task_scores

_COUNTS = {"digit": 10, "slant": 1, "image": 256}


def _accuracy(logits: Any, t: Any) -> float:
    return float((logits.argmax(1) == t).mean())


def _error(y: Any, t: Any) -> float:
    return float(np.sqrt(np.square(y - t, dtype=np.float64).mean()))


TASKS = [
    HeadTask("digit", "cross_entropy", lambda t: t[:, 0].astype(np.int64), score=_accuracy),
    HeadTask("slant", "mse", lambda t: np.ascontiguousarray(t[:, 1:2]), score=_error),
    HeadTask("image", "mse", lambda t: np.ascontiguousarray(t[:, 2:]), score=_error),
]


def study(settings: Settings) -> Findings:
    """Trains networks for one task each, and for all of them in every way."""
    epochs = settings.epochs or 40
    parts = digit_tasks(seed=settings.seed)

    def train(tasks: list[HeadTask], **options: Any) -> tuple[list[float], Any]:
        weighted = options.get("weighting") == "uncertainty"
        model = models.multi_head(
            {task.name: _COUNTS[task.name] for task in tasks}, log_variances=weighted, seed=settings.seed
        )
        history = fit_tasks(
            model,
            parts,
            tasks,
            optimizer=lambda: nn.Adam(0.002),
            epochs=epochs * (3 if options.get("schedule") == "alternating" else 1),
            seed=settings.seed,
            progress=False,
            **options,
        )
        return task_scores(model, parts.test, tasks), history

    single = [train([task])[0][0] for task in TASKS]
    results: dict[str, tuple[list[float], Any]] = {"a network each": (single, None)}
    for name, options in {
        "joint": {},
        "joint, weights by uncertainty": {"weighting": "uncertainty"},
        "alternating, a task a batch": {"schedule": "alternating"},
        "one after the other": {"schedule": "consecutive"},
    }.items():
        results[name] = train(TASKS, **options)
    rows = [(name, percent(s[0]), f"{s[1]:.3f}", f"{s[2]:.3f}") for name, (s, _) in results.items()]
    consecutive = results["one after the other"][1]
    best = consecutive.scores[:epochs, 0].max()
    variances = results["joint, weights by uncertainty"][1].log_variances[-1]
    weights = ", ".join(f"{task.name} {np.exp(-s):.2f}" for task, s in zip(TASKS, variances, strict=True))
    says = (
        f"One after the other, the digits are known to {percent(best)} when the next task begins, and to "
        f"{percent(consecutive.scores[-1, 0])} at the end. The weights that uncertainty came to: {weights}."
    )
    return Findings(
        ("trained", "digit", "slant, error", "image, error"), rows, says, {"tasks.png": viz.forgetting(consecutive)}
    )
