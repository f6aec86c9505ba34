"""The costs by which a way to compute a convolution on a GPU is chosen, and the table of times they are fitted to.

A choice is as good as its time is near the best of the table. The fit looks for costs with better choices near those
that there are; it needs no GPU, because the emulation plans as the GPU does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench import cost_fit, gpu_tiles
from bench.cost_fit import Distance, distance, show
from bench.devices import Rehearsal

_STEPS = 10_000


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

    def distances(self) -> list[Distance]:
        """Of every row."""
        return [distance(label, ways, self.chosen(plans)) for label, ways, plans in self.rows]


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
    show(table.distances())
    if fit:
        names, start = backend.gemm_cost_names(), backend.gemm_costs()
        cost_fit.fit(names, start, backend.set_gemm_costs, table.distances, _STEPS, "csrc/cuda/gemm/costs.cpp")
