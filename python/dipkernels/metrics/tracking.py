"""How well objects are followed through a film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, checked, listed, real
from dipkernels.detection.tracking import assigned
from dipkernels.reference.boxes import box_iou


@dataclass(frozen=True)
class TrackingScores:
    """`mota` = 1 − (missed + wrong + switches)/objects; `idf1`, the F₁ score of the identities. Both at most 1."""

    mota: float
    idf1: float
    objects: int
    missed: int
    wrong: int
    switches: int


@checked(
    boxes=listed(array("N4")),
    numbers=listed(array("N")),
    true_boxes=listed(array("N4")),
    true_numbers=listed(array("N")),
    iou_threshold=real(0, 1),
)
def tracking_scores(
    boxes: Sequence[Any],
    numbers: Sequence[npt.NDArray[np.int64]],
    true_boxes: Sequence[Any],
    true_numbers: Sequence[npt.NDArray[np.int64]],
    *,
    iou_threshold: float = 0.5,
) -> TrackingScores:
    """Of tracks, for each frame boxes (n, 4) and the numbers (n,) of the objects they are, against the true ones.

    In each frame an object keeps the track it had, as long as their IoU has `iou_threshold`; the others are assigned
    best. Another track than last time is a switch. For IDF1 each object is given the one track that follows it in most
    frames, all together by the best assignment. NaN where there is no object and no track.

    ValueError for lists of different lengths. Sources: Bernardin, Stiefelhagen 2008; Ristani, Solera, Zou, Cucchiara,
    Tomasi 2016.
    """
    if not len(boxes) == len(numbers) == len(true_boxes) == len(true_numbers):
        raise ValueError(
            f"tracking_scores: all must have as many frames, got {len(boxes)}, {len(numbers)}, {len(true_boxes)} and "
            f"{len(true_numbers)}"
        )
    last: dict[int, int] = {}  # the track of each object
    together: Counter[tuple[int, int]] = Counter()
    objects = found = missed = wrong = switches = 0
    for own, names, true, true_names in zip(boxes, numbers, true_boxes, true_numbers, strict=True):
        overlaps = box_iou(true, own)
        for i, j in np.argwhere(overlaps >= iou_threshold):
            together[int(true_names[i]), int(names[j])] += 1
        gain = np.where(overlaps >= iou_threshold, overlaps, 0.0)
        for i, name in enumerate(true_names):
            for j in np.flatnonzero(names == last.get(int(name), -1)):
                gain[i, j] += 10.0 * (gain[i, j] > 0)
        pairs = assigned(gain, 1e-9) if gain.size else []
        for i, j in pairs:
            name, number = int(true_names[i]), int(names[j])
            switches += last.get(name, number) != number
            last[name] = number
        objects, found = objects + len(true), found + len(own)
        missed, wrong = missed + len(true) - len(pairs), wrong + len(own) - len(pairs)
    rows, columns = (sorted({pair[k] for pair in together}) for k in (0, 1))
    counts = np.array([[together[r, c] for c in columns] for r in rows], np.float64).reshape(len(rows), len(columns))
    right = sum(counts[i, j] for i, j in assigned(counts, 1.0)) if counts.size else 0.0
    return TrackingScores(
        1 - (missed + wrong + switches) / objects if objects else float("nan"),
        float(2 * right / (objects + found)) if objects + found else float("nan"),
        objects,
        missed,
        wrong,
        switches,
    )
