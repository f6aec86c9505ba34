"""Cases of batch normalisation.

The sums over a channel hold at any length (`roundings`); what they are taken of is rounded twice before. So the
variance has a relative error of ERROR units, whatever the mean, and the mean one of ERROR units of the deviation
besides its own rounding; y and dx follow from both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal, roundings
from dipkernels import reference

ERROR = roundings(64) + 8

SHAPES: dict[str, tuple[tuple[int, ...], float, float]] = {  # shape, mean, deviation
    "images": ((3, 5, 7, 9), 0.5, 2.0),
    "small": ((2, 3, 2, 1), -1.0, 0.1),
    "vectors": ((17, 6), 3.0, 1.0),
    "sequence": ((4, 2, 65), 0.0, 1.0),
    "volume": ((2, 3, 3, 4, 5), 1.0, 1.0),
    "far_from_zero": ((4, 3, 12, 11), 3000.0, 0.5),
    "long": ((2, 2, 210, 130), 7.0, 3.0),
    "many_channels": ((2, 70, 5, 5), 0.0, 1.0),
    "two_values": ((2, 4), 0.0, 1.0),
    "empty_batch": ((0, 3, 4, 4), 0.0, 1.0),
    "empty_planes": ((2, 3, 0, 4), 0.0, 1.0),
    "no_channels": ((2, 0, 4), 0.0, 1.0),
}


def _each(values: Any, x: Any) -> Any:
    return np.asarray(values, np.float64).reshape(1, -1, *[1] * (x.ndim - 2))


def _scale(x: Any, var: Any, weight: Any, eps: float) -> Any:
    return np.abs(_each(np.ones(x.shape[1]) if weight is None else weight, x)) / np.sqrt(_each(var, x) + eps)


def _y_bound(x: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float, own: bool) -> Any:
    scale, centre = _scale(x, var, weight, eps), _each(mean, x)
    shift = np.abs(_each(np.zeros(x.shape[1]) if bias is None else bias, x))
    error = (4 + own * ERROR) * UNIT * scale * (np.abs(x - centre) + own * np.sqrt(_each(var, x)))
    return error + own * 2 * UNIT * scale * np.abs(centre) + 8 * UNIT * (shift + scale * np.abs(x - centre)) + TINY


def _given(expected: Any, x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any) -> Any:
    return _y_bound(x, mean, var, weight, bias, options.get("eps", 1e-5), False)


def _stats(x: Any) -> tuple[Any, Any]:
    _, mean, var = reference.batch_norm_with_stats(x)
    return mean, var


def _own(
    expected: Any,
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    **options: Any,
) -> Any:
    return _y_bound(x, *_stats(x), weight, bias, options.get("eps", 1e-5), True)


def _mean(expected: Any, x: Any, *rest: Any, **options: Any) -> Any:
    return ERROR * UNIT * np.sqrt(_stats(x)[1]) + 2 * UNIT * np.abs(expected) + TINY


def _var(expected: Any, x: Any, *rest: Any, **options: Any) -> Any:
    return 2 * ERROR * UNIT * np.abs(expected) + TINY


def _gradients(which: int) -> Any:
    def bound(
        expected: Any, dy: Any, x: Any, mean: Any, var: Any, weight: Any = None, eps: float = 1e-5, **options: Any
    ) -> Any:
        axes, count = (0, *range(2, x.ndim)), max(x.size // max(x.shape[1], 1), 1)
        normalized = np.abs(x.astype("f8") - _each(mean, x)) / np.sqrt(_each(var, x) + eps)
        sums = (np.abs(dy) * normalized).sum(axes), np.abs(dy).astype("f8").sum(axes)
        if which:
            return ERROR * UNIT * sums[which - 1] + TINY
        terms = np.abs(dy) + (_each(sums[1], x) + normalized * _each(sums[0], x)) / count
        return 2 * ERROR * UNIT * _scale(x, var, weight, eps) * terms + TINY

    return bound


CASES = []
for label, (shape, at, deviation) in SHAPES.items():
    x = normal(*shape) * np.float32(deviation) + np.float32(at)
    channels = shape[1]
    weight, bias = normal(channels, seed=1), normal(channels, seed=2)
    mean = np.float32(at) + normal(channels, seed=3)
    var = np.abs(normal(channels, seed=4)) * np.float32(deviation)
    dy = normal(*shape, seed=5)
    own_mean, own_var = (each.astype(np.float32) for each in _stats(x))
    relu: dict[str, Any] = {"activation": "relu", "eps": 1e-3}
    CASES += [
        Case("batch_norm", label, (x, mean, var), {}, (_given,)),
        Case("batch_norm", f"{label}-relu", (x, mean, var, weight, bias), relu, (_given,)),
        Case("batch_norm_with_stats", label, (x,), {}, (_own, _mean, _var)),
        Case(
            "batch_norm_with_stats",
            f"{label}-relu",
            (x,),
            {**relu, "weight": weight, "bias": bias},
            (_own, _mean, _var),
        ),
        *[
            Case(
                "batch_norm_backward",
                f"{label}-{training}",
                (dy, x, own_mean, own_var, weight),
                {"training": training},
                tuple(_gradients(which) for which in range(3)),
            )
            for training in (True, False)
        ],
        Case(
            "batch_norm_backward",
            f"{label}-plain",
            (dy, x, own_mean, own_var),
            {"eps": 0.1},
            tuple(_gradients(which) for which in range(3)),
        ),
    ]
