"""Cases of the pooling of regions of interest. Maxima are exact.

A weight of roi_align is rounded once, as are its product with an element and each addition: 2·samples elements along
each axis. Coordinates are float64, so that a place is wrong by less than a billionth of an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, exact, labels, normal, roundings
from dipkernels import reference

SETTINGS: dict[str, tuple[tuple[int, ...], int, Any, float]] = {  # x, boxes, output_size, spatial_scale
    "images": ((2, 3, 9, 12), 6, (3, 4), 0.25),
    "one_bin": ((1, 2, 7, 7), 3, 1, 1.0),
    "more_bins_than_elements": ((2, 1, 5, 3), 4, (7, 6), 0.1),
    "many": ((3, 40, 11, 10), 33, 2, 0.5),
    "no_boxes": ((2, 3, 4, 4), 0, 2, 1.0),
    "one_element": ((1, 1, 1, 1), 2, (2, 1), 1.0),
    "no_channels": ((1, 0, 4, 4), 2, 2, 1.0),
}


def regions(shape: tuple[int, ...], count: int, scale: float) -> tuple[Any, Any]:
    """Boxes of all sizes, some of them beyond the map, and their images."""
    rng = np.random.default_rng([*shape, count])
    corner = rng.uniform(-0.3, 1.0, (count, 2)) * [shape[3], shape[2]] / scale
    size = rng.uniform(-0.1, 1.2, (count, 2)) * [shape[3], shape[2]] / scale
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    boxes[::5] = np.round(boxes[::5])
    return boxes, labels(count, classes=shape[0])


def _bound(op: str) -> Any:
    def bound(expected: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
        samples = (*args, 2)[4] if op == "roi_align" and len(args) > 4 else kwargs.get("sampling_ratio", 2)
        within = getattr(reference, op)(np.abs(values), *args, **kwargs)
        largest = np.abs(values).max(initial=0.0)
        return (roundings(4 * samples**2) + 12) * UNIT * within + 1e-9 * largest + TINY

    return (bound,)


CASES = []
ties = np.floor(normal(2, 3, 8, 9))
ties[1, 1, ::3] = np.nan
for label, values in {"ties": ties, "infinite": np.where(ties > 0, ties, -np.inf).astype(np.float32)}.items():
    CASES.append(Case("roi_pool_with_indices", label, (values, *regions(values.shape, 12, 1.0), 2), {}, (exact, exact)))
for label, (shape, count, size, scale) in SETTINGS.items():
    x = normal(*shape)
    boxes, batch = regions(shape, count, scale)
    y, indices = reference.roi_pool_with_indices(x, boxes, batch, size, scale)
    dy = normal(*y.shape, seed=1)
    CASES += [
        Case("roi_pool", label, (x, boxes, batch, size, scale)),
        Case(
            "roi_pool_with_indices",
            label,
            (x, boxes, batch.astype(np.int32), size, scale),
            {},
            (exact, exact),
        ),
        Case(
            "roi_pool_backward",
            label,
            (dy, boxes, batch, indices, shape, scale),
            {},
            (
                lambda expected, dy, *rest: (
                    roundings(dy.size) * UNIT * reference.roi_pool_backward(np.abs(dy), *rest) + TINY
                ),
            ),
        ),
    ]
    for samples, aligned in [(2, True), (1, False), (5, True)]:
        options = {"sampling_ratio": samples, "aligned": aligned}
        CASES += [
            Case("roi_align", f"{label}-{samples}", (x, boxes, batch, size, scale), options, _bound("roi_align")),
            Case(
                "roi_align_backward",
                f"{label}-{samples}",
                (dy, boxes, batch, shape, scale),
                options,
                _bound("roi_align_backward"),
            ),
        ]
