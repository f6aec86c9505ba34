"""What tests of properties share."""

from __future__ import annotations

from typing import Any

import numpy as np


def integers(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def kinds(a: Any) -> Any:
    """0 for a number, 1 for ∞, 2 for −∞, 3 for NaN."""
    return np.select([np.isnan(a), np.isposinf(a), np.isneginf(a)], [3, 1, 2])


def every_window_meets_the_input(window: dict[str, Any]) -> bool:
    """Whether each window has a tap inside the input, counted tap by tap."""
    for size, f, s, (start, end), d in zip(
        *(window[k] for k in ("size", "kernel_size", "stride", "padding", "dilation")), strict=True
    ):
        for first in range(-start, size + end - d * (f - 1), s):
            if not any(0 <= first + t * d < size for t in range(f)):
                return False
    return True
