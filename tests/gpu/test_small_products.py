"""Products of few results on the GPU, which go without tiles, and the costs by which ways are chosen."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from cases.case import UNIT, normal
from dipkernels import reference
from support.device_ops import DEVICE, backend, ops
from support.gemm import TILES, bound, check_linear, check_linear_of_16_bits, only

pytestmark = pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")


# Numbers that can be copied four at a time, and others; depths that blocks share, and such of less than a slice.
@pytest.mark.parametrize(
    "size", [(64, 400, 120), (64, 84, 10), (1, 2400, 40), (5, 701, 3), (16, 128, 32), (2, 1, 1)], ids=str
)
def test_small_products(size: tuple[int, int, int]) -> None:
    with only("16x32", "fma"):
        check_linear(*size, "fma")
        n, i, o = size
        x, weight, bias = normal(n, i), normal(o, i, seed=1), normal(o, seed=2)
        exact = np.tanh(reference.linear(*(a.astype(np.float64) for a in (x, weight, bias))))
        # tanh is nowhere steeper than 1, and computed with an error of four units at most.
        limit = bound("fma", i + 1, np.abs(x) @ np.abs(weight).T + np.abs(bias)) + 4 * UNIT
        assert (np.abs(ops.linear(x, weight, bias, activation="tanh") - exact) <= limit).all()
        np.testing.assert_array_equal(ops.linear(x, weight, bias), ops.linear(x, weight, bias))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("size", [(64, 400, 120), (16, 2400, 40), (8, 8, 8)], ids=str)
def test_small_products_of_16_bits(size: tuple[int, int, int], dtype: str) -> None:
    with only("16x32"):
        check_linear_of_16_bits(*size, dtype)


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_gradients_of_weights_for_a_few_rows(n: int) -> None:
    with only("auto", "fma"):
        check_linear(n, 40, 700, "fma")
        check_linear(n, 41, 70, "fma")
    for dtype in ("float16", "bfloat16"):
        check_linear_of_16_bits(n, 40, 700, dtype)


def test_layers_of_few_results_are_small_products() -> None:
    """Whatever packing would cost: neither tiles nor tensor cores are asked."""
    backend().take_planned_products()
    ops.linear(normal(1, 700), normal(40, 700, seed=1), precision="medium")
    ops.linear_backward_data(normal(4, 40), normal(40, 70, seed=1), precision="high")
    assert backend().take_planned_products() == []


def test_small_products_are_for_few_results_and_share_long_depths() -> None:
    plan = backend().plan_small_product
    assert plan(64, 300, 784, 132) == (1, 896)
    assert plan(1, 4096, 4096, 132) == (2, 2048)
    assert plan(64, 120, 4096, 132)[0] >= 8
    assert plan(4096, 4096, 64, 132) == (0, 0)
    for tile in TILES:
        with only(tile):
            assert plan(64, 300, 784, 132) == (0, 0)
    with only("16x32"):
        assert plan(4096, 4096, 64, 132) == (1, 128)


@pytest.mark.skipif(DEVICE != "emulated", reason="plans for a GPU that is not there")
def test_costs_choose_well_on_the_table_they_were_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    root = Path(__file__).resolve().parents[2]
    monkeypatch.syspath_prepend(root)
    costs, fit = importlib.import_module("bench.gpu_costs"), importlib.import_module("bench.cost_fit")
    rows = json.loads((root / "bench/results/2026-11-26-h100-tiles.json").read_text())["rows"]
    distances = costs.Table(rows, 132).distances()
    assert len(distances) > 100
    assert fit.mean(distances) < 1.05
    assert max(distances).times < 1.4
