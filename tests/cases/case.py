"""What a case is, and the error bounds its results are held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UNIT = 2.0**-24
"""The unit roundoff of float32: one rounded operation has a relative error of at most this."""

TINY = 2.0**-126
"""Below the smallest normal number the error is absolute."""


def roundings(terms: int) -> int:
    """Of a sum of any length: 64 terms at most are added plainly, such sums with what each addition loses, and lanes as
    a tree of at most eight levels; a term may be a product, and a division or root may follow.
    """
    return min(terms, 64) + 12


def ulps(count: float) -> Callable[..., Any]:
    """For element-wise functions: `count` units in the last place of the expected value (an ulp is up to 2 UNIT)."""
    return lambda expected, *args, **kwargs: 2 * UNIT * count * np.abs(expected) + TINY


def exact(expected: Any, *args: Any, **kwargs: Any) -> Any:
    """For operators that only move or select numbers."""
    return np.zeros_like(np.asarray(expected, np.float64))


@dataclass
class Case:
    """One call of one operator.

    `bound(expected, *args, **kwargs)` is the largest absolute error of each element; for several results, `bounds` has
    one such function a result. `in_place` lists the positional arguments the operator updates.
    """

    op: str
    label: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    bounds: tuple[Callable[..., Any], ...] = (exact,)
    in_place: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.op}-{self.label}"


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Standard normal numbers, the same on every run."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def labels(*shape: int, classes: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Class indices."""
    return np.random.default_rng([seed, *shape]).integers(0, classes, shape)
