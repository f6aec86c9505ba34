"""Boxes that a network starts from, how it moves them, and which of them should find which object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.arguments import flag
from dipkernels.arguments import size as size_of
from dipkernels.checks import array, as_many, checked, listed, positive, real, shape
from dipkernels.data.boxes import CROWD, boxes_of
from dipkernels.ops.backend import FloatArray

LARGEST_GROWTH = float(np.log(1000 / 16))
"""Of a side, as a logarithm: beyond it a box would leave every image, and its exponential the numbers."""

IGNORED = -1
"""The label of an anchor that is neither right nor wrong."""


@checked(stride=positive, sizes=listed(positive), aspect_ratios=listed(positive))
def anchors(
    map_size: Sequence[int], stride: int, sizes: Sequence[float], aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0)
) -> FloatArray:
    """The anchors of a feature map, float32 (A·H·W, 4) corners in pixels.

    Each of the A = sizes·ratios shapes stands with its centre in the middle of every cell, `stride` pixels wide, of the
    map (H, W): all places of the first shape row by row, then of the second, as a convolution with A filters gives its
    results. A shape of size s and ratio r = height/width has the area s².

    ValueError for sizes, ratios or a stride that are not positive. Source: Ren, He, Girshick, Sun 2015.

    >>> anchors((1, 2), 8, [8], [1.0])
    array([[ 0.,  0.,  8.,  8.],
           [ 8.,  0., 16.,  8.]], dtype=float32)
    """
    height, width = size_of("anchors", "map_size", map_size, "HW")
    side, ratio = np.asarray(sizes, np.float64), np.asarray(aspect_ratios, np.float64)
    h, w = (side[:, None] * np.sqrt(ratio)).ravel(), (side[:, None] / np.sqrt(ratio)).ravel()
    y, x = np.meshgrid((np.arange(height) + 0.5) * stride, (np.arange(width) + 0.5) * stride, indexing="ij")
    centred = np.stack([-w / 2, -h / 2, w / 2, h / 2], 1)[:, None, None]
    return (centred + np.stack([x, y, x, y], -1)).reshape(-1, 4).astype(np.float32)


def by_anchor(output: FloatArray, count: int) -> FloatArray:
    """What a network says at `count` anchors A·H·W, (N, A·K, H, W), in the order of `anchors`: (N, A·H·W, K)."""
    N, _, H, W = output.shape
    return np.moveaxis(output.reshape(N, count // (H * W), -1, H * W), 2, 3).reshape(N, count, -1)


@checked(boxes=array("N4"), start=array("N4"))
def encode_boxes(boxes: FloatArray, start: FloatArray) -> FloatArray:
    """What must be predicted at `start` (N, 4) to get `boxes` (N, 4): (Δx/w, Δy/h, log w'/w, log h'/h), float32.

    Δ is between the centres, in units of the box that is moved, so that large and small ones are learned alike. Boxes
    must have a positive width and height. Source: Girshick, Donahue, Darrell, Malik 2014, bounding-box regression.

    >>> encode_boxes(np.float32([[2, 0, 6, 8]]), np.float32([[0, 0, 4, 4]]))
    array([[0.5      , 0.5      , 0.       , 0.6931472]], dtype=float32)
    """
    as_many("encode_boxes", boxes=boxes, start=start)
    to, given = ops.box_convert(boxes, "xyxy", "cxcywh"), ops.box_convert(start, "xyxy", "cxcywh")
    return np.concatenate([(to[:, :2] - given[:, :2]) / given[:, 2:], np.log(to[:, 2:] / given[:, 2:])], 1)


@checked(moves=array("N4"), start=array("N4"), image_size=shape("HW"))
def decode_boxes(moves: FloatArray, start: FloatArray, image_size: Sequence[int] | None = None) -> FloatArray:
    """`start` (N, 4), moved as `encode_boxes` says, float32 (N, 4); with an `image_size` (height, width) cut off at the
    image's edge.

    >>> decode_boxes(np.float32([[0.5, 0.5, 0, 0]]), np.float32([[0, 0, 4, 4]]))
    array([[2., 2., 6., 6.]], dtype=float32)
    """
    as_many("decode_boxes", moves=moves, start=start)
    given = ops.box_convert(start, "xyxy", "cxcywh")
    centres = given[:, :2] + moves[:, :2] * given[:, 2:]
    sides = given[:, 2:] * np.exp(np.minimum(moves[:, 2:], np.float32(LARGEST_GROWTH)))
    boxes = ops.box_convert(np.concatenate([centres, sides], 1), "cxcywh", "xyxy")
    return boxes if image_size is None else clip_boxes(boxes, image_size)


@checked(boxes=array("N4"), image_size=shape("HW"))
def clip_boxes(boxes: FloatArray, image_size: Sequence[int]) -> FloatArray:
    """Boxes (N, 4) without what is outside an image of (height, width)."""
    height, width = image_size
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


@checked(start=array("N4"), t=array("N5"), low=real(0, 1), high=real(0, 1), each_object=flag)
def match_boxes(
    start: FloatArray, t: npt.NDArray[Any], low: float, high: float, each_object: bool = True
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Which object of an image each box should find.

    Parameters
    ----------
    start : float32 (M, 4), anchors or regions
    t : float32 (most, 5), one image's rows of class and corners, as `data.padded_boxes` makes them
    low, high
        The IoU with the nearest object below which a box shows background, and from which it shows that object.
    each_object
        The box nearest to an object shows it, however far it is.

    Returns
    -------
    labels : int64 (M,)
        0 for background, 1 + its class for an object, `IGNORED` between `low` and `high`, and for boxes that mostly lie
        on an object that does not count.
    boxes : float32 (M, 4)
        The corners of that object; the box itself where there is none.
    """
    classes, corners = boxes_of(t.astype(np.float32, copy=False))
    counts = classes != CROWD
    labels, targets = np.zeros(len(start), np.int64), start.copy()
    if counts.any():
        overlaps = ops.box_iou(start, corners[counts])
        nearest = overlaps.argmax(1)
        best = overlaps[np.arange(len(start)), nearest]
        if each_object:
            largest = overlaps.max(0)
            own, which = np.nonzero((overlaps == largest) & (largest > 0))
            nearest[own], best[own] = which, 1.0
        found = best >= high
        labels[found] = classes[counts][nearest[found]] + 1
        labels[(best >= low) & ~found] = IGNORED
        targets[found] = corners[counts][nearest[found]]
    if not counts.all():
        hidden = ops.box_iou(start, corners[~counts]).max(1) >= 0.5
        labels[hidden & (labels == 0)] = IGNORED
    return labels, targets
