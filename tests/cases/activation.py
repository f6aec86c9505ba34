"""Cases of the activations. Bounds in ulp, from the errors stated in csrc/cpu/simd_math.h."""

from __future__ import annotations

import numpy as np

from cases.case import TINY, UNIT, Case, exact, normal, ulps
from dipkernels import reference

_everywhere = np.concatenate(
    [
        np.linspace(-110, 110, 4001, dtype=np.float32),
        np.float32([0.0, -0.0, 1e-40, -1e-40, 1e-20, -1e-20, 3e38, -3e38, np.inf, -np.inf, np.nan]),
        normal(1000) * np.float32(1e-3),
    ]
)

_parameters = {"leaky_relu": (0.1,), "elu": (0.7,)}
_errors = {"sigmoid": 2.4, "tanh": 2.5, "elu": 4, "leaky_relu": 1, "relu": 0, "step": 0}

CASES = []
for name, error in _errors.items():
    parameters = _parameters.get(name, ())
    for label, x in {
        "everywhere": _everywhere,
        "4d": normal(2, 3, 5, 7),
        "empty": normal(0, 3),
        "scalar": normal(),
    }.items():
        CASES.append(Case(name, label, (x, *parameters), {}, (ulps(error) if error else exact,)))
    y = getattr(reference, name)(normal(3, 41), *parameters).astype(np.float32)
    # y·(1 − y) and 1 − y² cancel near 1: the error there is absolute, two roundings of a number of at most 1.
    CASES.append(
        Case(
            f"{name}_backward",
            "normal",
            (normal(3, 41, seed=1), y, *parameters),
            {},
            (lambda expected, dy, *rest: 4 * UNIT * (np.abs(expected) + np.abs(dy)) + TINY,),
        )
    )

for pieces, shape in [(2, (3, 8)), (3, (2, 6, 5, 7)), (1, (2, 3)), (4, (0, 4))]:
    x = normal(*shape)
    x[..., ::3] = 0.0  # ties: the first wins
    y, indices = reference.maxout_with_indices(x, pieces)
    label = f"{pieces}-{'x'.join(map(str, shape))}"
    CASES += [
        Case("maxout_with_indices", label, (x, pieces), {}, (exact, exact)),
        Case("maxout", label, (x, pieces)),
        Case("maxout_backward", label, (normal(*y.shape), indices.astype(np.int32), pieces)),
    ]
CASES.append(Case("maxout_with_indices", "nan", (np.float32([[1, np.nan, 3, np.nan]]), 4), {}, (exact, exact)))
