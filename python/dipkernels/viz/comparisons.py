"""Images side by side: before, after, and what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, as_many, checked, later, listed, mapping, real, string, whole
from dipkernels.viz.boxes import draw_boxes
from dipkernels.viz.figure import figure_class, pixels_of
from dipkernels.viz.masks import class_colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.detection import Detections, Instances
    from dipkernels.ops.backend import FloatArray


@checked(images=mapping(array("NCHW")))
def side_by_side(images: Mapping[str, FloatArray], notes: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """A row for every image of the batches (N, C, H, W), from 0 to 1, a column for every batch with its name above;
    `notes` say under which column what is written below each image, such as its score.
    """
    if not images:
        raise ValueError("side_by_side: images must be at least one batch, got none")
    as_many("side_by_side", **images)
    figure_of = figure_class()
    names = list(images)
    count = len(images[names[0]])
    height, width = images[names[0]].shape[2:]
    figure = figure_of(figsize=(2.2 * len(names), 2.2 * max(count, 1) * height / width + 0.35), layout="constrained")
    panels = figure.subplots(max(count, 1), len(names), squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for column, name in enumerate(names):
        for row in range(count):
            image = images[name][row]
            axes = panels[row, column]
            axes.imshow(np.clip(np.moveaxis(np.broadcast_to(image, (3, *image.shape[1:])), 0, -1), 0, 1))
            note = (notes or {}).get(name)
            title = name if not row else ""
            text = "\n".join(part for part in (title, note[row] if note else "") if part)
            axes.set_title(text, fontsize=8)
    return figure


@checked(x=array("NCHW"), t=array("*"), rows=whole(1), columns=whole(1))
def samples(x: FloatArray, t: npt.NDArray[Any] | None = None, *, rows: int = 2, columns: int = 8) -> Figure:
    """The first images (N, C, H, W) of a data set as a sheet, each with its class where `t` has such, (N,)."""
    figure = figure_class()(figsize=(1.1 * columns, 1.3 * rows), layout="constrained")
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.set_axis_off()
        if i >= len(x):
            continue
        axes.imshow(pixels_of(x[i, :3] if x.shape[1] >= 3 else x[i, :1]), cmap="gray_r")
        if t is not None and t.ndim == 1 and t.dtype.kind in "iu":
            axes.set_title(str(t[i]), fontsize=8)
    return figure


@checked(first=array("NCHW"), second=array("NCHW"))
def overlaid(first: FloatArray, second: FloatArray) -> FloatArray:
    """Two images (N, 1, H, W) in one (N, 3, H, W): where they differ, the first is red and the second cyan."""
    if first.shape != second.shape:
        raise ValueError(f"overlaid: first and second must have the same shape, got {first.shape} and {second.shape}")
    return np.concatenate([first, second, second], 1)


@checked(
    x=array("NCHW"),
    found=listed(later("detection.mask_rcnn", "Instances")),
    names=listed(string, 1),
    score=real(),
    most=whole(1),
)
def instances(
    x: FloatArray, found: Sequence[Instances], names: Sequence[str], *, score: float = 0.5, most: int = 6
) -> Figure:
    """Images (N, C, H, W) and the objects in them that are at least `score` sure: boxes, and the pixels of each object
    in a colour of its own.
    """
    as_many("instances", x=x, found=found)
    figure_of = figure_class()
    count = min(len(x), most)
    columns = min(count, 3) or 1
    rows = -(-count // columns) or 1
    figure = figure_of(figsize=(3.2 * columns, 3.2 * rows * x.shape[2] / x.shape[3]), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = class_colours(10)
    for axes in panels:
        axes.set_axis_off()
    for i, axes in enumerate(panels[:count]):
        picture = np.clip(np.moveaxis(np.broadcast_to(x[i], (3, *x.shape[2:])), 0, -1), 0, 1).copy()
        for number, mask in enumerate(found[i].masks[found[i].found.scores >= score]):
            picture[mask] = 0.4 * picture[mask] + 0.6 * colours[number % 10]
        draw_boxes(axes, picture, found[i].found.above(score), names)
    return figure


@checked(
    x=array("NCHW"),
    found=listed(later("detection.detections", "Detections")),
    numbers=listed(array("N")),
    most=whole(1),
)
def tracks(x: FloatArray, found: Sequence[Detections], numbers: Sequence[npt.NDArray[Any]], *, most: int = 8) -> Figure:
    """Frames of a film (frames, C, H, W), equally far apart, with each detection's box in the colour of its track, its
    number, and the way its centre has come.
    """
    as_many("tracks", x=x, found=found, numbers=numbers)
    figure_of = figure_class()
    from matplotlib.patches import Rectangle

    chosen = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))
    columns = min(len(chosen), 4)
    rows = -(-len(chosen) // columns)
    figure = figure_of(figsize=(2.4 * columns, 2.4 * rows * x.shape[2] / x.shape[3] + 0.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = class_colours(10)
    ways: dict[int, list[tuple[int, float, float]]] = {}
    for frame, (each, own) in enumerate(zip(found, numbers, strict=True)):
        for (x1, y1, x2, y2), number in zip(each.boxes, own.tolist(), strict=True):
            ways.setdefault(number, []).append((frame, (x1 + x2) / 2 - 0.5, (y1 + y2) / 2 - 0.5))
    for axes in panels:
        axes.set_axis_off()
    for axes, frame in zip(panels, chosen, strict=False):
        axes.imshow(np.clip(np.moveaxis(np.broadcast_to(x[frame], (3, *x.shape[2:])), 0, -1), 0, 1))
        axes.set_title(f"frame {frame}", fontsize=8)
        for (x1, y1, x2, y2), number in zip(found[frame].boxes, numbers[frame].tolist(), strict=True):
            colour = tuple(colours[number % 10])
            axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor=colour))
            axes.text(x1, y1 - 1, str(number), color="white", fontsize=7, va="bottom", clip_on=True,
                      bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8})  # fmt: skip
            way = np.array([place[1:] for place in ways[number] if place[0] <= frame])
            axes.plot(way[:, 0], way[:, 1], color=colour, linewidth=1)
    return figure
