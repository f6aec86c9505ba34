"""Pictures of what a network makes of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, as_many, checked, listed, real, string, whole
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.ops.backend import FloatArray

_OTHERS = np.array([0.15, 0.15, 0.15])


def class_colours(classes: int) -> npt.NDArray[np.float64]:
    """(classes, 3) from 0 to 1: colours as different as a qualitative colour map has them."""
    import matplotlib

    names = "tab10" if classes <= 10 else "tab20"
    return np.array([matplotlib.colormaps[names](i % 20)[:3] for i in range(classes)])


def coloured(labels: npt.NDArray[Any], classes: int) -> npt.NDArray[np.float64]:
    """A mask (H, W) as a picture (H, W, 3); labels beyond the classes are dark grey."""
    colours = np.vstack([class_colours(classes), _OTHERS])
    return colours[np.where((labels >= 0) & (labels < classes), labels, classes).astype(np.int64)]


@checked(image=array("CHW"), labels=array("HW"), classes=whole(1), strength=real(0, 1))
def overlay(image: FloatArray, labels: npt.NDArray[Any], classes: int, strength: float = 0.55) -> Any:
    """An image (C, H, W) with its mask (H, W) laid over it, (H, W, 3). ValueError where their sizes differ."""
    if image.shape[1:] != labels.shape:
        raise ValueError(f"overlay: labels must have the size of image, {image.shape[1:]}, got {labels.shape}")
    picture = np.moveaxis(np.broadcast_to(image, (3, *image.shape[1:])), 0, -1)
    return np.clip((1 - strength) * picture + strength * coloured(labels, classes), 0, 1)


@checked(x=array("NCHW"), predictions=array("NHW"), names=listed(string, 1), t=array("NHW"), most=whole(1))
def segmentation(
    x: FloatArray,
    predictions: npt.NDArray[Any],
    names: Sequence[str],
    t: npt.NDArray[Any] | None = None,
    *,
    ignore_index: int | None = None,
    most: int = 6,
) -> Figure:
    """Images, what the network says, and, where `t` is given, what is right and where the two differ.

    x : float32 (N, C, H, W) from 0 to 1; predictions, t : classes (N, H, W); names of the classes. The first `most`
    images are shown.
    """
    as_many("segmentation", x=x, predictions=predictions, t=t)
    figure_of = figure_class()
    from matplotlib.patches import Patch

    classes, count = len(names), min(len(x), most)
    titles = ["image", "prediction"] + ([] if t is None else ["truth", "mistakes"])
    height, width = x.shape[2:]
    figure = figure_of(figsize=(2.6 * len(titles), 2.6 * count * height / width + 0.9), layout="constrained")
    panels = figure.subplots(max(count, 1), len(titles), squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for row in range(count):
        pictures: list[Any] = [overlay(x[row], predictions[row], classes, 0.0)]
        pictures.append(overlay(x[row], predictions[row], classes))
        if t is not None:
            counts = np.ones(t[row].shape, bool) if ignore_index is None else t[row] != ignore_index
            wrong = counts & (predictions[row] != t[row])
            pictures.append(overlay(x[row], t[row], classes))
            grey = np.repeat(0.5 + 0.4 * x[row].mean(0)[:, :, None], 3, 2)
            pictures.append(np.where(wrong[:, :, None], [0.85, 0.1, 0.1], grey))
            right = 1 - wrong.sum() / max(counts.sum(), 1)
            panels[row, -1].set_title(f"{right:.1%} right" if row else f"mistakes: {right:.1%} right", fontsize=9)
        for axes, picture, title in zip(panels[row], pictures, titles, strict=True):
            axes.imshow(picture)
            if not row and title != "mistakes":
                axes.set_title(title, fontsize=9)
    handles = [Patch(color=colour, label=name) for colour, name in zip(class_colours(classes), names, strict=True)]
    columns = min(classes, 3 * len(titles) // 2)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure


@checked(iou=array("K"), names=listed(string, 1))
def iou_bars(iou: npt.NDArray[np.float64], names: Sequence[str]) -> Figure:
    """The intersection over union of every class, and their mean."""
    as_many("iou_bars", iou=iou, names=names)
    figure_of = figure_class()
    figure = figure_of(figsize=(5.5, 0.32 * len(names) + 1.0), layout="constrained")
    axes = figure.subplots()
    there = np.isfinite(iou)
    shown = np.where(there, iou, 0.0)
    axes.barh(range(len(names)), shown, color=class_colours(len(names)))
    for i, value in enumerate(iou):
        axes.text(shown[i] + 0.01, i, f"{value:.2f}" if there[i] else "not there", va="center", fontsize=8)
    mean = float(iou[there].mean()) if there.any() else float("nan")
    axes.axvline(mean, color="0.3", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.1), xlabel="intersection over union", title=f"mean IoU {mean:.3f}")
    return figure
