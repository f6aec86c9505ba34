"""Scores of labels, per image or per pixel: confusion matrix, accuracy, intersection over union."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import integer
from dipkernels.checks import array, checked, whole


@checked(ignore_index=whole(-(2**62)))
def confusion_matrix(
    t: npt.NDArray[Any], predictions: npt.NDArray[Any], classes: int, ignore_index: int | None = None
) -> npt.NDArray[np.int64]:
    """How often class i (row) was taken for class j (column), int64 (classes, classes).

    t, predictions : class indices of any integer dtype, of one shape
    ignore_index : the label of what does not count; a prediction there may be anything

    TypeError for arrays of no integers, ValueError for shapes that differ, IndexError for a class that is none.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    op, classes = "confusion_matrix", integer("confusion_matrix", "classes", classes, 1)
    for name, labels in (("t", t), ("predictions", predictions)):
        if getattr(getattr(labels, "dtype", None), "kind", "") not in ("i", "u"):
            raise TypeError(f"{op}: {name} must be an array of integers, got {type(labels).__name__}")
    if t.shape != predictions.shape:
        raise ValueError(f"{op}: t and predictions must have one shape, got {t.shape} and {predictions.shape}")
    kept = np.ones(t.shape, bool) if ignore_index is None else t != ignore_index
    t, predictions = t[kept].astype(np.int64), predictions[kept].astype(np.int64)
    for name, labels in (("t", t), ("predictions", predictions)):
        outside = (labels < 0) | (labels >= classes)
        if outside.any():
            wrong = int(labels[outside.argmax()])
            raise IndexError(f"{op}: {name} must be classes from 0 to {classes - 1}, got {wrong}")
    counts = np.bincount(t * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class SegmentationScores:
    """What a confusion matrix of pixels says.

    `iou` (classes,) is each class's intersection over union, NaN for one that is neither there nor predicted; it does
    not count in `mean_iou`.
    """

    confusion: npt.NDArray[np.int64]
    pixel_accuracy: float
    iou: npt.NDArray[np.float64]
    mean_iou: float


@checked(confusion=array("CC"))
def segmentation_scores(confusion: npt.NDArray[np.int64]) -> SegmentationScores:
    """Pixel accuracy, and the intersection over union of every class and in the mean.

    Source: Everingham et al. 2010, "The Pascal Visual Object Classes Challenge"; Long, Shelhamer, Darrell 2015.

    >>> segmentation_scores(np.array([[3, 1], [0, 4]])).iou
    array([0.75, 0.8 ])
    """
    right = np.diag(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - right
    total = int(confusion.sum())
    with np.errstate(invalid="ignore"):
        iou = right / union
    there = union > 0
    return SegmentationScores(
        confusion,
        float(right.sum() / total) if total else float("nan"),
        iou,
        float(iou[there].mean()) if there.any() else float("nan"),
    )
