"""Pictures of what a detector finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, as_many, checked, later, listed, real, string, whole
from dipkernels.data.boxes import CROWD, boxes_of
from dipkernels.viz.figure import figure_class
from dipkernels.viz.masks import class_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dipkernels.detection import Detections
    from dipkernels.metrics import DetectionScores
    from dipkernels.ops.backend import FloatArray


def draw_boxes(
    axes: Axes,
    image: npt.NDArray[Any],
    found: Detections,
    names: Sequence[str],
    t: npt.NDArray[Any] | None = None,
) -> Axes:
    """An image (H, W, 3) or (H, W) on `axes`, with a box in its class's colour around each detection, its class and how
    sure it is; with `t`, rows of class and corners, the objects themselves dashed in white, those that do not count
    dotted.
    """
    from matplotlib.patches import Rectangle

    axes.imshow(image, cmap="gray", vmin=0, vmax=1 if image.dtype.kind == "f" else 255)
    axes.set_axis_off()
    if t is not None:
        for label, (x1, y1, x2, y2) in zip(*boxes_of(t), strict=True):
            style = ":" if label == CROWD else "--"
            # Edges are between pixels, and pixel 0 reaches from −½ to ½.
            axes.add_patch(
                Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor="white", linestyle=style)
            )
    colours = class_colours(len(names))
    for (x1, y1, x2, y2), score, label in zip(found.boxes, found.scores, found.classes, strict=True):
        colour = tuple(colours[label])
        axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.5))
        axes.text(
            x1, y1 - 1.5, f"{names[label]} {score:.2f}", fontsize=6, color="white", va="bottom",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8}, clip_on=True,
        )  # fmt: skip
    return axes


@checked(
    x=array("NCHW"),
    found=listed(later("detection.detections", "Detections")),
    names=listed(string, 1),
    score=real(),
    most=whole(1),
)
def detections(
    x: FloatArray,
    found: Sequence[Detections],
    names: Sequence[str],
    t: npt.NDArray[Any] | None = None,
    *,
    score: float = 0.5,
    most: int = 6,
) -> Figure:
    """Images and what was found in them, as `draw_boxes` shows it.

    x : float32 (N, C, H, W) from 0 to 1; detections at least `score` sure are drawn, on the first `most` images.
    """
    as_many("detections", x=x, found=found, t=t)
    figure_of = figure_class()
    count = min(len(x), most)
    columns = min(count, 3) or 1
    rows = -(-count // columns) or 1
    height, width = x.shape[2:]
    figure = figure_of(figsize=(3.2 * columns, 3.2 * rows * height / width + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for i, axes in enumerate(panels[:count]):
        picture = np.moveaxis(np.broadcast_to(x[i], (3, height, width)), 0, -1)
        draw_boxes(axes, np.clip(picture, 0, 1), found[i].above(score), names, None if t is None else t[i])
    if t is not None:
        figure.suptitle("boxes as found; dashed as they are", fontsize=9)
    return figure


@checked(scores=later("metrics", "DetectionScores"), names=listed(string, 1))
def precision_recall(scores: DetectionScores, names: Sequence[str]) -> Figure:
    """Precision over recall of every class, at the first IoU threshold."""
    figure_of = figure_class()
    figure = figure_of(figsize=(5.5, 4), layout="constrained")
    axes = figure.subplots()
    recall = np.linspace(0, 1, scores.precision.shape[1])
    for c, (name, colour) in enumerate(zip(names, class_colours(len(names)), strict=True)):
        value = scores.by_class[0, c]
        label = f"{name} {value:.3f}" if np.isfinite(value) else f"{name}: not there"
        axes.plot(recall, scores.precision[c], color=colour, label=label)
    axes.set(
        xlim=(0, 1), ylim=(0, 1.03), xlabel="recall", ylabel="precision",
        title=f"average precision {np.nanmean(scores.by_class[0]):.3f} at IoU {scores.thresholds[0]:g}",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=8)
    return figure


@checked(pixels=array("HWC"), found=later("detection.detections", "Detections"), names=listed(string, 1))
def photograph(pixels: npt.NDArray[np.uint8], found: Detections, names: Sequence[str]) -> Figure:
    """One image (H, W, 3) of bytes, as large as it is, and what was found in it."""
    figure_of = figure_class()
    height, width = pixels.shape[:2]
    longer = max(height, width)
    figure = figure_of(figsize=(8 * width / longer, 8 * height / longer), layout="constrained")
    draw_boxes(figure.subplots(), pixels, found, names)
    return figure
