"""Fair timing of competitors on a shared, noisy machine: in turns, each its median.

Competitors bring thread pools of their own, whose threads spin for up to ten milliseconds after their last work. On few
cores one would slow down the next, so every turn begins with a pause and a call that does not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

PAUSE = 0.025
TURN = 0.04


def interleaved(*functions: Callable[[], Any], seconds: float = 0.5, turns: int = 5) -> list[float]:
    """The median time of each function in seconds, over `turns` turns of TURN seconds or of one call at least."""
    times: list[list[float]] = [[] for _ in functions]
    deadline = time.perf_counter() + seconds * len(functions)
    for turn in range(1000):
        if turn >= turns and time.perf_counter() > deadline:
            break
        for function, own in zip(functions, times, strict=True):
            time.sleep(PAUSE)
            function()
            end = time.perf_counter() + TURN
            while True:
                start = time.perf_counter()
                function()
                now = time.perf_counter()
                own.append(now - start)
                if now > end:
                    break
    return [statistics.median(own) for own in times]
