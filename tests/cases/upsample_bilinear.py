"""Cases of bilinear interpolation. A weight is a quotient of rounded numbers, three roundings, whatever it meets; four
products of two weights, and a sum of any length backwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal, roundings

# label: (H, W), (H', W')
SIZES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "double": ((4, 5), (8, 10)),
    "triple": ((3, 17), (9, 51)),
    "same": ((6, 5), (6, 5)),
    "uneven": ((5, 7), (12, 9)),
    "smaller": ((11, 40), (4, 7)),
    "from_one": ((1, 1), (5, 3)),
    "to_one": ((5, 6), (1, 1)),
    "one_row": ((1, 9), (1, 20)),
    "many_times": ((2, 3), (140, 150)),
}


def _most(small: tuple[int, int], large: tuple[int, int]) -> int:
    """How many results an element is in."""
    return int(np.prod([min(2 * (m // n + 1) + 1, m) for n, m in zip(small, large, strict=True)]))


def _bounds(terms: int) -> tuple[Any, ...]:
    return (lambda expected, x, *a, **k: (roundings(terms) + 16) * terms * UNIT * np.abs(x).max(initial=0) + TINY,)


CASES = [
    Case("upsample_bilinear2d", "scale", (normal(1, 2, 3, 4), (2, 3)), {}, _bounds(1)),
    Case("upsample_bilinear2d_backward", "scale", (normal(1, 2, 6, 12), (2, 3)), {}, _bounds(35)),
]
for label, (small, large) in SIZES.items():
    for align_corners in (False, True):
        name, option = f"{label}-{align_corners}", {"align_corners": align_corners}
        CASES += [
            Case("upsample_bilinear2d", name, (normal(2, 3, *small),), {"size": large, **option}, _bounds(1)),
            Case(
                "upsample_bilinear2d_backward",
                name,
                (normal(2, 3, *large),),
                {"input_size": small, **option},
                _bounds(_most(small, large)),
            ),
        ]
CASES += [
    Case("upsample_bilinear2d", "empty", (normal(0, 2, 3, 4), 2), {}, _bounds(1)),
    Case("upsample_bilinear2d_backward", "empty", (normal(0, 2, 6, 8), 2), {}, _bounds(1)),
]
