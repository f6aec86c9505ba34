"""Cases of boxes and their overlaps: computed in float64, or with one operation a number, and rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import Case, normal, ulps

FORMATS = ("xyxy", "xywh", "cxcywh")


def corners(count: int, seed: int = 0, extent: float = 40.0) -> Any:
    """Boxes (count, 4), sorted corners; every seventh is empty."""
    rng = np.random.default_rng([seed, count])
    boxes = np.sort(rng.uniform(0, extent, (count, 2, 2)), axis=1).reshape(count, 4)
    boxes[::7, 2] = boxes[::7, 0] - 1
    return boxes.astype(np.float32)


def _overlap(expected: Any, *boxes: Any) -> Any:
    """Besides the rounding of the result that of float64, where areas cancel."""
    return ulps(1)(expected) + 1e-12


CASES = [
    Case("box_convert", f"{a}-{b}-{len(boxes)}", (boxes, a, b), {}, (ulps(1),))
    for a in FORMATS
    for b in FORMATS
    for boxes in (corners(9), corners(0))
]
CASES.append(Case("box_convert", "volume", (normal(3, 5, 4), "cxcywh", "xyxy"), {}, (ulps(1),)))
for op in ("box_iou", "generalized_box_iou"):
    CASES += [
        Case(op, f"{n}x{m}", (corners(n), corners(m, seed=1)), {}, (_overlap,))
        for n, m in [(5, 8), (1, 1), (0, 3), (4, 0), (300, 70)]
    ]
    CASES.append(Case(op, "whole_pixels", (np.floor(corners(20)), np.floor(corners(9, seed=1))), {}, (_overlap,)))
