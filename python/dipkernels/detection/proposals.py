"""Region proposals that need no learning."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.checks import array, checked, listed, positive, whole
from dipkernels.detection.anchors import anchors, clip_boxes
from dipkernels.ops.backend import FloatArray

_RING = 0.25  # of a window's side: how wide the ring around it is


@checked(
    image=array("CHW"),
    sizes=listed(positive, 1),
    aspect_ratios=listed(positive, 1),
    stride=whole(1),
    most=whole(1),
)
def region_proposals(
    image: FloatArray,
    sizes: Sequence[float],
    *,
    aspect_ratios: Sequence[float] = (0.7, 1.0, 1.4),
    stride: int = 4,
    most: int = 300,
    iou_threshold: float = 0.5,
) -> FloatArray:
    """Where an image may show objects: windows that differ from what is around them.

    Windows of all `sizes` and `aspect_ratios` slide over the image, `stride` pixels apart. How much each differs is the
    distance between its mean colour and that of the ring around it, a quarter of its side wide, over how much the
    colours vary within the ring; integral images give all means at once. Of windows with an IoU above `iou_threshold`
    the one that differs most is left.

    image : float32 (C, H, W)

    Returns float32 (k, 4) corners, at most `most`, the most different first. Source: centre and surround as in Itti,
    Koch, Niebur 1998; windows and integral images as in Viola, Jones 2001.

    >>> image = np.zeros((1, 16, 16), np.float32)
    >>> image[:, 4:12, 4:12] = 1
    >>> region_proposals(image, [8], aspect_ratios=[1.0])[0]
    array([ 4.,  4., 12., 12.], dtype=float32)
    """
    _, height, width = image.shape
    boxes, around = _windows(height, width, tuple(sizes), tuple(aspect_ratios), stride)
    sums = _integral(image.astype(np.float64)), _integral(np.square(image, dtype=np.float64))
    inner, outer = [_sums(each, boxes) for each in sums], [_sums(each, around) for each in sums]
    area, ring_area = _areas(boxes), np.maximum(_areas(around) - _areas(boxes), 1.0)
    mean = inner[0] / area
    ring_mean = (outer[0] - inner[0]) / ring_area
    variance = np.maximum((outer[1] - inner[1]) / ring_area - ring_mean**2, 0)
    difference = np.sqrt(((mean - ring_mean) ** 2).sum(0) / (variance.sum(0) + 1e-3))
    best = np.argsort(-difference, kind="stable")[: 20 * most]
    kept = ops.nms(boxes[best], difference[best].astype(np.float32), iou_threshold)[:most]
    found: FloatArray = boxes[best][kept]
    return found


@functools.lru_cache(maxsize=8)
def _windows(
    height: int, width: int, sizes: tuple[float, ...], aspect_ratios: tuple[float, ...], stride: int
) -> tuple[FloatArray, FloatArray]:
    """All windows of an image of this size, and each with its ring; the same for every image."""
    size = -(-height // stride), -(-width // stride)
    boxes = np.concatenate([anchors(size, stride, [s], aspect_ratios) - np.float32(stride / 2) for s in sizes])
    boxes = np.unique(np.round(clip_boxes(boxes, (height, width))), axis=0)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) >= 0.5 * min(sizes)).all(1)]
    side = np.round(_RING * (boxes[:, 2:] - boxes[:, :2]))
    return boxes, clip_boxes(boxes + np.concatenate([-side, side], 1), (height, width))


def _integral(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(C, H + 1, W + 1): the sum of all that is above and to the left."""
    return np.pad(image.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))


def _sums(integral: npt.NDArray[np.float64], boxes: FloatArray) -> npt.NDArray[np.float64]:
    """(C, k): the sums within boxes of whole pixels."""
    x1, y1, x2, y2 = boxes.astype(np.int64).T
    return integral[:, y2, x2] - integral[:, y1, x2] - integral[:, y2, x1] + integral[:, y1, x1]


def _areas(boxes: FloatArray) -> npt.NDArray[np.float64]:
    return (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(1)
