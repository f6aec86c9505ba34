"""Cases of the transposed convolution.

An element of y, or of a gradient, is a sum of as many products as taps and channels can meet there, in whatever order;
its error is that of tests/cases/conv.py, and the oracle on absolute values gives Σ|a||b|.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal
from dipkernels import reference

# label: x, weight, stride, padding, output_padding, groups, dilation
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 3, 5, 6), (3, 4, 3, 3), 1, 0, 0, 1, 1),
    "double": ((3, 6, 7, 5), (6, 4, 2, 2), 2, 0, 0, 1, 1),
    "fcn": ((1, 5, 4, 5), (5, 5, 4, 4), 2, 1, 0, 1, 1),
    "output_padding": ((2, 4, 5, 4), (4, 3, 3, 3), 2, 1, 1, 1, 1),
    "uneven": ((2, 3, 4, 5), (3, 2, 3, 2), (3, 2), ((0, 1), (2, 1)), (2, 0), 1, (1, 2)),
    "stride_over_kernel": ((2, 3, 4, 3), (3, 2, 2, 1), 3, 0, (0, 2), 1, 1),
    "dilated": ((2, 3, 6, 6), (3, 4, 3, 3), 1, 2, 0, 1, 2),
    "groups": ((2, 6, 4, 5), (6, 2, 3, 3), 2, 1, 1, 3, 1),
    "depthwise": ((2, 5, 6, 5), (5, 1, 4, 4), 2, 1, 0, 5, 1),
    "pixel": ((3, 4, 1, 1), (4, 3, 3, 2), 2, 0, 1, 1, 1),
    "channels": ((2, 20, 5, 4), (20, 33, 2, 2), 2, 0, 0, 1, 1),
    "images": ((21, 3, 3, 4), (3, 5, 3, 3), 1, 1, 0, 1, 1),
    "empty_batch": ((0, 3, 4, 4), (3, 2, 2, 2), 2, 0, 0, 1, 1),
}


def _bound(op: str, terms: int, extra: Any = 0.0) -> Any:
    def bound(expected: Any, a: Any, b: Any, *rest: Any, **kwargs: Any) -> Any:
        kwargs = {key: value for key, value in kwargs.items() if key not in ("bias", "activation")}
        magnitude = getattr(reference, op)(np.abs(a), np.abs(b), *rest, **kwargs) + extra
        return (terms + 2) * UNIT * magnitude + 8 * UNIT * np.abs(expected) + TINY

    return bound


def _cases() -> list[Case]:
    cases = []
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    for label, (x_shape, w_shape, *rest) in GEOMETRIES.items():
        geometry = dict(zip(names, rest, strict=True))
        groups = geometry["groups"]
        x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[1] * groups, seed=2)
        dy = normal(*reference.conv_transpose2d(x, weight, **geometry).shape, seed=3)
        taps = int(np.prod(w_shape[2:]))
        op = "conv_transpose2d"
        cases += [
            Case(op, label, (x, weight), geometry, (_bound(op, taps * w_shape[0] // groups),)),
            Case(
                op,
                f"{label}-relu",
                (x, weight),
                {**geometry, "bias": bias, "activation": "relu"},
                (_bound(op, taps * w_shape[0] // groups, np.abs(bias)[:, None, None]),),
            ),
            Case(
                f"{op}_backward_data",
                label,
                (dy, weight, x_shape),
                geometry,
                (_bound(f"{op}_backward_data", taps * w_shape[1]),),
            ),
            Case(
                f"{op}_backward_weight",
                label,
                (dy, x, w_shape),
                geometry,
                (_bound(f"{op}_backward_weight", int(np.prod(x_shape)) // x_shape[1] if x.size else 0),),
            ),
            # Accumulated in float64: one rounding at the end.
            Case(
                f"{op}_backward_bias",
                label,
                (dy,),
                {},
                (lambda expected, dy: UNIT * (np.abs(expected) + 1e-8 * np.abs(dy).sum((0, 2, 3))),),
            ),
        ]
    return cases


CASES = _cases()
