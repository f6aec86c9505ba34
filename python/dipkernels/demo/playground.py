"""The page's playground: points of two classes, a small network, and the plane as it sees it while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from dipkernels import nn, ops, train
from dipkernels.data import TOYS, toy_points
from dipkernels.demo.layers import packed
from dipkernels.demo.lessons import number, whole

_HALF, _GRID, _FRAMES = 1.5, 41, 30
_ACTIVATIONS = ("relu", "tanh", "sigmoid")


def playground(given: Mapping[str, Any]) -> dict[str, Any]:
    """Trains, and returns the points, the plane at several epochs, and the losses: {"train", "validation", "frames",
    "curves", "best"}. ValueError for settings that are none.
    """
    name, activation = given.get("points"), given.get("activation")
    if name not in TOYS:
        raise ValueError(f"points must be one of {', '.join(TOYS)}, got {name!r:.40}")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(_ACTIVATIONS)}, got {activation!r:.40}")
    depth, width = whole(given, "depth", 0, 3), whole(given, "width", 1, 32)
    epochs, count, seed = whole(given, "epochs", 1, 400), whole(given, "count", 4, 400), whole(given, "seed", 0, 999)
    rate, noise = number(given, "rate", 1e-4, 1), number(given, "noise", 0, 1)
    examples, checked = toy_points(name, count, noise, seed), toy_points(name, 200, noise, seed + 1000)
    sizes = [2, *[width] * depth, 2]
    layers = [nn.Linear(a, b, activation=activation if i < depth else None)
              for i, (a, b) in enumerate(pairwise(sizes))]  # fmt: skip
    model = nn.Sequential((2,), *layers, seed=seed)
    axis = np.linspace(-_HALF, _HALF, _GRID, dtype=np.float32)
    plane = np.stack([each.ravel() for each in np.meshgrid(axis, axis)], 1)
    wanted = {round(epoch) for epoch in np.geomspace(1, epochs + 1, _FRAMES)}
    frames: list[dict[str, Any]] = []

    def keep(epoch: int) -> None:
        if epoch in wanted:
            likely = ops.softmax(model.forward(plane), 1)[:, 1]
            frames.append({"epoch": epoch - 1, "plane": packed(likely)})

    def schedule(epoch: int) -> float:
        keep(epoch)
        return rate

    try:
        history = train.fit(
            model, examples, checked, optimizer=nn.Adam(rate), epochs=epochs, batch_size="epoch", schedule=schedule,
            keep="last", seed=seed, progress=False,
        )  # fmt: skip
    except FloatingPointError as error:
        raise ValueError(f"the training diverges; a smaller learning rate helps ({error})") from error
    keep(epochs + 1)
    last = history.epochs[-1]
    return {
        "train": {"places": packed(examples.x), "classes": examples.t.tolist()},
        "validation": {"places": packed(checked.x), "classes": checked.t.tolist()},
        "half": _HALF,
        "size": _GRID,
        "frames": frames,
        "curves": {
            "train": packed([each.train_loss for each in history.epochs]),
            "validation": packed([each.validation_loss or 0.0 for each in history.epochs]),
        },
        "best": history.best_epoch,
        "weights": model.parameter_count,
        "train_accuracy": last.train_accuracy,
        "validation_accuracy": last.validation_accuracy,
    }
