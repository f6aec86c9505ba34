"""Oracles of boxes and their overlaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["box_convert", "box_iou", "generalized_box_iou"]


def box_convert(boxes: Any, in_fmt: str, out_fmt: str) -> Float64:
    """By way of the corners."""
    first, second = np.split(np.asarray(boxes, np.float64), 2, axis=-1)
    if in_fmt == "cxcywh":
        first = first - second / 2
    if in_fmt != "xyxy":
        second = first + second
    if out_fmt != "xyxy":
        first, second = (first + second) / 2 if out_fmt == "cxcywh" else first, second - first
    return np.concatenate([first, second], axis=-1)


def _areas(boxes1: Any, boxes2: Any) -> tuple[Float64, Float64, Float64]:
    """Of every pair: intersection, union, and the smallest box around both."""
    a, b = np.asarray(boxes1, np.float64)[:, None], np.asarray(boxes2, np.float64)[None]

    def area(first: Float64, second: Float64) -> Float64:
        return np.maximum(second - first, 0).prod(-1)

    both = area(np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:]))
    around = area(np.minimum(a[..., :2], b[..., :2]), np.maximum(a[..., 2:], b[..., 2:]))
    return both, area(a[..., :2], a[..., 2:]) + area(b[..., :2], b[..., 2:]) - both, around


def _ratio(a: Float64, b: Float64) -> Float64:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def box_iou(boxes1: Any, boxes2: Any) -> Float64:
    """|A ∩ B|/|A ∪ B|."""
    both, either, _ = _areas(boxes1, boxes2)
    return _ratio(both, either)


def generalized_box_iou(boxes1: Any, boxes2: Any) -> Float64:
    """|A ∩ B|/|A ∪ B| − |C minus A ∪ B|/|C|."""
    both, either, around = _areas(boxes1, boxes2)
    return _ratio(both, either) - _ratio(around - either, around)
