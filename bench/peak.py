"""What the machine can do, measured in the same run: the yardstick of "share" in the tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from bench.devices import Cpu
from dipkernels import ops


def _best(function: Callable[[], Any], seconds: float = 1.0) -> float:
    function()
    end, best = time.perf_counter() + seconds, float("inf")
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def peaks(device: Any) -> dict[str, float]:
    """The best rate (GFLOP/s) of a float32 matrix product or 3×3 convolution, in either library, and of a copy beyond
    the caches (GB/s, read and written); nothing for other devices than the CPU.
    """
    if type(device) is not Cpu:
        return {}
    n, count = 1024, 1 << 26
    a, b = torch.randn(n, n), torch.randn(n, n)
    x, weight = torch.randn(8, 128, 28, 28), torch.randn(128, 128, 3, 3)
    products = [
        (2.0 * n**3, lambda: torch.mm(a, b)),
        (2.0 * n**3, lambda: ops.linear(a.numpy(), b.numpy())),
        (2.0 * x.numel() * 128 * 9, lambda: torch.nn.functional.conv2d(x, weight, padding=1)),
    ]
    source, to = torch.zeros(count), torch.empty(count)
    return {
        "GFLOP/s": max(1e-9 * work / _best(run) for work, run in products),
        "GB/s": 8e-9 * count / _best(lambda: to.copy_(source)),
    }
