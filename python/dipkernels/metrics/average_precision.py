"""Average precision of detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, checked, later, listed, real, whole
from dipkernels.data.boxes import CROWD, boxes_of
from dipkernels.detection.detections import Detections
from dipkernels.reference.boxes import box_iou

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""0.5, 0.55, … 0.95."""

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class DetectionScores:
    """How good detections are, by class.

    `by_class` (thresholds, classes) is the average precision at each IoU of `thresholds`, NaN for a class with no
    object; `precision` (classes, 101) is the curve at the first of them, at recalls 0, 0.01, … 1.
    """

    thresholds: tuple[float, ...]
    by_class: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]

    def at(self, iou: float) -> float:
        """The mean over classes at one of the thresholds; ValueError for another."""
        if iou not in self.thresholds:
            raise ValueError(f"at: iou must be one of {self.thresholds}, got {iou}")
        return _mean(self.by_class[self.thresholds.index(iou)])

    @property
    def mean(self) -> float:
        """Over classes and thresholds: for the usual ones "AP at 0.5:0.95"."""
        return _mean(self.by_class)


def _mean(values: npt.NDArray[np.float64]) -> float:
    there = np.isfinite(values)
    return float(values[there].mean()) if there.any() else float("nan")


@checked(
    detections=listed(later("detection.detections", "Detections")),
    t=array("NKE"),
    classes=whole(1),
    thresholds=listed(real(0, 1), 1),
    most=whole(1),
)
def average_precision(
    detections: Sequence[Detections],
    t: npt.NDArray[Any],
    classes: int,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    most: int = 100,
    overlaps: Sequence[npt.NDArray[Any]] | None = None,
) -> DetectionScores:
    """The area under precision over recall, for every class, as COCO measures it.

    Parameters
    ----------
    detections
        One for each image.
    t : float32 (N, rows, 5)
        Each image's objects, as `data.padded_boxes` makes them. Those that do not count, `data.CROWD`, are neither to
        be found, nor is a detection wrong that mostly lies on one.
    thresholds
        The IoU from which a detection finds an object.
    most
        Of a class and an image, the surest.
    overlaps
        For each image the IoU of every detection with every object (n, objects), those of unused rows left out, where
        it is not that of the boxes: `mask_iou`, say.

    The surest detection of an object is right, and any other of it wrong. Precision is made to fall, and taken at 101
    recalls. ValueError where there are not as many images. Sources: Everingham et al. 2010; Lin et al. 2014, "Microsoft
    COCO".

    >>> found = Detections(np.float32([[0, 0, 4, 4]]), np.float32([0.9]), np.int64([0]))
    >>> average_precision([found], np.float32([[[0, 0, 0, 4, 5]]]), 1).by_class[:7, 0].round(2)
    array([1., 1., 1., 1., 1., 1., 1.])
    """
    if len(detections) != len(t):
        raise ValueError(f"average_precision: detections of {len(detections)} images, but t of {len(t)}")
    levels = np.asarray(thresholds, np.float64)
    by_class = np.full((len(levels), classes), np.nan)
    precision = np.full((classes, len(_RECALLS)), np.nan)
    objects = [boxes_of(each) for each in t]
    for c in range(classes):
        judged = [
            _judge(each, *own, c, levels, most, None if overlaps is None else overlaps[i])
            for i, (each, own) in enumerate(zip(detections, objects, strict=True))
        ]
        count = sum(int((own == c).sum()) for own, _ in objects)
        if not count:
            continue
        scores = np.concatenate([each.scores for each in judged])
        order = np.argsort(-scores, kind="stable")
        right = np.concatenate([each.right for each in judged], 1)[:, order]
        ignored = np.concatenate([each.ignored for each in judged], 1)[:, order]
        for i in range(len(levels)):
            curve = _curve(right[i], right[i] | ignored[i], count)
            by_class[i, c] = curve.mean()
            if not i:
                precision[c] = curve
    return DetectionScores(tuple(levels.tolist()), by_class, precision)


@checked(masks1=array("KHW"), masks2=array("KHW"))
def mask_iou(masks1: npt.NDArray[np.bool_], masks2: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Intersection over union of every mask of (N, H, W) with every one of (M, H, W): (N, M), 0 for two empty ones.

    >>> mask_iou(np.array([[[True, True]]]), np.array([[[True, False]]]))
    array([[0.5]])
    """
    a = masks1.reshape(len(masks1), masks1[0].size if len(masks1) else 0).astype(np.float64)
    b = masks2.reshape(len(masks2), masks2[0].size if len(masks2) else 0).astype(np.float64)
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1) - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


@dataclass(frozen=True)
class _Judged:
    """Of one class in one image: scores (n,), and at every threshold which are right, and which do not count."""

    scores: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]


def _judge(
    found: Detections,
    classes: npt.NDArray[np.int64],
    corners: npt.NDArray[np.float32],
    c: int,
    levels: npt.NDArray[np.float64],
    most: int,
    given: npt.NDArray[Any] | None,
) -> _Judged:
    own = np.flatnonzero(found.classes == c)
    own = own[np.argsort(-found.scores[own], kind="stable")][:most]
    boxes = found.boxes[own]
    overlaps = box_iou(boxes, corners[classes == c]) if given is None else given[own][:, classes == c]
    hidden = _covered(boxes, corners[classes == CROWD])
    right = np.zeros((len(levels), len(own)), bool)
    ignored = np.zeros_like(right)
    for i, level in enumerate(levels):
        taken = np.zeros(overlaps.shape[1], bool)
        for j in range(len(own)):
            left = np.where(taken, -1.0, overlaps[j])
            # The last of equally near ones, as COCO's program takes.
            best = len(left) - 1 - int(left[::-1].argmax()) if len(left) else -1
            if best >= 0 and left[best] >= min(level, 1 - 1e-10):
                taken[best] = right[i, j] = True
            else:
                ignored[i, j] = hidden[j] >= level
    return _Judged(found.scores[own], right, ignored)


def _covered(boxes: npt.NDArray[np.float32], crowds: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Which part of each box (n,) the crowd that covers most of it covers."""
    if not len(crowds):
        return np.zeros(len(boxes))
    a, b = boxes[:, None].astype(np.float64), crowds[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    areas = np.maximum(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0).prod(1)
    both = np.maximum(sides, 0).prod(-1).max(1)
    covered: npt.NDArray[np.float64] = np.divide(both, areas, out=np.zeros(len(boxes)), where=areas > 0)
    return covered


def _curve(right: npt.NDArray[np.bool_], no_mistake: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.float64]:
    """Precision at `_RECALLS`: the best that is reached at that recall or a higher one."""
    hits, mistakes = np.cumsum(right), np.cumsum(~no_mistake)
    recall = hits / count
    precision = hits / np.maximum(hits + mistakes, np.spacing(1))
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    return np.concatenate([falling, np.zeros(1)])[np.minimum(at, len(falling))]
