"""Cases of dropout: the mask is exact, the scale 1/(1 − p) is rounded once and multiplied once."""

from __future__ import annotations

from cases.case import Case, normal, ulps

CASES = [
    Case(
        op,
        f"{shape}-{p}-{seed}-{offset}",
        (normal(*shape), p),
        {"seed": seed, "offset": offset},
        (ulps(1.5),),
    )
    for op in ("dropout", "dropout_backward")
    for shape, p, seed, offset in [
        ((7,), 0.5, 0, 0),
        ((3, 130), 0.25, 2**64 - 1, 2**64 - 1),
        ((64, 65), 0.9, 12345, 2**33),
        ((5, 5), 0.0, 1, 1),
        ((5, 5), 1.0, 1, 1),
        ((20000,), 0.1, 7, 3),
        ((0, 3), 0.5, 1, 2),
    ]
]
