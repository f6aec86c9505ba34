"""Cases of average, sum and L2 pooling: a window is a sum of any length, then one division or root; so is backward what
the windows over an element give it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal, roundings
from dipkernels import reference

# label: x, kernel_size, stride, padding, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "halves": ((3, 4, 28, 28), 2, 2, 0, "exact"),
    "overlapping": ((2, 3, 13, 17), 3, 2, 0, "exact"),
    "asymmetric": ((2, 3, 9, 8), (3, 4), (2, 1), ((1, 1), (2, 0)), "exact"),
    "floor": ((1, 2, 8, 9), 3, 2, 1, "floor"),
    "global": ((2, 3, 7, 5), (7, 5), 1, 0, "exact"),
    "as_wide": ((2, 3, 23, 5), (4, 5), (3, 1), ((2, 3), (0, 0)), "exact"),
    "nearly_as_wide": ((1, 2, 9, 7), (2, 5), (1, 3), 0, "floor"),
    "as_wide_twice": ((1, 2, 9, 5), (2, 5), (1, 2), ((0, 0), (0, 2)), "exact"),
    "ceil": ((2, 3, 8, 11), (3, 2), (2, 3), 1, "ceil"),
    "ceil_beyond": ((1, 2, 7, 9), 2, 3, 0, "ceil"),
    "ceil_asymmetric": ((1, 2, 10, 11), 4, 3, ((1, 2), (3, 0)), "ceil"),
    "same": ((2, 2, 9, 10), (3, 4), (2, 3), "same", "exact"),
    "whole": ((1, 2, 70, 61), (70, 61), 1, 0, "exact"),
    "most": ((2, 1, 35, 150), (33, 148), (2, 1), ((2, 0), (0, 3)), "exact"),
    "wide_overlapping": ((1, 2, 30, 41), (17, 13), 1, ((8, 3), (0, 12)), "exact"),
    "wide_stride": ((1, 1, 60, 50), (25, 24), (2, 3), 11, "floor"),
    "empty": ((0, 2, 4, 4), 2, None, 0, "exact"),
}


def _terms(geometry: dict[str, Any]) -> int:
    """The elements of a window, which are also the most windows over an element."""
    return int(np.prod(np.broadcast_to(geometry.get("kernel_size", 2), 2)))


def _bound(op: str, arrays: int) -> Any:
    def bound(expected: Any, *args: Any, **kwargs: Any) -> Any:
        absolute = [np.abs(a) if i < arrays else a for i, a in enumerate(args)]
        magnitude = np.abs(getattr(reference, op)(*absolute, **kwargs))
        return roundings(_terms(kwargs)) * UNIT * magnitude + TINY

    return bound


CASES = []
for label, (shape, kernel_size, stride, padding, rounding) in GEOMETRIES.items():
    geometry = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "rounding": rounding}
    x = normal(*shape)
    y = reference.l2_pool2d(x, **geometry).astype(np.float32)
    dy = normal(*y.shape, seed=1)
    variants: list[dict[str, Any]] = [{}, {"count_include_pad": False}]
    for op, options in [("avg_pool2d", o) for o in variants] + [("sum_pool2d", {})]:
        suffix = "-inside" if options else ""
        CASES += [
            Case(op, label + suffix, (x,), {**geometry, **options}, (_bound(op, 1),)),
            Case(
                f"{op}_backward",
                label + suffix,
                (dy, shape),
                {**geometry, **options},
                (_bound(f"{op}_backward", 1),),
            ),
        ]
    CASES += [
        Case("l2_pool2d", label, (x,), geometry, (_bound("l2_pool2d", 1),)),
        Case("l2_pool2d_backward", label, (dy, x, y), geometry, (_bound("l2_pool2d_backward", 3),)),
    ]
CASES.append(
    Case(
        "l2_pool2d_backward",
        "zero",
        (np.ones((1, 1, 1, 1), "f4"), np.zeros((1, 1, 2, 2), "f4"), np.zeros((1, 1, 1, 1), "f4"), 2),
        {},
        (_bound("l2_pool2d_backward", 3),),
    )
)
