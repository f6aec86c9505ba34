"""Oracles of warping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["affine_flow", "affine_flow_backward", "warp", "warp_backward"]


def _cubic(d: float, slope: bool) -> float:
    a, sign, d = -0.75, math.copysign(1.0, d), abs(d)
    if d <= 1:
        return sign * (3 * (a + 2) * d**2 - 2 * (a + 3) * d) if slope else (a + 2) * d**3 - (a + 3) * d**2 + 1
    return sign * (3 * a * d**2 - 10 * a * d + 8 * a) if slope else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a


def _axis(place: float, extent: int, interpolation: str, slope: bool) -> Float64:
    """How much of each of `extent` elements is at a place, or the derivative of that."""
    weights = np.zeros(extent)
    if not abs(place) < 1e9:
        return weights
    base = math.floor(place)
    for i in range(base - 1, base + 3):
        if not 0 <= i < extent:
            continue
        if interpolation == "bicubic":
            weights[i] = _cubic(place - i, slope)
        elif interpolation == "bilinear" and i in (base, base + 1):
            weights[i] = (1.0 if i > base else -1.0) if slope else 1 - abs(place - i)
        elif interpolation == "nearest" and i == math.floor(place + 0.5):
            weights[i] = 0.0 if slope else 1.0
    return weights


def _places(flow: Any) -> Any:
    """(n, i, j, the row and the column that are read) of every result."""
    flow = np.asarray(flow, np.float64)
    for n, i, j in np.ndindex(flow.shape[0], *flow.shape[2:]):
        yield n, i, j, i + flow[n, 1, i, j], j + flow[n, 0, i, j]


def warp(x: Any, flow: Any, interpolation: str = "bilinear") -> Float64:
    """A product of weights from both sides for every result."""
    x = np.asarray(x, np.float64)
    y = np.zeros((*x.shape[:2], *np.shape(flow)[2:]))
    for n, i, j, row, column in _places(flow):
        rows, columns = (_axis(*at, interpolation, False) for at in ((row, x.shape[2]), (column, x.shape[3])))
        y[n, :, i, j] = np.einsum("h,chw,w->c", rows, x[n], columns)
    return y


def warp_backward(dy: Any, x: Any, flow: Any, interpolation: str = "bilinear") -> tuple[Float64, Float64]:
    """The same weights, and their derivatives."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    dx, dflow = np.zeros(x.shape), np.zeros(np.shape(flow))
    for n, i, j, row, column in _places(flow):
        rows, columns = (_axis(*at, interpolation, False) for at in ((row, x.shape[2]), (column, x.shape[3])))
        down, right = (_axis(*at, interpolation, True) for at in ((row, x.shape[2]), (column, x.shape[3])))
        dx[n] += dy[n, :, i, j, None, None] * np.outer(rows, columns)
        dflow[n, 0, i, j] = np.einsum("c,h,chw,w->", dy[n, :, i, j], rows, x[n], right)
        dflow[n, 1, i, j] = np.einsum("c,h,chw,w->", dy[n, :, i, j], down, x[n], columns)
    return dx, dflow


def _grid(size: Sequence[int]) -> Float64:
    """(3, height, width): x and y from the middle, and 1."""
    height, width = size
    y, x = np.indices((height, width)) - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    return np.stack([x, y, np.ones((height, width))])


def affine_flow(matrices: Any, size: Sequence[int]) -> Float64:
    """A·p + b − p."""
    grid = _grid(size)
    return np.einsum("nij,jhw->nihw", np.asarray(matrices, np.float64), grid) - grid[None, :2]


def affine_flow_backward(dflow: Any) -> Float64:
    """Σ dflow·(x, y, 1)."""
    dflow = np.asarray(dflow, np.float64)
    return np.einsum("nihw,jhw->nij", dflow, _grid(dflow.shape[2:]))
