"""Cases of max pooling: values and indices are exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import UNIT, Case, exact, normal
from dipkernels import reference

# label: x, kernel_size, stride, padding, dilation, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "lenet": ((3, 6, 28, 28), 2, 2, 0, 1, "exact"),
    "small": ((3, 16, 10, 10), 2, None, 0, 1, "exact"),
    "overlapping": ((2, 3, 27, 27), 3, 2, 0, 1, "exact"),
    "overlapping_large": ((1, 2, 113, 113), 3, 2, 0, 1, "exact"),
    "overlapping_padded": ((2, 3, 56, 40), 3, 2, ((1, 0), (0, 1)), 1, "exact"),
    "floor": ((2, 3, 7, 9), 2, 2, 0, 1, "floor"),
    "stride1": ((2, 2, 20, 37), 3, 1, 1, 1, "exact"),
    "stride3": ((1, 2, 50, 62), 2, 3, 0, 1, "exact"),
    "rectangle": ((1, 2, 9, 40), (3, 2), (1, 2), (1, 0), 1, "exact"),
    "dilated": ((1, 3, 20, 41), 2, 2, ((1, 0), (1, 1)), 3, "floor"),
    # A second window would meet padding alone, and there is none.
    "dilated_padded": ((2, 2, 2, 9), (3, 2), 1, ((2, 3), (0, 0)), (3, 1), "exact"),
    "one": ((1, 1, 1, 1), 1, 1, 0, 1, "exact"),
    "global": ((2, 5, 6, 7), (6, 7), 1, 0, 1, "exact"),
    "wide": ((1, 1, 4, 301), 2, (2, 1), 0, 1, "exact"),
    "whole": ((2, 2, 30, 41), (30, 41), 1, 0, 1, "exact"),
    "wide_windows": ((1, 2, 12, 70), (5, 64), (2, 11), ((1, 2), (2, 3)), 1, "exact"),
    "wide_windows_dilated": ((1, 2, 3, 41), (2, 21), 1, 0, (1, 2), "exact"),
    "as_wide": ((2, 3, 23, 5), (4, 5), (3, 1), ((1, 1), (0, 0)), 1, "exact"),
    "as_wide_dilated": ((1, 2, 9, 5), (3, 5), 1, 0, (2, 1), "exact"),
    "as_wide_twice": ((1, 2, 9, 5), (2, 5), (1, 2), ((0, 0), (0, 2)), 1, "exact"),
    "nearly_as_wide": ((1, 2, 9, 7), (2, 5), (1, 3), 0, 1, "floor"),
    "ceil": ((2, 3, 8, 11), (3, 2), (2, 3), 1, 1, "ceil"),
    "ceil_beyond": ((1, 2, 7, 9), 2, 3, 0, 1, "ceil"),
    "ceil_two": ((3, 2, 7, 37), 2, 2, 0, 1, "ceil"),
    "ceil_three": ((3, 2, 8, 40), 3, 2, 0, 1, "ceil"),
    "ceil_dilated": ((1, 2, 11, 12), 2, 3, ((0, 1), (1, 1)), 2, "ceil"),
    "same": ((2, 2, 9, 10), (3, 4), (2, 3), "same", 1, "exact"),
    "empty": ((0, 3, 4, 4), 2, 2, 0, 1, "exact"),
}


def special(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Ties, infinities and NaN in the same array."""
    x = np.random.default_rng(5).integers(-2, 3, shape).astype(np.float32)
    flat = x.ravel()
    flat[::7], flat[3::11], flat[5::13] = -np.inf, np.nan, np.inf
    return x


CASES = []
for label, (shape, kernel_size, stride, padding, dilation, rounding) in GEOMETRIES.items():
    arguments = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    arguments["rounding"] = rounding
    for kind, x in {
        "normal": normal(*shape),
        "special": special(shape),
        "lowest": np.full(shape, -np.inf, "f4"),
    }.items():
        CASES.append(Case("max_pool2d_with_indices", f"{label}-{kind}", (x,), arguments, (exact, exact)))
    CASES.append(Case("max_pool2d", label, (normal(*shape),), arguments))
    y, indices = reference.max_pool2d_with_indices(normal(*shape), **arguments)
    dy = normal(*y.shape, seed=1)
    # At most F_h·F_w windows share an element: so many roundings of a sum of so many |dy|.
    CASES.append(
        Case(
            "max_pool2d_backward",
            label,
            (dy, indices.astype(np.int32), shape),
            {},
            (lambda expected, dy, indices, size: 49 * UNIT * reference.max_pool2d_backward(np.abs(dy), indices, size),),
        )
    )
