"""Boxes in three representations, and how much two of them overlap.

Coordinates grow to the right and down, in any unit, such as pixels; (x₁, y₁) is the upper left corner, and a box ends
at (x₂, y₂). TypeError for arrays that are not float32, ValueError for shapes that do not fit.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["box_convert", "box_iou", "generalized_box_iou"]

BoxFormat: TypeAlias = Literal["xyxy", "xywh", "cxcywh"]
"""Two corners (x₁, y₁, x₂, y₂); a corner, width and height (x₁, y₁, w, h); the centre (c_x, c_y, w, h)."""


def box_convert(
    boxes: FloatArray, in_fmt: BoxFormat, out_fmt: BoxFormat, *, out: FloatArray | None = None
) -> FloatArray:
    """Boxes (…, 4) of one representation in another, float32 (…, 4).

    Each number is rounded once at most. So there and back is exact where the numbers have few enough digits, as whole
    and half pixels do. ValueError, too, for an unknown format. Source: lecture, object detection, representations of a
    box.

    >>> box_convert(np.float32([[2, 3, 6, 5]]), "xyxy", "cxcywh")
    array([[4., 4., 4., 2.]], dtype=float32)
    """
    return backend_of("box_convert", boxes).box_convert(boxes, in_fmt, out_fmt, out)


def box_iou(boxes1: FloatArray, boxes2: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """Intersection over union of every box of boxes1 (N, 4) with every one of boxes2 (M, 4), corners: (N, M), 0 to 1.

    A box that ends before it begins is empty; two empty ones have 0. Computed in float64 and rounded once. Source:
    lecture, intersection over union.

    >>> box_iou(np.float32([[0, 0, 2, 2]]), np.float32([[1, 0, 3, 2], [5, 5, 6, 6]]))
    array([[0.33333334, 0.        ]], dtype=float32)
    """
    return backend_of("box_iou", boxes1, boxes2).box_iou(False, boxes1, boxes2, out)


def generalized_box_iou(boxes1: FloatArray, boxes2: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """IoU − (|C| − |A ∪ B|)/|C| with C the smallest box around both: (N, M), −1 to 1.

    It tells boxes that are far apart from those that nearly touch; otherwise as `box_iou`. Source: Rezatofighi, Tsoi,
    Gwak, Sadeghian, Reid, Savarese 2019.

    >>> generalized_box_iou(np.float32([[0, 0, 1, 1]]), np.float32([[1, 0, 2, 1], [3, 0, 4, 1]]))
    array([[ 0. , -0.5]], dtype=float32)
    """
    return backend_of("generalized_box_iou", boxes1, boxes2).box_iou(True, boxes1, boxes2, out)
