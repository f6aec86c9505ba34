"""Cases of unpooling and upsampling: exact, but for sums where indices repeat and over upsampled blocks."""

from __future__ import annotations

import numpy as np

from cases.case import UNIT, Case, normal, roundings
from dipkernels import reference

CASES = []
for n, c, h, w, scale in [
    (2, 3, 5, 4, 2),
    (1, 2, 7, 9, (1, 3)),
    (1, 1, 1, 1, 5),
    (0, 2, 3, 3, 2),
    (2, 2, 20, 33, (2, 2)),
    (1, 2, 2, 1, (60, 70)),
]:
    label = f"{n}x{c}x{h}x{w}-{scale}"
    rows, columns = (scale, scale) if isinstance(scale, int) else scale
    size = (h * rows, w * columns)
    x = normal(n, c, h, w)
    large = normal(n, c, *size, seed=1)
    _, indices = reference.max_pool2d_with_indices(large, scale)
    repeated = np.random.default_rng(2).integers(0, size[0] * size[1], x.shape).astype(np.int32)
    CASES += [
        Case("max_unpool2d", label, (x, indices.astype(np.int32), scale)),
        Case(
            "max_unpool2d",
            f"{label}-repeated",
            (x, repeated),
            {"output_size": size},
            # As many roundings as indices fall together, here never more than eight.
            (
                lambda expected, x, indices, output_size: (
                    8 * UNIT * reference.max_unpool2d(np.abs(x), indices, output_size=output_size)
                ),
            ),
        ),
        Case("max_unpool2d_backward", label, (large, repeated)),
        Case("max_unpool2d_backward", f"{label}-int64", (large, repeated.astype(np.int64))),
        Case("upsample_nearest2d", label, (x, scale)),
        Case(
            "upsample_nearest2d_backward",
            label,
            (large, scale),
            {},
            (
                lambda expected, dy, scale: (
                    roundings(int(np.prod(np.broadcast_to(scale, 2))))
                    * UNIT
                    * reference.upsample_nearest2d_backward(np.abs(dy), scale)
                ),
            ),
        ),
        Case("bed_of_nails2d", label, (x, scale, (rows - 1, columns // 2))),
        Case("bed_of_nails2d_backward", label, (large, scale, (rows - 1, columns // 2))),
    ]

# Indices that repeat more often than overlapping windows make them: all the same, or a few many times.
for label, few in {"one": 1, "few": 7, "some": 90}.items():
    x = normal(2, 2, 40, 50)
    indices = (few // 2 + np.random.default_rng(few).integers(0, few, x.shape)).astype(np.int32)
    for op, sizes in {
        "max_unpool2d": {"output_size": (11, 13)},
        "max_pool2d_backward": {"input_size": (11, 13)},
    }.items():
        CASES.append(
            Case(
                op,
                f"repeated-{label}",
                (x, indices),
                sizes,
                (
                    lambda expected, x, indices, op=op, **size: (
                        roundings(x.shape[2] * x.shape[3]) * UNIT * getattr(reference, op)(np.abs(x), indices, **size)
                    ),
                ),
            )
        )

for n, c, size, other in [
    (2, 3, (4, 5), (7, 11)),
    (1, 2, (7, 6), (3, 9)),
    (1, 1, (5, 5), (1, 100)),
    (2, 2, (3, 4), (6, 12)),
]:
    label = f"{n}x{c}x{size}-{other}"
    CASES += [
        Case("upsample_nearest2d", label, (normal(n, c, *size),), {"size": other}),
        Case(
            "upsample_nearest2d_backward",
            label,
            (normal(n, c, *other),),
            {"input_size": size},
            (
                lambda expected, dy, input_size: (
                    roundings(dy.size) * UNIT * reference.upsample_nearest2d_backward(np.abs(dy), input_size=input_size)
                ),
            ),
        ),
    ]
