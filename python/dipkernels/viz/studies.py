"""Pictures of comparisons: scores side by side, scores as they grow, clips, and what moves how fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, as_many, checked, later, listed, mapping, real, string
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.train import History, ScheduledTraining


@checked(scores=mapping(listed(real())), names=listed(string, 1))
def score_bars(
    scores: Mapping[str, Sequence[float]], names: Sequence[str], chance: Mapping[str, float] | None = None
) -> Figure:
    """Rates from 0 to 1 as bars: a group for each row of `scores`, a bar for each of `names`; `chance` marks what
    guessing gives.
    """
    from matplotlib.ticker import PercentFormatter

    figure = figure_class()(figsize=(1.6 + 1.4 * len(scores), 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        values = [row[i] for row in scores.values()]
        at = np.arange(len(scores)) + (i - (len(names) - 1) / 2) * width
        bars = axes.bar(at, values, width * 0.92, label=name)
        axes.bar_label(bars, [f"{100 * v:.0f}" for v in values], fontsize=8, padding=2)
    for name, value in (chance or {}).items():
        axes.axhline(value, color="0.35", linewidth=1, linestyle=":", label=f"{name} by chance")
    axes.set_xticks(np.arange(len(scores)), list(scores))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(0, 1.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@checked(clips=array("NCDHW"), labels=listed(string))
def film_strips(clips: npt.NDArray[Any], labels: Sequence[str]) -> Figure:
    """Clips (N, C, D, H, W), a row each, frame by frame, with what they are called at the left."""
    as_many("film_strips", clips=clips, labels=labels)
    from dipkernels.viz.figure import pixels_of

    frames = clips.shape[2]
    figure = figure_class()(figsize=(0.85 * frames + 1.2, 0.95 * len(clips) + 0.3), layout="constrained")
    panels = figure.subplots(len(clips), frames, squeeze=False)
    for row, clip, label in zip(panels, clips, labels, strict=True):
        for number, axes in enumerate(row):
            axes.imshow(pixels_of(clip[:, number]), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            if row is panels[0]:
                axes.set_title(f"{number}", fontsize=8)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    return figure


@checked(images=array("NHW"), t=array("NCHW"), found=array("NCHW"))
def velocities(images: npt.NDArray[Any], t: npt.NDArray[Any], found: npt.NDArray[Any]) -> Figure:
    """Images (N, H, W) with an arrow for each object's true velocity, of `t` (N, 3, H, W), and one for the mean of what
    is `found` (N, 2, H, W) over its pixels; five frames long.
    """
    as_many("velocities", images=images, t=t, found=found)
    figure = figure_class()(figsize=(2.1 * len(images), 2.5), layout="constrained")
    arrow: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 0.2, "width": 0.015}
    for axes, image, target, velocity in zip(
        figure.subplots(1, len(images), squeeze=False)[0], images, t, found, strict=True
    ):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1.6)
        axes.set(xticks=[], yticks=[])
        for number in np.unique(target[2][target[2] > 0]):
            inside = target[2] == number
            y, x = (axis.mean() for axis in np.nonzero(inside))
            for vector, colour, label in ((target[:2], "tab:green", "true"), (velocity, "tab:orange", "estimated")):
                vy, vx = vector[:, inside].mean(1)
                axes.quiver(x, y, vx, vy, color=colour, label=label, **arrow)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles[:2], names[:2], loc="outside lower center", ncols=2, frameon=False)
    return figure


@checked(training=later("train.multitask", "ScheduledTraining"))
def forgetting(training: ScheduledTraining) -> Figure:
    """The score of every task after every epoch of `train.fit_tasks`, with a band where each was learned."""
    count = len(training.names)
    figure = figure_class()(figsize=(7, 1.5 * count + 0.6), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    epochs = np.arange(1, len(training.scores) + 1)
    for i, (axes, name) in enumerate(zip(panels, training.names, strict=True)):
        colour = f"C{i}"
        axes.plot(epochs, training.scores[:, i], color=colour)
        learned = [n for n, active in zip(epochs, training.learned, strict=True) if name in active]
        if learned and len(learned) < len(epochs):
            axes.axvspan(learned[0] - 0.5, learned[-1] + 0.5, color=colour, alpha=0.15, label=f"{name} is learned")
            axes.legend(frameon=False, fontsize=8)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("epoch")
    return figure


@checked(steps=array("N"), curves=mapping(array("N")), label=string, wanted=real())
def score_progress(
    steps: npt.NDArray[Any], curves: Mapping[str, npt.NDArray[Any]], label: str, wanted: float | None = None
) -> Figure:
    """Rates from 0 to 1 over the steps of training, a line each; `wanted` is marked, and where each line reaches it."""
    for name, values in curves.items():
        as_many("score_progress", **{"steps": steps, f"curves[{name!r}]": values})
    from matplotlib.ticker import PercentFormatter

    figure = figure_class()(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for i, (name, values) in enumerate(curves.items()):
        axes.plot(steps, values, label=name, color=f"C{i}")
        reached = np.flatnonzero(values >= (np.inf if wanted is None else wanted))
        if len(reached):
            axes.plot(steps[reached[0]], values[reached[0]], "o", color=f"C{i}")
    if wanted is not None:
        axes.axhline(wanted, color="0.35", linewidth=1, linestyle=":")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set(xlabel="steps", ylabel=label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


@checked(histories=mapping(later("train.history", "History")))
def losses_together(histories: Mapping[str, History]) -> Figure:
    """The training loss of several runs over the epochs; the later ones thinner, so that those below are seen."""
    figure = figure_class()(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    widths = np.linspace(7, 1.2, max(len(histories), 2))
    for width, (name, history) in zip(widths, histories.items(), strict=False):
        epochs = [epoch.number for epoch in history.epochs]
        axes.plot(epochs, [epoch.train_loss for epoch in history.epochs], label=name, linewidth=width)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    return figure
