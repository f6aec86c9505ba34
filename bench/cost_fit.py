"""How far choices by costs are from the best measured ones, and costs nearby that choose better."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from rich.progress import track

_WORST_WEIGHT = 0.05  # of the worst choice against the mean, in the logarithm
_PRIOR_WEIGHT = 2e-5  # of moving away from the costs there are


class Distance(NamedTuple):
    """How many times as long as the best way the chosen one takes."""

    times: float
    label: str
    chosen: str
    best: str


def distance(label: str, times: dict[str, float], chosen: str) -> Distance:
    """Of one row, from the measured times of its ways."""
    best = min(times, key=lambda way: times[way])
    return Distance(times[chosen] / times[best], label, chosen, best)


def mean(distances: list[Distance]) -> float:
    """The geometric one."""
    return math.exp(sum(math.log(each.times) for each in distances) / len(distances))


def show(distances: list[Distance]) -> None:
    """The mean, and the worst eight."""
    worst = sorted(distances, reverse=True)
    print(f"{len(worst)} products: {mean(worst):.3f} of the best in the mean, {worst[0].times:.2f} at worst")
    for each in worst[:8]:
        if each.times > 1.02:
            print(f"  {each.times:5.2f}  {each.label:44} {each.chosen:34} best {each.best}")


def fit(
    names: list[str],
    start: list[float],
    set_costs: Callable[[list[float]], None],
    distances: Callable[[], list[Distance]],
    steps: int,
    file: str,
) -> None:
    """Prints costs for `file` that choose better, found by small random changes of those that there are."""

    def score(costs: list[float]) -> float:
        set_costs(costs)
        found = distances()
        moved = sum(math.log((a + 1e-3) / (b + 1e-3)) ** 2 for a, b in zip(costs, start, strict=True))
        return math.log(mean(found)) + _WORST_WEIGHT * (max(found).times - 1) + _PRIOR_WEIGHT * moved

    chance, costs, best = random.Random(0), list(start), score(start)
    for _ in track(range(steps), "fitting", transient=True):
        tried = list(costs)
        for number in chance.sample(range(len(costs)), chance.choice((1, 2, 4))):
            tried[number] *= math.exp(chance.gauss(0, chance.choice((0.1, 0.6))))
        if (reached := score(tried)) < best:
            costs, best = tried, reached
    set_costs(costs)
    print(f"\nwith the costs for {file}")
    for name, old, new in zip(names, start, costs, strict=True):
        print(f"  {name:48} {old:10.4g} -> {new:10.4g}{'' if new == old else '  *'}")
    show(distances())
    set_costs(start)
