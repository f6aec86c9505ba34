"""Where a classifier is right and where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels import metrics
from dipkernels.checks import array, as_many, checked, whole
from dipkernels.viz.figure import figure_class, pixels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.ops.backend import FloatArray


def confusion_matrix(
    t: npt.NDArray[Any], predictions: npt.NDArray[Any], classes: int, names: Sequence[str] | None = None
) -> Figure:
    """How often class i (row) was taken for class j (column); the mistakes are coloured by how often they happen.
    `names` of the classes stand beside them where they are given, and behind each row how much of it was recognised.
    """
    figure_of = figure_class()

    counts = metrics.confusion_matrix(t, predictions, classes)
    mistakes = counts.astype(np.float64)
    np.fill_diagonal(mistakes, np.nan)
    figure = figure_of(figsize=(0.45 * classes + 1.5, 0.45 * classes + 1.2), layout="constrained")
    axes = figure.subplots()
    top = max(float(np.nanmax(mistakes)), 1.0) if classes > 1 else 1.0
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=top)
    for i, j in np.argwhere(counts):
        if i == j:
            axes.add_patch(_square(j, i, "#d8ead8"))
        colour = "white" if i != j and counts[i, j] > 0.6 * top else "black"
        axes.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=8, color=colour)
    right = np.trace(counts) / max(counts.sum(), 1)
    axes.set(title=f"{right:.2%} of {counts.sum():,} right", xlabel="taken for", ylabel="is")
    labels = [str(i) for i in range(classes)] if names is None else list(names)
    axes.set_xticks(range(classes), labels, rotation=0 if names is None else 90)
    axes.set_yticks(range(classes), labels)
    recognised = axes.secondary_yaxis("right")
    of_class = counts.sum(1)
    rates = [f"{counts[i, i] / of_class[i]:.0%}" if of_class[i] else "none there" for i in range(classes)]
    recognised.set_yticks(range(classes), rates, fontsize=8)
    recognised.tick_params(length=0)
    return figure


def _square(x: int, y: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, color=colour, zorder=1)


@checked(image=array("CHW"), probabilities=array("K", filled=True))
def prediction(image: FloatArray, probabilities: FloatArray) -> Figure:
    """What the network got and what it made of it: the image beside the probability of every class.

    image : float32 (C, H, W); probabilities : float32 (classes,)
    """
    figure = figure_class()(figsize=(6.4, 3.0), layout="constrained")
    seen, bars = figure.subplots(1, 2, width_ratios=(1, 1.2))
    seen.imshow(pixels_of(image), cmap="gray_r")
    seen.set_title(f"what it sees: {image.shape[1]} × {image.shape[2]}", fontsize=9)
    seen.set_axis_off()
    classes, first = np.arange(len(probabilities)), int(probabilities.argmax())
    bars.barh(classes, probabilities, color=["#3a6ea5" if c == first else "#b8c4d0" for c in classes])
    bars.set(yticks=classes, xlim=(0, 1), xlabel="probability")
    bars.invert_yaxis()
    bars.set_title(f"{first}: {probabilities[first]:.1%}", fontsize=9)
    bars.spines[["top", "right"]].set_visible(False)
    return figure


@checked(x=array("NCHW"), t=array("N"), probabilities=array("NK"), rows=whole(1), columns=whole(1))
def worst_mistakes(
    x: FloatArray, t: npt.NDArray[Any], probabilities: FloatArray, *, rows: int = 3, columns: int = 6
) -> Figure:
    """The images whose own class was given the least probability, and what they were taken for; mistakes in red. Where
    the own class is the first guess, the second stands below it.

    x : float32 (N, C, H, W); t : classes (N,); probabilities : float32 (N, classes)
    """
    as_many("worst_mistakes", x=x, t=t, probabilities=probabilities)
    figure_of = figure_class()

    own = probabilities[np.arange(len(t)), t]
    chosen = np.argsort(own, kind="stable")[: rows * columns]
    mistakes = int((probabilities.argmax(1) != t).sum())
    figure = figure_of(figsize=(1.3 * columns, 1.75 * rows + 0.4), layout="constrained")
    figure.suptitle(f"{mistakes} mistake{'s' * (mistakes != 1)} of {len(t):,}; the least certain digits")
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.set_axis_off()
        if place >= len(chosen):
            continue
        i = chosen[place]
        first, second = np.argsort(-probabilities[i], kind="stable")[:2]
        axes.imshow(pixels_of(x[i]), cmap="gray_r")
        other = second if first == t[i] else first
        said = "then" if first == t[i] else "taken for"
        axes.set_title(
            f"{t[i]} ({probabilities[i, t[i]]:.0%})\n{said} {other} ({probabilities[i, other]:.0%})",
            fontsize=8,
            color="black" if first == t[i] else "crimson",
        )
    return figure
