"""Gradients by finite differences, in float64.

Central differences with step h have an error of h²·f'''/6 + 2u·|f|/h; with h = 1e-6 on numbers of order 1 that is below
1e-9 times the size of f.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEP = 1e-6


def differences(f: Callable[[Any], Any], x: Any) -> Any:
    """∂f/∂x, element by element."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += STEP
        down[i] -= STEP
        gradient[i] = (f(up) - f(down)) / (2 * STEP)
    return gradient
