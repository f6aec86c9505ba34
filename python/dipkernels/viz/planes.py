"""The plane as a network sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dipkernels import ops
from dipkernels.checks import checked, instance, network, whole
from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked(model=network, points=instance(Dataset), steps=whole(2))
def decision_plane(model: Graph, points: Dataset, *, steps: int = 160) -> Figure:
    """How probable class 1 is, or what a perceptron says, all over the plane, and the points (N, 2) of both classes.

    `model` takes points (N, 2) and gives one number, of which 0.5 is the border, or two logits.
    """
    low, high = points.x.min(0) - 0.3, points.x.max(0) + 0.3
    across, down = (np.linspace(a, b, steps, dtype=np.float32) for a, b in zip(low, high, strict=True))
    x, y = np.meshgrid(across, down)
    outputs = model.forward(np.stack([x.ravel(), y.ravel()], 1))
    if outputs.ndim != 2 or outputs.shape[1] not in (1, 2):
        raise ValueError(f"decision_plane: model must give one number or two logits, got an output {outputs.shape}")
    found = outputs[:, 0] if outputs.shape[1] == 1 else ops.softmax(outputs, 1)[:, 1]
    figure = figure_class()(figsize=(4.4, 4), layout="constrained")
    axes = figure.subplots()
    plane = axes.pcolormesh(x, y, found.reshape(x.shape), cmap="RdBu_r", vmin=0, vmax=1, alpha=0.6, shading="auto")
    axes.contour(x, y, found.reshape(x.shape), levels=[0.5], colors="black", linewidths=1)
    figure.colorbar(plane, ax=axes, label="class 1")
    for side, colour, marker in ((0, "#2166ac", "o"), (1, "#b2182b", "s")):
        chosen = points.x[points.t.astype(int) == side]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=16, color=colour, marker=marker, edgecolors="white", linewidths=0.5)
    axes.set_aspect("equal")
    return figure
