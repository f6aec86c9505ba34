"""Cases of the losses other than softmax cross-entropy.

d = x − target is rounded once, so it has a relative error of u, and so have the loss and the slope made of it, but
for a few roundings more; sums are taken in pieces of 64 vector additions at most and then in float64. Only msle_loss
subtracts numbers that are rounded already: d = log(x + 1) − log(t + 1) has an absolute error of 2·u·(|log(x + 1)| +
|log(t + 1)|).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, labels, normal
from dipkernels import reference


def _loss_bound(expected: Any, *args: Any, **kwargs: Any) -> Any:
    terms = 70 if np.ndim(expected) == 0 else 8
    return terms * UNIT * np.abs(expected) + TINY


def _gradient_bound(expected: Any, *args: Any, **kwargs: Any) -> Any:
    return 8 * UNIT * np.abs(expected) + TINY


def _logarithm_error(x: Any, target: Any) -> Any:
    return 3 * UNIT * (np.log1p(np.float64(x)) + np.log1p(np.float64(target)))


def _msle_bound(expected: Any, x: Any, target: Any, reduction: str) -> Any:
    difference = np.log1p(np.float64(x)) - np.log1p(np.float64(target))
    error = (2 * np.abs(difference) + 1e-6) * _logarithm_error(x, target)
    if reduction != "none":
        error = error.sum() / (x.size if reduction == "mean" else 1)
    return error + _loss_bound(expected)


def _msle_gradient_bound(expected: Any, x: Any, target: Any, reduction: str) -> Any:
    scale = x.size if reduction == "mean" else 1
    return 2 * _logarithm_error(x, target) / (x + 1) / scale + _gradient_bound(expected)


def _squared_hinge_gradient_bound(expected: Any, scores: Any, target: Any, *, margin: float, **kwargs: Any) -> Any:
    # s_j − s_y + margin is rounded twice, by up to u of what is subtracted; the label has the sum of all slopes.
    error = 2 * UNIT * (2 * np.abs(scores).max() + margin) * 2 * kwargs["weight"].max()
    scale = 1 / len(scores) if kwargs["reduction"] == "mean" else 1.0
    terms = np.where(np.arange(scores.shape[1]) == target[:, None], scores.shape[1], 1)
    return scale * error * terms + _gradient_bound(expected)


CASES = []
for shape in [(4, 5), (3, 2, 7, 5), (1,), (20000,)]:
    x, target = normal(*shape), normal(*shape, seed=1)
    positive, positive_target = np.abs(x), np.abs(target)
    for name, arrays, arguments in [
        ("mse_loss", (x, target), {}),
        ("l1_loss", (x, target), {}),
        ("msle_loss", (positive, positive_target), {}),
        ("smooth_l1_loss", (x, target), {}),
        ("smooth_l1_loss", (x, target), {"beta": 0.25}),
        ("smooth_l1_loss", (x, target), {"beta": 0.0}),
        ("huber_loss", (x, target), {}),
        ("huber_loss", (x, target), {"delta": 0.3}),
    ]:
        for reduction in ("mean", "sum", "none"):
            kwargs = {**arguments, "reduction": reduction}
            label = f"{'x'.join(map(str, shape))}-{reduction}-{''.join(map(str, arguments.values()))}"
            bounds = (_msle_bound, _msle_gradient_bound) if name == "msle_loss" else (_loss_bound, _gradient_bound)
            CASES += [
                Case(name, label, arrays, kwargs, bounds[:1]),
                Case(f"{name}_with_grad", label, arrays, kwargs, bounds),
            ]
    label = "x".join(map(str, shape))
    CASES += [
        Case("half_sum_of_squares", label, (x, target), {}, (_loss_bound,)),
        Case("half_sum_of_squares_with_grad", label, (x, target), {}, (_loss_bound, _gradient_bound)),
    ]

for n, c in [(5, 10), (1, 2), (40, 100)]:
    scores, target = normal(n, c), labels(n, classes=c)
    probabilities = reference.softmax(normal(n, c, 3, seed=2), 1).astype(np.float32)
    positions = labels(n, 3, classes=c, seed=3)
    for reduction in ("mean", "sum", "none"):
        kwargs = {"reduction": reduction}
        CASES += [
            Case("hinge_loss", f"{n}x{c}-{reduction}", (scores, target, 0.5), kwargs, (_loss_bound,)),
            Case(
                "hinge_loss_with_grad",
                f"{n}x{c}-{reduction}",
                (scores, target.astype(np.int32)),
                kwargs,
                (_loss_bound, _gradient_bound),
            ),
            Case(
                "hinge_loss",
                f"{n}x{c}-{reduction}-squared",
                (scores, target.astype(np.int8)),
                {**kwargs, "p": 2},
                (_loss_bound,),
            ),
            Case(
                "hinge_loss_with_grad",
                f"{n}x{c}-{reduction}-squared-weight",
                (scores, target.astype(np.uint8)),
                {**kwargs, "p": 2, "margin": 1.5, "weight": np.abs(normal(c, seed=6))},
                (_loss_bound, _squared_hinge_gradient_bound),
            ),
            Case("probability_loss", f"{n}x{c}-{reduction}", (probabilities, positions), kwargs, (_loss_bound,)),
            Case(
                "probability_loss_with_grad",
                f"{n}x{c}-{reduction}",
                (probabilities, positions),
                kwargs,
                (_loss_bound, _gradient_bound),
            ),
        ]
