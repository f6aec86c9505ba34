"""Results of 16 bits against the float32 ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import UNIT
from dipkernels import cuda


def nearest_bfloat16(x: Any) -> Any:
    """Each float32 as the nearest number that has no lower 16 bits, by comparing distances; ties to even."""
    below = x.view(np.uint32) & 0xFFFF0000
    above = below + 0x10000
    low, high = below.view(np.float32), above.view(np.float32)
    # Beyond the largest one stands what would come next, for the distance.
    limit = np.where(np.isinf(high), np.copysign(np.float64(2.0**128), high), high.astype(np.float64))
    up = np.abs(limit - x) - np.abs(x - low.astype(np.float64))
    return np.where((up < 0) | ((up == 0) & ((below >> 16) % 2 == 1)), high, low)


def assert_rounded_once(got: cuda.DeviceArray, exact: Any, bound: Any, dtype: str) -> None:
    """Each element is what a number within `bound` of the exact one is rounded to."""

    def nearest(x: Any) -> Any:
        return x.astype(np.float16) if dtype == "float16" else nearest_bfloat16(x.astype(np.float32))

    assert got.dtype == dtype
    values = got.to_host().astype(np.float64)
    bound = bound + UNIT * np.abs(exact)  # nearest_bfloat16 wants float32
    outside = ~((values >= nearest(exact - bound)) & (values <= nearest(exact + bound)))
    assert not outside.any(), f"{outside.sum()} of {outside.size} wrong, the first at {np.argwhere(outside)[0]}"
