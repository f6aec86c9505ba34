"""Cases of average, sum and L2 pooling: a window of n elements is a sum with n roundings, then one division or root."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal
from dipkernels import reference

# label: x, kernel_size, stride, padding, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "halves": ((3, 4, 28, 28), 2, 2, 0, "exact"),
    "overlapping": ((2, 3, 13, 17), 3, 2, 0, "exact"),
    "asymmetric": ((2, 3, 9, 8), (3, 4), (2, 1), ((1, 1), (2, 0)), "exact"),
    "floor": ((1, 2, 8, 9), 3, 2, 1, "floor"),
    "global": ((2, 3, 7, 5), (7, 5), 1, 0, "exact"),
    "empty": ((0, 2, 4, 4), 2, None, 0, "exact"),
}


def _bound(op: str, arrays: int) -> Any:
    def bound(expected: Any, *args: Any, **kwargs: Any) -> Any:
        absolute = [np.abs(a) if i < arrays else a for i, a in enumerate(args)]
        magnitude = np.abs(getattr(reference, op)(*absolute, **kwargs))
        return 40 * UNIT * magnitude + TINY

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
