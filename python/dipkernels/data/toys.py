"""Points of two classes in a plane, made up: what can be separated by a line, and what cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import choice, integer, limited
from dipkernels.checks import checked, random_seed
from dipkernels.data.dataset import Dataset


def _blobs(rng: np.random.Generator, side: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(side[:, None] == 0, [-0.6, -0.4], [0.6, 0.4]) + 0.25 * rng.standard_normal((len(side), 2))


def _rings(rng: np.random.Generator, side: npt.NDArray[Any]) -> npt.NDArray[Any]:
    angle, radius = rng.uniform(0, 2 * np.pi, len(side)), np.where(side == 0, 0.4, 1.0)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def _spirals(rng: np.random.Generator, side: npt.NDArray[Any]) -> npt.NDArray[Any]:
    along = np.sqrt(rng.uniform(0.02, 1, len(side)))
    angle = 3 * np.pi * along + np.pi * side
    return 1.2 * np.stack([along * np.cos(angle), along * np.sin(angle)], 1)


def _xor(rng: np.random.Generator, side: npt.NDArray[Any]) -> npt.NDArray[Any]:
    right = rng.integers(0, 2, len(side))
    signs = np.stack([2 * right - 1, 2 * (right ^ side) - 1], 1)
    return signs * rng.uniform(0.15, 1.1, (len(side), 2))


TOYS = {"blobs": _blobs, "rings": _rings, "spirals": _spirals, "xor": _xor}
"""How the points of the two classes lie."""


@checked(seed=random_seed)
def toy_points(name: str, count: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """`count` points, float32 (count, 2) from about −1.5 to 1.5, every second one of class 1, each moved by noise.

    Parameters
    ----------
    name
        "blobs", which a line separates, "rings", "spirals" or "xor", which none does.
    noise
        The deviation of what moves every point.

    ValueError for another name, and for a count or noise below 0.

    >>> toy_points("xor", 3).t
    array([0, 1, 0])
    """
    op = "toy_points"
    choice(op, "name", name, tuple(TOYS))
    rng = np.random.default_rng(seed)
    side = np.arange(integer(op, "count", count, 0)) % 2
    places = TOYS[name](rng, side) + limited(op, "noise", noise) * rng.standard_normal((count, 2))
    return Dataset(places.astype(np.float32), side)
