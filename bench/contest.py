"""A contest with PyTorch: time, ratio, GFLOP/s or GB/s, and for convolutions the error of both against float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from bench.devices import Cpu, Gpu, Rehearsal

Device: TypeAlias = Cpu | Gpu | Rehearsal


@dataclass
class Contest:
    """One row: what runs, its work in floating-point operations or bytes, and results to compare with float64."""

    name: str
    shape: str
    work: float
    unit: str
    ours: Callable[[], Any]
    theirs: list[Callable[[], Any]]
    exact: Callable[[], Any] | None = None


def _error(result: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest error relative to the largest result."""
    return float((result - exact).abs().max() / exact.abs().max())


def measure(device: Device, contests: Iterable[Contest], only: str = "") -> Iterator[dict[str, Any]]:
    """One row of figures for each contest whose name contains `only`, as it is measured."""
    for contest in contests:
        if only not in contest.name:
            continue
        seconds, *their_seconds = device.times(contest.ours, *contest.theirs)
        best = min(their_seconds)
        row: dict[str, Any] = {
            "operator": contest.name, "shape": contest.shape, "unit": contest.unit, "ms": seconds * 1e3,
            "torch ms": best * 1e3, "ratio": best / seconds, "rate": contest.work / seconds / 1e9,
            "torch rate": contest.work / best / 1e9,
        }  # fmt: skip
        if kernels := device.kernel_times(contest.ours, contest.theirs):
            own, *others = kernels
            row |= {"kernel ms": own * 1e3, "torch kernel ms": min(others) * 1e3, "kernel ratio": min(others) / own}
        if contest.exact is not None:
            with torch.backends.cudnn.flags(benchmark=False):  # which would try every way to compute it
                exact = device.exactly(contest.exact())
            row["error"] = _error(device.exactly(contest.ours()), exact)
            row["torch error"] = _error(device.exactly(contest.theirs[0]()), exact)
        yield row
