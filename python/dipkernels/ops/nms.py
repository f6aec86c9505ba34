"""Non-maximum suppression: of boxes that find the same object, the one with the highest score."""

from __future__ import annotations

from typing import Any

from dipkernels.ops.backend import FloatArray, IndexArray, LabelArray, backend_of

__all__ = ["batched_nms", "nms"]


def nms(boxes: FloatArray, scores: FloatArray, iou_threshold: float) -> IndexArray:
    """The boxes that are left, as int32 indices, the highest score first.

    Parameters
    ----------
    boxes : float32 (N, 4), corners
    scores : float32 (N,)
        Equal ones are taken by index, NaN last.
    iou_threshold
        From 0 to 1: a box goes where its IoU with one that stays is larger.

    On the GPU this waits for the result, whose size nobody knows before. TypeError for other dtypes, ValueError for
    shapes that do not fit. Source: lecture, non-maximum suppression.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    >>> nms(boxes, np.float32([0.8, 0.9, 0.7]), 0.5)
    array([1, 2], dtype=int32)
    """
    return _kept("nms", boxes, scores, None, iou_threshold)


def batched_nms(boxes: FloatArray, scores: FloatArray, classes: LabelArray, iou_threshold: float) -> IndexArray:
    """`nms` of each class alone, `classes` (N,) of any integer dtype; all that are left, the highest score first.

    Classes of different images may be made different, such as image·C + class, to suppress in a whole batch at once.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 1, 11, 11]])
    >>> batched_nms(boxes, np.float32([0.8, 0.9]), np.int64([0, 1]), 0.5)
    array([1, 0], dtype=int32)
    """
    if classes is None:
        raise TypeError("batched_nms: classes must be an array of integers, got None")
    return _kept("batched_nms", boxes, scores, classes, iou_threshold)


def _kept(op: str, boxes: Any, scores: Any, classes: Any, iou_threshold: float) -> IndexArray:
    indices, count = backend_of(op, boxes, scores, classes).nms(op, boxes, scores, classes, iou_threshold)
    kept: IndexArray = indices[:count]
    return kept
