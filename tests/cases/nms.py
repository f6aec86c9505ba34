"""Cases of non-maximum suppression, whose results are indices."""

from __future__ import annotations

import numpy as np

from cases.boxes import corners
from cases.case import Case, labels

CASES = []
for count, extent in [(20, 15.0), (1, 5.0), (0, 5.0), (150, 12.0), (700, 60.0)]:
    boxes = corners(count, extent=extent)
    rng = np.random.default_rng(count)
    for label, scores in {
        "different": rng.permutation(count).astype(np.float32),
        "equal": np.zeros(count, np.float32),
        "few": rng.integers(0, 4, count).astype(np.float32),
    }.items():
        CASES += [
            Case("nms", f"{count}-{label}-{threshold}", (boxes, scores, threshold))
            for threshold in (0.0, 0.3, 0.7, 1.0)
        ]
        CASES.append(Case("batched_nms", f"{count}-{label}", (boxes, scores, labels(count, classes=3), 0.4)))
not_all_numbers = np.float32([1, np.nan, 3, np.nan, -np.inf, np.inf])
CASES += [
    Case("nms", "nan_scores", (corners(6, extent=400.0), not_all_numbers, 0.5)),
    Case("batched_nms", "small_dtype", (corners(30), np.arange(30, dtype=np.float32), np.arange(30) % 2, 0.1)),
]
