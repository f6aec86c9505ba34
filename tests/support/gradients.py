"""Gradients of layers and graphs against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import nn


def check_gradients(model: nn.Graph, *inputs: Any, step: float = 1e-2, tolerance: float = 2e-3) -> None:
    """The gradients of Σ dy·y against central differences in float32, along random directions of each parameter.

    Errors: step²·f'''/6 of the difference, and u·|f|/step of float32; both below the tolerance for f of order 1.
    """
    outputs = model.forward(*inputs)
    several = isinstance(outputs, tuple)
    dys = [normal(*y.shape, seed=9) / y.size for y in (outputs if several else (outputs,))]

    def value() -> float:
        ys = model.forward(*inputs)
        return float(sum((dy.astype("f8") * y).sum() for dy, y in zip(dys, ys if several else (ys,), strict=True)))

    model.forward(*inputs)
    dxs = model.backward(*dys, input_gradient=True)
    checked = {**{n: (v, model.gradients[n]) for n, v in model.parameters.items()}}
    for name, x, dx in zip(model.inputs, inputs, dxs if len(inputs) > 1 else (dxs,), strict=True):
        checked[name] = (x, dx)
    for name, (values, gradient) in checked.items():
        direction = normal(*values.shape, seed=4)
        direction /= np.linalg.norm(direction) + 1e-12
        before = values.copy()
        values[...] = before + step * direction
        up = value()
        values[...] = before - step * direction
        down = value()
        values[...] = before
        slope = (up - down) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(slope, abs=tolerance), name
