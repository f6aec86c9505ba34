"""Gradient descent on any differentiable function, with its path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import function
from dipkernels.checks import array, checked, positive, whole


@dataclass(frozen=True)
class Descent:
    """Where gradient descent went: `path` (steps + 1, n), the values of f, and whether it reached a flat place."""

    path: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    converged: bool

    @property
    def x(self) -> npt.NDArray[np.float64]:
        """The last point."""
        return self.path[-1]


@checked(f=function, grad=function, start=array("*"), lr=positive, tolerance=positive, max_steps=whole())
def gradient_descent(
    f: Callable[[npt.NDArray[np.float64]], Any],
    grad: Callable[[npt.NDArray[np.float64]], npt.ArrayLike],
    start: npt.ArrayLike,
    *,
    lr: float = 0.1,
    tolerance: float = 1e-6,
    max_steps: int = 10_000,
) -> Descent:
    """w ← w − ε·∇f(w), from `start` until ‖∇f‖ ≤ tolerance.

    A small learning rate `lr` converges slowly; too large a one diverges, and the descent ends where f is no longer
    finite, with `converged` False. All of it in float64.

    Raises ValueError for a learning rate or tolerance that is not positive, and where grad's shape is not start's.

    Source: lecture, gradient descent.

    >>> result = gradient_descent(lambda w: w @ w, lambda w: 2 * w, [1.0, -2.0])
    >>> result.converged, np.abs(result.x).max() < 1e-6
    (True, np.True_)
    """
    point = np.array(start, np.float64)
    path, values, converged = [point], [float(f(point))], False
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(max_steps):
            slope = np.asarray(grad(point), np.float64)
            if slope.shape != point.shape:
                raise ValueError(f"gradient_descent: grad must have start's shape {point.shape}, got {slope.shape}")
            if np.linalg.norm(slope) <= tolerance:
                converged = True
                break
            point = point - lr * slope
            path.append(point)
            values.append(float(f(point)))
            if not np.isfinite(values[-1]) or not np.isfinite(point).all():
                break
        else:
            converged = bool(np.linalg.norm(np.asarray(grad(point), np.float64)) <= tolerance)
    return Descent(np.array(path), np.array(values), converged)
