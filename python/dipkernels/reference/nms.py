"""Oracles of non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.ops.backend import IndexArray
from dipkernels.reference.boxes import box_iou

__all__ = ["batched_nms", "nms"]


def nms(boxes: Any, scores: Any, iou_threshold: float) -> IndexArray:
    """All boxes are of one class."""
    return batched_nms(boxes, scores, np.zeros(len(boxes), np.int64), iou_threshold)


def batched_nms(boxes: Any, scores: Any, classes: Any, iou_threshold: float) -> IndexArray:
    """From the best box down, each one unless a better one of its class is in its way."""
    overlaps = box_iou(boxes, boxes)
    kept: list[int] = []
    for i in np.argsort(-np.asarray(scores, np.float64), kind="stable"):  # NaN last
        if not any(classes[i] == classes[j] and overlaps[i, j] > iou_threshold for j in kept):
            kept.append(int(i))
    return np.array(kept, np.int32)
