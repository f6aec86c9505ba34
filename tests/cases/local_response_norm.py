"""Cases of local response normalisation.

s is a sum of any length; a power of it is e^(−β·log s), whose error is that of s, β times, and of the exponent: its
rounding, times how large it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal, roundings
from dipkernels import reference

# label: x, size, alpha, beta, k
SETTINGS: dict[str, tuple[tuple[int, ...], int, float, float, float]] = {
    "alexnet": ((2, 12, 7, 5), 5, 5e-4, 0.75, 2.0),
    "strong": ((2, 9, 3, 4), 3, 2.0, 0.75, 1.0),
    "even": ((1, 7, 4, 9), 4, 1.0, 0.5, 0.1),
    "one": ((2, 5, 3, 3), 1, 1.0, 1.0, 1.0),
    "wider_than_channels": ((2, 3, 5, 5), 9, 1.0, 0.75, 1.0),
    "all_channels": ((1, 150, 2, 3), 299, 1.0, 0.75, 1.0),
    "vectors": ((6, 11), 5, 0.5, 0.75, 1.0),
    "sequence": ((3, 4, 35), 3, 0.5, 2.0, 0.5),
    "no_power": ((2, 3, 4, 4), 3, 1.0, 0.0, 1.0),
    "empty": ((0, 4, 3, 3), 3, 1.0, 0.75, 1.0),
}


def _error(size: int, beta: float, k: float, x: Any) -> Any:
    """The relative error of a power of s, in units."""
    largest = np.log(np.abs(x).max(initial=1) ** 2 * 2 * size + k + 1 / k)
    return (beta + 1) * (roundings(size) + 4 * largest + 8) + 8


def _forward(
    expected: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **rest: Any
) -> Any:
    return _error(size, beta, k, x) * UNIT * np.abs(expected) + TINY


def _backward(
    expected: Any, dy: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **rest: Any
) -> Any:
    """Both terms as they are without cancellation: with −x in place of x in one factor they would be added."""
    own = np.abs(reference.local_response_norm(np.ones_like(x), size, 0.0, beta, k))
    s_power = np.abs(reference.local_response_norm(x, size, alpha, beta, k)) / np.maximum(np.abs(x), 1e-30)
    first = np.abs(dy) * np.where(x == 0, own, s_power)
    second = np.abs(first - reference.local_response_norm_backward(np.abs(dy), np.abs(x), size, alpha, beta, k))
    return 2 * _error(size, beta, k, x) * UNIT * (first + second) + TINY


CASES = []
for label, (shape, size, alpha, beta, k) in SETTINGS.items():
    x, dy = normal(*shape), normal(*shape, seed=1)
    options = {"alpha": alpha, "beta": beta, "k": k}
    CASES += [
        Case("local_response_norm", label, (x, size), options, (_forward,)),
        Case("local_response_norm_backward", label, (dy, x, size), options, (_backward,)),
    ]
