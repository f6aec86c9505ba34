"""Large matrices on the CPU: convolutions with many weights for few positions, whose tasks pack the weights themselves,
and linear layers whose rows are copied some at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dipkernels
from dipkernels import ops, reference
from support.properties import integers

# x, weight, options
LARGE: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "square": ((2, 300, 5, 5), (390, 300, 3, 3), {"padding": 1}),
    "groups": ((3, 520, 4, 3), (528, 260, 3, 3), {"padding": (0, 1), "groups": 2}),
    "stride": ((1, 300, 7, 5), (389, 300, 3, 3), {"stride": 2, "padding": 1}),
    "clips": ((1, 200, 3, 4, 4), (210, 200, 3, 3, 3), {"padding": 1}),
    "clips in steps": ((2, 200, 5, 3, 5), (210, 200, 3, 3, 3), {"padding": 1, "stride": (2, 1, 2)}),
}


@pytest.mark.parametrize("threads", [1, 3, 200])  # of so many each would pack too little
@pytest.mark.parametrize("label", LARGE)
def test_tasks_that_pack_their_weights(
    label: str, threads: int, isa: str, restore_threads: None, ask: Callable[[str], None]
) -> None:
    x_size, weight_size, options = LARGE[label]
    op = f"conv{len(x_size) - 2}d"
    x, weight, bias = (integers(seed, *size) for seed, size in enumerate((x_size, weight_size, weight_size[:1])))
    y = getattr(reference, op)(x, weight, bias, **options)
    dy = integers(3, *y.shape)
    dx = getattr(reference, f"{op}_backward_data")(dy, weight, x_size, **options)
    dipkernels.set_num_threads(threads)
    ask("lanes")
    np.testing.assert_array_equal(getattr(ops, op)(x, weight, bias, **options), y)
    np.testing.assert_array_equal(getattr(ops, f"{op}_backward_data")(dy, weight, x_size, **options), dx)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize(("n", "i"), [(2051, 1024), (300, 8192)])  # rows a multiple of 4096 bytes apart
def test_rows_that_would_collide_are_copied(n: int, i: int, activation: Any, isa: str) -> None:
    x, weight, bias = integers(0, n, i), integers(1, 5, i), integers(2, 5)
    np.testing.assert_array_equal(
        ops.linear(x, weight, bias, activation), reference.linear(x, weight, bias, activation)
    )
