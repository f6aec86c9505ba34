"""Cases of softmax, its logarithm, and the losses fused with it.

Every exponential has 2 ulp and its argument, x − max, one rounding, which e^ turns into a relative error of |x −
max|·u; their sum adds what a sum of C terms does. So softmax has (that + |x − max| + 8)·u relative. The logarithm and
the losses built on it have that as an absolute error, plus a rounding of their own size; gradients have it relative to
the probability plus the target, whose difference they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, labels, normal, roundings
from dipkernels import reference


def _spread(x: Any, dim: int) -> Any:
    x = np.asarray(x, np.float64)
    return x.max(dim, keepdims=True) - x if x.size else x


def _softmax_bound(expected: Any, x: Any, dim: int = -1) -> Any:
    return (roundings(x.shape[dim]) + _spread(x, dim) + 8) * UNIT * expected + TINY


def _log_softmax_bound(expected: Any, x: Any, dim: int = -1) -> Any:
    return (roundings(x.shape[dim]) + 8) * UNIT + 3 * UNIT * np.abs(expected)


def _backward_bound(expected: Any, dy: Any, y: Any, dim: int = -1) -> Any:
    return (roundings(y.shape[dim]) + 8) * UNIT * (np.abs(dy) + np.abs(dy).sum(dim, keepdims=True)) + TINY


def _loss_bound(factor: float = 1.0) -> Any:
    def bound(expected: Any, logits: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        size = np.abs(logits).max(initial=1.0) + roundings(logits.shape[1]) + 8
        positions = logits.size / logits.shape[1] if kwargs.get("reduction") == "sum" else 1.0
        return factor * size * UNIT * (np.abs(expected) + 4.0) * max(positions, 1.0)

    return bound


def _gradient_bound(expected: Any, logits: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    size = 4 * np.abs(logits).max(initial=1.0) + roundings(logits.shape[1]) + 16
    mean = kwargs.get("reduction", "mean") == "mean"
    weight = kwargs.get("weight")
    largest = 1.0 if weight is None else float(np.max(weight))
    return (
        size * UNIT * largest * 2 / (min(expected.size / logits.shape[1] / 4, 1e9) if mean and expected.size else 1.0)
    )


CASES = []
for shape, dim in [
    ((5, 10), 1),
    ((3, 1000), -1),
    ((2, 5, 6, 7), 1),
    ((4, 3), 0),
    ((2, 1), 1),
    ((0, 4), 1),
    ((17,), 0),
    ((2, 3, 40), 1),
    ((2, 40, 3), 1),
    ((3, 100), 1),
    ((2, 257), 1),
    ((2, 1100), 1),
    ((2, 30001), 1),
    ((1, 9000, 3), 1),
]:
    x, dy, label = (
        normal(*shape) * np.float32(5),
        normal(*shape, seed=1),
        f"{'x'.join(map(str, shape))}-{dim}",
    )
    y, log_y = (f(x, dim).astype(np.float32) if x.size else x for f in (reference.softmax, reference.log_softmax))
    if x.size:
        CASES += [
            Case("softmax", label, (x, dim), {}, (_softmax_bound,)),
            Case("log_softmax", label, (x, dim), {}, (_log_softmax_bound,)),
        ]
    CASES += [
        Case("softmax_backward", label, (dy, y, dim), {}, (_backward_bound,)),
        Case("log_softmax_backward", label, (dy, log_y, dim), {}, (_backward_bound,)),
    ]
CASES.append(
    Case(
        "softmax",
        "extremes",
        (np.float32([[0, -200, -1e30, 88], [3e38, 3e38, -3e38, 0]]),),
        {},
        (_softmax_bound,),
    )
)


def _cross_entropy_cases() -> list[Case]:
    cases = []
    for shape in [
        (6, 10),
        (3, 1000),
        (300, 10),
        (100, 25),
        (2, 11, 5, 9),
        (1, 2),
        (4, 3, 33),
        (9, 1),
        (2, 40, 5),
        (3, 100),
        (2, 1100),
        (2, 30001),
        (1, 9000, 3),
    ]:
        n, c, *inner = shape
        logits, target = normal(*shape) * np.float32(4), labels(n, *inner, classes=c)
        distribution = reference.softmax(normal(*shape, seed=4), 1).astype(np.float32)
        weight = np.abs(normal(c, seed=5)) + np.float32(0.1)
        ignored = target.copy()
        ignored.ravel()[::3] = -100
        label = "x".join(map(str, shape))
        options: dict[str, tuple[Any, dict[str, Any]]] = {
            "plain": (target, {}),
            "int32": (target.astype(np.int32), {}),
            "sum": (target, {"reduction": "sum"}),
            "none": (target, {"reduction": "none"}),
            "weight": (target, {"weight": weight}),
            "ignored": (ignored, {}),
            "smooth": (target, {"label_smoothing": 0.1}),
            "smooth_weight_ignored": (ignored, {"label_smoothing": 0.2, "weight": weight}),
            "distribution": (distribution, {}),
            "distribution_smooth_weight": (distribution, {"label_smoothing": 0.3, "weight": weight}),
        }
        gammas, starts = (0.0, 0.5, 2.0, 5.0), (1.0, 0.8, 0.1)
        if inner:
            starts = (0.8,)  # the shapes of maps cost, not the γ
        if c > 5000:  # what matters of these is the length of the sums
            gammas, starts = (2.0,), (0.8,)
            options = {name: options[name] for name in ("plain", "smooth_weight_ignored", "distribution")}
        for name, (t, kwargs) in options.items():
            cases += [
                Case("cross_entropy", f"{label}-{name}", (logits, t), kwargs, (_loss_bound(),)),
                Case(
                    "cross_entropy_with_grad",
                    f"{label}-{name}",
                    (logits, t),
                    kwargs,
                    (_loss_bound(), _gradient_bound),
                ),
            ]
        for gamma in gammas:
            # (1 − p)^γ multiplies a relative error of 1 − p by γ.
            cases += [
                Case(
                    "focal_loss",
                    f"{label}-{gamma}",
                    (logits, target),
                    {"gamma": gamma},
                    (_loss_bound(2 + gamma),),
                ),
                Case(
                    "focal_loss_with_grad",
                    f"{label}-{gamma}",
                    (logits, ignored),
                    {"gamma": gamma, "weight": weight},
                    (_loss_bound(2 + gamma), lambda *a, g=gamma, **k: (4 + 4 * g) * _gradient_bound(*a, **k)),
                ),
            ]
        # γ is rounded too, and (1 − p)^γ multiplies that by log(1 − p).
        for start in starts:
            gamma, running = -np.log(start), np.float32([start])
            bounds = _loss_bound(6 + gamma), lambda *a, g=gamma, **k: (12 + 4 * g) * _gradient_bound(*a, **k)
            options = {"weight": weight, "reduction": "sum"} if start == 0.8 else {}
            cases += [
                Case("automated_focal_loss", f"{label}-{start}", (logits, target, running), options, bounds[:1]),
                Case(
                    "automated_focal_loss_with_grad",
                    f"{label}-{start}",
                    (logits, ignored, running, 0.9),
                    options,
                    (*bounds, _running_bound),
                    in_place=(2,),
                ),
            ]
    return cases


def _running_bound(expected: Any, logits: Any, *args: Any, **kwargs: Any) -> Any:
    # A mean of probabilities, each with the error of a softmax.
    return (roundings(logits.shape[1]) + 4 * np.abs(logits).max() + 16) * UNIT


CASES += _cross_entropy_cases()


for shape in [(5, 10), (3, 1000), (2, 11, 5, 9), (1, 1), (0, 3)]:
    n, c, *inner = shape
    log_p, target = reference.log_softmax(normal(*shape), 1).astype(np.float32), labels(n, *inner, classes=c)
    target.ravel()[::3] = 0
    for reduction in ("mean", "sum", "none"):
        for name, extra in {"": {}, "-weight": {"weight": np.abs(normal(c, seed=5)), "ignore_index": 0}}.items():
            label, kwargs = f"{'x'.join(map(str, shape))}-{reduction}{name}", {"reduction": reduction, **extra}
            # One product, summed in float64, divided.
            bounds = (lambda expected, *args, **kwargs: 4 * UNIT * np.abs(expected) + TINY,) * 2
            CASES += [
                Case("nll_loss", label, (log_p, target), kwargs, bounds[:1]),
                Case("nll_loss_with_grad", label, (log_p, target.astype(np.uint16)), kwargs, bounds),
            ]
# A mask with an axis of channels, and unsigned bytes; every label's weight 0: nothing counts.
mask_logits, mask = normal(2, 4, 3, 5), labels(2, 1, 3, 5, classes=4).astype(np.uint8)
CASES += [
    Case("cross_entropy", "mask", (mask_logits, mask[:, 0]), {}, (_loss_bound(),)),
    Case(
        "cross_entropy_with_grad",
        "no-weight",
        (normal(3, 3), np.zeros(3, np.int64)),
        {"weight": np.float32([0, 1, 1]), "label_smoothing": 0.1},
        (_loss_bound(), _gradient_bound),
    ),
]
