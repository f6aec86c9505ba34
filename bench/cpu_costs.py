"""The ways of convolutions and linear layers on this CPU, each timed, and the costs in csrc/cpu/costs.h by which one is
taken.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from rich.progress import track

import dipkernels
from bench import cost_fit
from bench.cost_fit import Distance, distance
from bench.operators import CONVOLUTIONS
from dipkernels import _cpu, explain, ops
from dipkernels.ops.precision import Precision

_STEPS = 3000
_SECONDS = 0.15  # for each way of a product, and three runs at least
_PRECISIONS: tuple[Precision, ...] = ("highest", "high", "medium")

# Beside the table of the operators' benchmark: few channels, many images, wide and narrow ones.
_MORE = [
    ("8 to 8 channels", 64, 8, 28, 8, 3, 1, 1, 1, 1),
    ("12 to 20, many images", 256, 12, 12, 20, 3, 1, 1, 1, 1),
    ("24 to 48, wide", 2, 24, 112, 48, 3, 1, 1, 1, 1),
    ("48 to 48, few images", 3, 48, 20, 48, 3, 1, 1, 1, 1),
    ("16 to 64, pointwise", 8, 16, 56, 64, 1, 1, 0, 1, 1),
    ("256 to 64, pointwise", 4, 256, 28, 64, 1, 1, 0, 1, 1),
    ("64 to 11, pointwise", 4, 64, 60, 11, 1, 1, 0, 1, 1),
    ("3 to 16, few images", 2, 3, 96, 16, 3, 1, 1, 1, 1),
    ("32 to 16, 7 x 7", 4, 32, 28, 16, 7, 1, 3, 1, 1),
    ("3 to 32, stride 2", 4, 3, 113, 32, 3, 2, 1, 1, 1),
    ("groups of 16", 4, 64, 28, 64, 3, 1, 1, 1, 4),
]


# Of linear layers: batch, inputs, outputs.
_LINEAR = [
    (n, i, o)
    for n in (1, 8, 16, 32, 64, 256, 1024)
    for i, o in ((84, 10), (120, 84), (400, 120), (784, 300), (1024, 1024), (4096, 1000), (9216, 512))
]


class Row(NamedTuple):
    """One product of a convolution or a linear layer: its measured ways, in seconds, and which one is taken."""

    label: str
    times: dict[str, float]
    choice: Callable[[], str]

    def distance(self) -> Distance:
        """Of the way that is taken now."""
        return distance(self.label, self.times, self.choice().partition(":")[0])


def _choice(precision: Precision, *arguments: Any, **geometry: Any) -> str:
    with dipkernels.precision(precision):
        return explain(*arguments, **geometry)


def _median_time(call: Callable[[], Any]) -> float:
    call()
    times: list[float] = []
    while sum(times) < _SECONDS or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _measured(label: str, call: Callable[[], Any], choice: Callable[[], str], ask: Callable[[str], None]) -> Row | None:
    """None where there is but one way."""
    ways = re.findall(r"(\w+) (?:cost )?[-\d.e+]+(?=,|$)", choice().partition("in millions of multiply-adds ")[2])
    times = {}
    for way in ways:
        ask(way)
        times[way] = _median_time(call)
    ask("auto")
    return Row(label, times, choice) if len(times) > 1 else None


def _convolutions() -> list[Row | None]:
    found: list[Row | None] = []
    chance = np.random.default_rng(0)
    for name, n, c, h, k, f, stride, padding, dilation, groups in track(
        CONVOLUTIONS + _MORE, "timing every way of convolutions", transient=True
    ):
        geometry: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        x = chance.standard_normal((n or 16, c, h, h), np.float32)
        weight = chance.standard_normal((k, c // groups, f, f), np.float32)
        y = ops.conv2d(x, weight, **geometry)
        for precision in _PRECISIONS:
            options = {**geometry, "precision": precision}
            for op, call in {
                "conv2d": partial(ops.conv2d, x, weight, **options),
                "conv2d_backward_data": partial(ops.conv2d_backward_data, y, weight, x.shape, **options),
                "conv2d_backward_weight": partial(ops.conv2d_backward_weight, y, x, weight.shape, **options),
            }.items():
                choice = partial(_choice, precision, op, x.shape, weight.shape, **geometry)
                found.append(_measured(f"{op} {name} {precision}", call, choice, _cpu.set_conv_way))
    return found


def _linear_layers() -> list[Row | None]:
    found: list[Row | None] = []
    chance = np.random.default_rng(0)
    for n, i, o in track(_LINEAR, "timing every way of linear layers", transient=True):
        x, weight = chance.standard_normal((n, i), np.float32), chance.standard_normal((o, i), np.float32)
        dy = chance.standard_normal((n, o), np.float32)
        for precision in _PRECISIONS:
            for op, call in {
                "linear": partial(ops.linear, x, weight, precision=precision),
                "linear_backward_data": partial(ops.linear_backward_data, dy, weight, precision=precision),
                "linear_backward_weight": partial(ops.linear_backward_weight, dy, x, precision=precision),
            }.items():
                choice = partial(_choice, precision, op, x.shape, weight.shape)
                found.append(_measured(f"{op} {n} x {i} to {o} {precision}", call, choice, _cpu.set_linear_way))
    return found


def run(fit: bool) -> list[dict[str, Any]]:
    """Prints how far the ways that are taken are from the best, and where asked to costs that fit better."""
    rows = [row for row in _convolutions() + _linear_layers() if row is not None]

    def distances() -> list[Distance]:
        return [row.distance() for row in rows]

    cost_fit.show(distances())
    if fit:
        cost_fit.fit(_cpu.cost_names(), _cpu.costs(), _cpu.set_costs, distances, _STEPS, "csrc/cpu/costs.h")
    return [{"operator": row.label, "seconds": row.times} for row in rows]
