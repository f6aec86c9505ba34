"""Cases of warping. Places are float64, so that a weight is rounded once and wrong by nothing else worth counting; a
result is a sum of up to 16 products of two weights, at most 1.4 together along an axis, and a number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal, roundings
from dipkernels import reference

SIZES: dict[str, tuple[tuple[int, ...], tuple[int, int], float]] = {  # x, size of the result, spread of the flow
    "images": ((2, 3, 7, 9), (7, 9), 2.0),
    "other_size": ((1, 2, 5, 4), (9, 3), 3.0),
    "one_element": ((2, 1, 1, 1), (3, 2), 1.0),
    "far_away": ((1, 2, 6, 6), (5, 5), 30.0),
    "many_channels": ((2, 70, 3, 4), (4, 4), 1.0),
    "whole": ((1, 2, 6, 7), (6, 7), 0.0),
    "empty_batch": ((0, 2, 3, 3), (3, 3), 1.0),
    "no_channels": ((2, 0, 3, 3), (3, 3), 1.0),
    "no_places": ((1, 2, 3, 3), (0, 4), 1.0),
    "nothing_to_read": ((1, 2, 0, 3), (2, 2), 1.0),
}
MOST = 4.0
"""Of the sum of all weights of a result, or of their slopes, which are larger."""


def _y(expected: Any, x: Any, *rest: Any) -> Any:
    return 24 * UNIT * MOST * np.abs(x).max(initial=0) + TINY


def _dx(expected: Any, dy: Any, x: Any, flow: Any, interpolation: str = "bilinear") -> Any:
    """Of every element as many results as there are where all lists fall together."""
    within = reference.warp_backward(np.abs(dy), x, flow, "bilinear")[0].max(initial=0)
    return (roundings(dy[:, :1].size * 16) + 8) * UNIT * MOST * (within + np.abs(dy).max(initial=0)) + TINY


def _dflow(expected: Any, dy: Any, x: Any, *rest: Any) -> Any:
    return (roundings(x.shape[1]) + 24) * UNIT * 2 * MOST * x.shape[1] * np.abs(dy).max(initial=0) * np.abs(x).max(
        initial=0
    ) + TINY


CASES = []
for label, (shape, size, spread) in SIZES.items():
    x, dy = normal(*shape), normal(*shape[:2], *size, seed=1)
    flow = np.float32(spread) * normal(shape[0], 2, *size, seed=2)
    flow.flat[3:4] = np.nan
    flow.flat[5:6] = np.inf
    for interpolation in ("nearest", "bilinear", "bicubic"):
        CASES += [
            Case("warp", f"{label}-{interpolation}", (x, flow, interpolation), {}, (_y,)),
            Case("warp_backward", f"{label}-{interpolation}", (dy, x, flow, interpolation), {}, (_dx, _dflow)),
        ]

# All results read the same two cells, so that their lists are long.
places = np.indices((12, 13))[None, ::-1].astype(np.float32)
together = np.float32(2.25) - places
together[:, 0, 6:] += 1
for interpolation in ("bilinear", "bicubic"):
    arguments = (normal(1, 2, 12, 13), normal(1, 2, 5, 6), together, interpolation)
    CASES.append(Case("warp_backward", f"together-{interpolation}", arguments, {}, (_dx, _dflow)))

for count, size in [(3, (5, 4)), (1, (1, 1)), (0, (3, 3)), (2, (0, 3)), (2, (40, 50))]:
    label = f"{count}x{size}"
    CASES += [
        Case(
            "affine_flow",
            label,
            (normal(count, 2, 3), size),
            {},
            (
                lambda expected, matrices, size: (
                    16 * UNIT * (1 + np.abs(matrices).max(initial=0)) * (max(size) + 1) + TINY
                ),
            ),
        ),
        Case(
            "affine_flow_backward",
            label,
            (normal(count, 2, *size, seed=1),),
            {},
            (
                lambda expected, dflow: (
                    roundings(dflow[:1].size)
                    * UNIT
                    * np.abs(dflow).max(initial=0)
                    * (dflow[:1].size + 1)
                    * (max(dflow.shape) + 1)
                    + TINY
                ),
            ),
        ),
    ]
