"""Cases of the optimizer steps: a handful of roundings of numbers the size of weight, gradient and state."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import UNIT, Case, normal

_shapes = [(3, 4), (1,), (20001,), (0,), (2, 3, 5, 5)]
_rules: dict[str, tuple[int, list[dict[str, Any]]]] = {
    "gradient_descent_step": (
        0,
        [
            {"lr": 0.1},
            {"lr": 0.1, "weight_decay": 0.01},
            {"lr": 0.1, "clip_norm": 20.0},
            {"lr": 0.1, "clip_norm": 1e6},
            {"lr": [0.1, 0.0, 0.2, 0.3, 0.4], "weight_decay": (0.0, 0.1, 0.0, 0.2, 0.3), "clip_value": 0.7},
        ],
    ),
    "momentum_step": (
        1,
        [
            {"lr": 0.1},
            {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.01},
            {"lr": 0.1, "clip_norm": 30.0, "clip_value": 0.2},
        ],
    ),
    "nesterov_step": (1, [{"lr": 0.1}, {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.01, "clip_norm": 9.0}]),
    "adagrad_step": (1, [{}, {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.01, "clip_norm": 9.0}]),
    "adadelta_step": (2, [{}, {"lr": 0.5, "rho": 0.95, "eps": 1e-4, "weight_decay": 0.01, "clip_norm": 9.0}]),
    "adam_step": (
        2,
        [
            {"step": 1},
            {"step": 7, "lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.01},
            {"step": 3, "weight_decay": 0.1, "decoupled": True},
            {"step": 4, "largest_second_moments": [np.abs(normal(*s, seed=70)) for s in _shapes]},
            {"step": 5, "weight_decay": 0.1, "decoupled": True, "clip_norm": 50.0, "clip_value": 0.4},
        ],
    ),
}


def _bound(expected: Any, weights: Any, gradients: Any, *rest: Any, **kwargs: Any) -> Any:
    # 16 roundings of a value no larger than a few units: the arrays are standard normal, the steps smaller.
    return [16 * UNIT * (np.abs(e) + 4.0) for e in expected]


CASES = []
for rule, (states, variants) in _rules.items():
    for number, kwargs in enumerate(variants):
        arrays = [[normal(*s, seed=10 * a + number) for s in _shapes] for a in range(2)]
        state_arrays = [[np.abs(normal(*s, seed=50 + a)) for s in _shapes] for a in range(states)]
        CASES.append(
            Case(
                rule,
                str(number),
                (*arrays, *state_arrays),
                kwargs,
                (_bound,) * (1 + states),
                in_place=(0, *range(2, 2 + states)),
            )
        )
