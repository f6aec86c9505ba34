"""The costs by which a way to compute a convolution on a GPU is chosen, and the table of times they are fitted to.

A choice is as good as its time is near the best of the table. The fit looks for costs with better choices near those
that there are; it needs no GPU, because the emulation plans as the GPU does.
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from rich.progress import track

from bench import gpu_tiles
from bench.devices import Rehearsal

_STEPS = 10_000
_WORST_WEIGHT = 0.05  # of the worst choice against the mean, in the logarithm
_PRIOR_WEIGHT = 2e-5  # of moving away from the costs there are


class Table:
    """The measured times, and what is chosen now."""

    def __init__(self, rows: list[dict[str, Any]], multiprocessors: int) -> None:
        device = Rehearsal()
        self.backend, self.multiprocessors = device.backend, multiprocessors
        plans = gpu_tiles.planned(device)
        # Few channels have a way of their own, which is taken unless tensor cores are asked for.
        plans = {label: plan for label, plan in plans.items() if plan.products["fma"]}
        self.rows = [(row["operator"], row["ways"], plans[row["operator"]]) for row in rows if row["operator"] in plans]

    def chosen(self, plans: gpu_tiles.Planned) -> str:
        """The way that is taken."""
        packs = plans.products["fma"][0][-1] > 0
        if plans.packing is not None and not packs:
            packs = self.backend.packing_pays(*plans.packing, self.multiprocessors)
        way = "tensor" if packs else "fma"
        rows, columns, depth, batches, may_split, kind, products = plans.products[way][0]
        plan = self.backend.plan_gemm(rows, columns, depth, batches, self.multiprocessors, may_split, kind, products)
        return f"{way} {plan[0]}"

    def distances(self) -> list[tuple[float, str, str, str]]:
        """How many times as long as the best the chosen way takes, of every row, the worst first."""
        found = []
        for label, ways, plans in self.rows:
            chosen, best = self.chosen(plans), min(ways, key=lambda way, ways=ways: ways[way])
            found.append((ways[chosen] / ways[best], label, chosen, best))
        return sorted(found, reverse=True)


def mean(distances: list[tuple[float, str, str, str]]) -> float:
    """The geometric one."""
    return math.exp(sum(math.log(each) for each, *_ in distances) / len(distances))


def _show(distances: list[tuple[float, str, str, str]]) -> None:
    print(
        f"{len(distances)} convolutions: {mean(distances):.3f} of the best in the mean, {distances[0][0]:.2f} at worst"
    )
    for distance, label, chosen, best in distances[:8]:
        if distance > 1.02:
            print(f"  {distance:5.2f}  {label:44} {chosen:34} best {best}")


def run(path: Path, multiprocessors: int, fit: bool) -> None:
    """Prints how far the choices are from the best of the table in `path`, and where asked to costs that fit better."""
    try:
        rows = json.loads(path.read_text())["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"costs: {path} is no table that `bench --json FILE tiles` wrote: {error}")
    table = Table([row for row in rows if "ways" in row], multiprocessors)
    if not table.rows:
        sys.exit(f"costs: {path} has no times of several ways of a convolution; `bench --json FILE tiles` writes some")
    backend = table.backend
    start, names = backend.gemm_costs(), backend.gemm_cost_names()
    _show(table.distances())
    if not fit:
        return

    def score(costs: list[float]) -> float:
        backend.set_gemm_costs(costs)
        distances = table.distances()
        moved = sum(math.log((a + 1e-3) / (b + 1e-3)) ** 2 for a, b in zip(costs, start, strict=True))
        return math.log(mean(distances)) + _WORST_WEIGHT * (distances[0][0] - 1) + _PRIOR_WEIGHT * moved

    chance, costs, best = random.Random(0), list(start), score(start)
    for _ in track(range(_STEPS), "fitting", transient=True):
        tried = list(costs)
        for number in chance.sample(range(len(costs)), chance.choice((1, 2, 4))):
            tried[number] *= math.exp(chance.gauss(0, chance.choice((0.1, 0.6))))
        if (reached := score(tried)) < best:
            costs, best = tried, reached
    backend.set_gemm_costs(costs)
    print("\nwith the costs for csrc/core/gemm_costs.cpp")
    for name, old, new in zip(names, start, costs, strict=True):
        print(f"  {name:48} {old:10.4g} -> {new:10.4g}")
    _show(table.distances())
    backend.set_gemm_costs(start)
