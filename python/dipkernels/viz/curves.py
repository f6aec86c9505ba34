"""Curves: training history, and the path of a gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dipkernels.arguments import function, limited
from dipkernels.checks import checked, later
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.train import Descent, History


@checked(history=later("train.history", "History"))
def loss_curves(history: History) -> Figure:
    """Loss and, for classes, the error rate of training and validation over the epochs, with the best epoch marked."""
    figure_of = figure_class()
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    if not history.epochs:
        raise ValueError("loss_curves: history has no epochs to draw; train.fit returns one that has")
    numbers = [e.number for e in history.epochs]
    classes = history.epochs[0].train_accuracy is not None
    figure = figure_of(figsize=(9 if classes else 5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if classes else 1, squeeze=False)[0]
    drawn: list[tuple[Any, str, str, Callable[[float], float]]] = [(panels[0], "loss", "loss", lambda v: v)]
    if classes:
        drawn.append((panels[1], "accuracy", "error rate", lambda v: 1 - v))
    for axes, field, title, value in drawn:
        for part, style in (("train", "-"), ("validation", "--")):
            points = [(e.number, getattr(e, f"{part}_{field}")) for e in history.epochs]
            points = [(n, value(v)) for n, v in points if v is not None]
            if points:
                label = {"train": "training", "validation": "validation"}[part]
                axes.plot(*zip(*points, strict=True), style, marker="o", markersize=3, label=label)
        if history.best_epoch is not None:
            axes.axvline(
                history.best_epoch, color="0.6", linewidth=1, zorder=0, label=f"best: epoch {history.best_epoch}"
            )
        positive = all(line.get_ydata().min() > 0 for line in axes.get_lines()[:2] if len(line.get_ydata()) > 2)
        if positive and len(numbers) > 1:
            axes.set_yscale("log")
        if field == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3, which="both")
        axes.legend(frameon=False)
    return figure


@checked(history=later("train.history", "History"))
def learning_rates(history: History) -> Figure:
    """The learning rate of every epoch, as its schedule had it."""
    from matplotlib.ticker import MaxNLocator

    if not history.epochs:
        raise ValueError("learning_rates: history has no epochs to draw; train.fit returns one that has")
    figure = figure_class()(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([e.number for e in history.epochs], [e.lr for e in history.epochs], marker="o", markersize=3)
    axes.set(title="learning rate", xlabel="epoch", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    return figure


@checked(descent=later("train.gradient_descent", "Descent"), f=function, margin=limited)
def descent_path(descent: Descent, f: Callable[[Any], Any], margin: float = 0.5) -> Figure:
    """The path of a two-dimensional gradient descent over the level lines of f. ValueError for other dimensions."""
    if descent.path.ndim != 2 or descent.path.shape[1] != 2:
        raise ValueError(f"descent_path: the path must have two coordinates, got shape {descent.path.shape}")
    figure_of = figure_class()
    path = descent.path[np.isfinite(descent.path).all(1)]
    low, high = path.min(0), path.max(0)
    pad = margin * np.maximum(high - low, 1e-3)
    x, y = (np.linspace(a, b, 120) for a, b in zip(low - pad, high + pad, strict=True))
    grid = np.array([[float(f(np.array([u, v]))) for u in x] for v in y])
    figure = figure_of(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.contour(x, y, grid, 25, cmap="viridis", linewidths=0.8)
    axes.plot(path[:, 0], path[:, 1], "o-", color="crimson", markersize=3, linewidth=1)
    axes.set(title=f"{len(path) - 1} steps, f = {descent.values[len(path) - 1]:.3g}", xlabel="w₁", ylabel="w₂")
    return figure
