"""Cases of the fully connected layer; the bound is that of a sum of products, as for the convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal
from dipkernels import reference


def _sum_bound(op: str, terms: int) -> Any:
    def bound(expected: Any, a: Any, b: Any, bias: Any = None, activation: Any = None) -> Any:
        magnitude = getattr(reference, op)(np.abs(a), np.abs(b))
        if bias is not None:
            magnitude = magnitude + np.abs(bias)
        return (terms + 2) * UNIT * magnitude + 8 * UNIT * np.abs(expected) + TINY

    return bound


CASES = []
for n, i, o in [
    (1, 1, 1),
    (1, 2050, 37),
    (517, 530, 53),  # many rows: the weights are transposed
    (261, 97, 21),  # and for fewer, where the rows are short
    (261, 290, 13),  # but not here
    (33, 1024, 18),  # rows so far apart that they would collide in a cache: they are copied
    (5, 784, 30),
    (64, 37, 50),
    (7, 120, 100),
    (100, 13, 10),
    (600, 20, 9),
    (33, 5, 131),
    (0, 4, 3),
]:
    x, weight, bias, dy = normal(n, i), normal(o, i, seed=1), normal(o, seed=2), normal(n, o, seed=3)
    label = f"{n}x{i}x{o}"
    CASES += [
        Case("linear", label, (x, weight), {}, (_sum_bound("linear", i),)),
        Case("linear", f"{label}-relu", (x, weight, bias, "relu"), {}, (_sum_bound("linear", i),)),
        Case("linear", f"{label}-tanh", (x, weight, bias, "tanh"), {}, (_sum_bound("linear", i),)),
        Case("linear_backward_data", label, (dy, weight), {}, (_sum_bound("linear_backward_data", o),)),
        Case("linear_backward_weight", label, (dy, x), {}, (_sum_bound("linear_backward_weight", n),)),
        Case(
            "linear_backward_bias",
            label,
            (dy,),
            {},
            # Accumulated in float64: one rounding at the end.
            (lambda expected, dy: UNIT * (np.abs(expected) + 1e-8 * np.abs(dy).sum(0)),),
        ),
    ]
