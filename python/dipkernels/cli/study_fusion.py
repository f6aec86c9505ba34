"""The study of temporal fusion: what a single frame cannot tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dipkernels import models, nn, viz
from dipkernels.cli.studies import Findings, Settings, percent
from dipkernels.data import DIRECTIONS, moving_digits
from dipkernels.nn.graph import Graph
from dipkernels.train import HeadTask, fit_tasks, predict_heads
from dipkernels.train.progress import progress_bar

_HEADS = {"digit": 10, "direction": len(DIRECTIONS)}

_NETWORKS: dict[str, Callable[[int], Graph]] = {
    "single frame": lambda seed: models.single_frame(_HEADS, seed=seed),
    "late fusion": lambda seed: models.late_fusion(_HEADS, seed=seed),
    "early fusion": lambda seed: models.early_fusion(_HEADS, seed=seed),
    "slow fusion": lambda seed: models.slow_fusion(_HEADS, seed=seed),
    "C3D": lambda seed: models.c3d(
        _HEADS, (1, 10, 32, 32), channels=((16,), (32,), (64,)), hidden=64, dropout=0.2, seed=seed
    ),
}


def study(settings: Settings) -> Findings:
    """Trains each network on the same clips to say which digit moves and where to."""
    epochs = settings.epochs or 15
    parts = moving_digits(seed=settings.seed)
    tasks = [
        HeadTask("digit", "cross_entropy", lambda t: t[:, 0]),
        HeadTask("direction", "cross_entropy", lambda t: t[:, 1]),
    ]
    rows, scores = [], {}
    with progress_bar(None, len(_NETWORKS), what="learning") as bar:
        for name, build in _NETWORKS.items():
            model = build(settings.seed)
            fit_tasks(
                model, parts, tasks, optimizer=lambda: nn.Adam(0.002), epochs=epochs, seed=settings.seed, progress=False
            )
            digit, direction = (
                heads.argmax(1) == parts.test.t[:, i] for i, heads in enumerate(predict_heads(model, parts.test.x))
            )
            scores[name] = [float(right.mean()) for right in (digit, direction, digit & direction)]
            rows.append((name, f"{model.parameter_count:,}", *map(percent, scores[name])))
            bar.update(1)
    chance = 1 / len(DIRECTIONS)
    says = (
        f"A single frame says which digit it is, {percent(scores['single frame'][0])}, but of its direction "
        f"{percent(scores['single frame'][1])}, where guessing gives {percent(chance)}."
    )
    shown = parts.test.x[np.arange(4)]
    labels = [f"{digit}, {DIRECTIONS[direction]}" for digit, direction in parts.test.t[:4]]
    return Findings(
        ("network", "parameters", "digit", "direction", "both"),
        rows,
        says,
        {
            "fusion.png": viz.score_bars(scores, ["digit", "direction", "both"], {"direction": chance}),
            "clips.png": viz.film_strips(shown, labels),
        },
    )
