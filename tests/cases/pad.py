"""Cases of padding and cropping, which move numbers."""

from __future__ import annotations

from cases.case import Case, normal
from dipkernels import reference

CASES = []
for label, (shape, padding, value) in {
    "all_sides": ((2, 3, 5, 6), 2, 0.0),
    "value": ((2, 3, 5, 6), (1, 3), -1.5),
    "four": ((1, 2, 4, 7), ((1, 0), (2, 5)), 3.0),
    "crop": ((2, 3, 9, 8), -2, 0.0),
    "crop_and_add": ((2, 2, 6, 7), ((-2, 3), (4, -1)), 2.0),
    "crop_to_nothing": ((2, 2, 4, 3), ((-1, -3), (0, 0)), 0.0),
    "beyond_x": ((2, 2, 4, 3), ((-6, 5), (2, -4)), 7.0),
    "none": ((2, 1, 3, 3), 0, 0.0),
    "empty_batch": ((0, 2, 3, 3), 1, 0.0),
    "from_nothing": ((2, 2, 0, 3), (1, 2), 5.0),
}.items():
    x = normal(*shape)
    dy = normal(*reference.pad2d(x, padding).shape, seed=1)
    CASES += [Case("pad2d", label, (x, padding, value)), Case("pad2d_backward", label, (dy, padding))]
