"""Cases of concatenation, which moves numbers."""

from __future__ import annotations

from cases.case import Case, exact, normal

CASES = []
for label, (before, channels, after) in {
    "images": (3, (2, 5, 1), (4, 7)),
    "vectors": (5, (3, 4), ()),
    "one": (2, (3,), (5, 5)),
    "with_none": (2, (3, 0, 2), (3,)),
    "wide": (2, (40, 24), (9, 11)),
    "empty_batch": (0, (2, 3), (4, 4)),
}.items():
    shapes = [(before, count, *after) for count in channels]
    CASES += [
        Case("concatenate", label, ([normal(*shape, seed=i) for i, shape in enumerate(shapes)],)),
        Case(
            "concatenate_backward",
            label,
            (normal(before, sum(channels), *after), list(channels)),
            {},
            (exact,) * len(channels),
        ),
    ]
