"""The page's other tabs: the geometry of a convolution, and optimizers on their way down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dipkernels import nn, ops
from dipkernels.demo.layers import packed

_LIMITS = {"size": (1, 64), "kernel": (1, 15), "stride": (1, 8), "padding": (0, 8), "dilation": (1, 6),
           "filters": (1, 256), "channels": (1, 256)}  # fmt: skip


def whole(given: Mapping[str, Any], name: str, least: int, most: int) -> int:
    """A whole number of a request. ValueError for another, or one outside the limits."""
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r:.40}")
    return value


def number(given: Mapping[str, Any], name: str, least: float, most: float) -> float:
    """A number of a request."""
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {value!r:.40}")
    return float(value)


def convolution(given: Mapping[str, Any]) -> dict[str, Any]:
    """The size of the result and the number of weights; where windows do not fit, what would."""
    n = {name: whole(given, name, *limits) for name, limits in _LIMITS.items()}
    x = np.zeros((1, 1, n["size"], n["size"]), np.float32)
    weight = np.zeros((1, 1, n["kernel"], n["kernel"]), np.float32)
    options = n["stride"], n["padding"], n["dilation"]
    per_filter = n["kernel"] ** 2 * n["channels"]
    sizes = {"weights of a filter": per_filter, "weights with biases": (per_filter + 1) * n["filters"]}
    try:
        out = ops.conv2d(x, weight, None, *options).shape[2]
    except ValueError as error:
        return {"fits": False, "error": str(error), "remedies": _remedies(n), **sizes}
    reach = n["dilation"] * (n["kernel"] - 1) + 1
    starts = [i * n["stride"] - n["padding"] for i in range(out)]
    products = per_filter * n["filters"] * out * out
    return {"fits": True, "out": out, "reach": reach, "starts": starts, "products": products, **sizes}


def _remedies(n: dict[str, int]) -> list[dict[str, int]]:
    """Changes of one setting, the smallest ones, with which the windows fit."""
    found = []
    for name in ("padding", "stride", "kernel", "size", "dilation"):
        least, most = _LIMITS[name]
        for value in sorted(range(least, most + 1), key=lambda v: abs(v - n[name])):
            changed = {**n, name: value}
            room = changed["size"] + 2 * changed["padding"] - changed["dilation"] * (changed["kernel"] - 1) - 1
            if value != n[name] and room >= 0 and room % changed["stride"] == 0:
                found.append({name: value})
                break
    return found


def _valley(x: Any, y: Any) -> Any:
    return 0.05 * x**2 + y**2


def _rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 / 4 + 5 * (y - x**2 / 4) ** 2 / 4


def _saddle(x: Any, y: Any) -> Any:
    return 0.2 * x**2 - 0.2 * y**2 + 0.02 * y**4


def _flat(x: Any, y: Any) -> Any:
    return 1 - np.exp(-((x**2 + y**2) / 6))


def _hills(x: Any, y: Any) -> Any:
    return 0.08 * (x**2 + y**2) + 0.6 * np.sin(1.7 * x) * np.cos(1.3 * y)


FUNCTIONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "valley": ("a narrow valley", _valley),
    "rosenbrock": ("a curved valley", _rosenbrock),
    "saddle": ("a saddle", _saddle),
    "flat": ("a hole in a plain", _flat),
    "hills": ("hills with several hollows", _hills),
}
"""The functions of two weights: what they are called, and their values."""

OPTIMIZERS: dict[str, Callable[[float], Any]] = {
    "gradient descent": lambda lr: nn.SGD(lr),
    "momentum": lambda lr: nn.SGD(lr, 0.9),
    "Nesterov": lambda lr: nn.SGD(lr, 0.9, nesterov=True),
    "AdaGrad": lambda lr: nn.AdaGrad(lr),
    "AdaDelta": lambda lr: nn.AdaDelta(lr),
    "Adam": lambda lr: nn.Adam(lr),
}

_HALF, _GRID, _FAR = 5.0, 141, 1e3


def _slope(f: Callable[[Any, Any], Any], w: Any) -> Any:
    """Central differences; the functions are smooth."""
    h = 1e-4
    x, y = (float(v) for v in w)
    slopes = (f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)
    return np.array(slopes, np.float32)


def descent(given: Mapping[str, Any]) -> dict[str, Any]:
    """The landscape and every optimizer's path from one start: {"grid", "extent", "paths"}."""
    name = given.get("function")
    if name not in FUNCTIONS:
        raise ValueError(f"function must be one of {', '.join(FUNCTIONS)}, got {name!r:.40}")
    rate, steps = number(given, "rate", 1e-4, 20), whole(given, "steps", 1, 500)
    start = [number(given, "x", -_HALF, _HALF), number(given, "y", -_HALF, _HALF)]
    f = FUNCTIONS[name][1]
    axis = np.linspace(-_HALF, _HALF, _GRID)
    grid = f(axis[None, :], axis[:, None])
    paths = []
    for optimizer_name, build in OPTIMIZERS.items():
        optimizer, w = build(rate), np.array(start, np.float32)
        path = [w.tolist()]
        for _ in range(steps):
            optimizer.step({"w": w}, {"w": _slope(f, w)})
            if not np.isfinite(w).all() or np.abs(w).max() > _FAR:
                break
            path.append(w.tolist())
        diverged = len(path) <= steps
        value = float(f(*(float(v) for v in path[-1])))
        paths.append({"name": optimizer_name, "path": path, "diverged": diverged, "value": value})
    return {"grid": packed(grid), "size": _GRID, "half": _HALF, "lowest": float(grid.min()), "paths": paths}
