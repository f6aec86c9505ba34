"""Matrix products of the GPU, one way at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases.case import UNIT, normal
from dipkernels import cuda
from dipkernels import ops as kernels
from support.device_ops import backend, ops
from support.rounding import assert_rounded_once

TILES = ("128x128", "32x128", "64x64")


WARPGROUP_TILES = ("128x128 of warpgroups", "64x128 of warpgroups")


# How float32 is multiplied, and the precision that asks for it.
WAYS = {"fma": "highest", "tensor": "highest", "high": "high", "medium": "medium"}


@contextlib.contextmanager
def only(tile: str, products: str = "auto") -> Iterator[None]:
    """No other tile is taken, and float32 multiplied in no other way, whatever the sizes would choose; tiles of
    warpgroups where the GPU has them.
    """
    backend().set_gemm_tile(tile)
    backend().set_warpgroups(tile.endswith("warpgroups"))
    backend().set_float32_products(products)
    try:
        yield
    finally:
        backend().set_float32_products("auto")
        backend().set_warpgroups(True)
        backend().set_gemm_tile("auto")


def bound(way: str, terms: int, magnitude: Any) -> Any:
    """The error of a sum of products whose absolute values add up to `magnitude`.

    bfloat16 has 8 bits: what is left of x is below 2⁻⁸|x| after one such number, 2⁻¹⁷|x| after two, and nothing after
    three. So two are off by 2⁻¹⁷|x|, in both factors, and the product of their second ones, 2⁻¹⁶, is left out; of
    three, second times third, 2·2⁻²⁵, and less. TF32 has 11 bits. A tensor core may cut off instead of rounding, which
    counts twice: in TF32 in every sum, else in those of 16 terms, or of 64 in four steps, where one product of each
    step is large and the others are 2⁻⁸ of it at most; these sums are then rounded as they are added.
    """
    product = {"fma": UNIT, "tensor": 1.01 * 2.0**-24, "high": 2 * 2.0**-16, "medium": 2 * 2.0**-11 + 2.0**-22}[way]
    sums = {"fma": terms, "tensor": terms / 16 + 9, "high": terms / 16 + 9, "medium": 2 * terms}[way]
    return (product + (sums + 1) * UNIT) * magnitude


def check(got: Any, expected: Any, limit: Any, way: str, op: str) -> None:
    error = np.abs(got - expected)
    assert (error <= limit).all(), f"{(error / limit).max():.2f} times the bound"
    # Neither more precise than it can be: the path that was asked for is the one that ran. TF32 is not transposed.
    if way == "medium" and not op.endswith("weight"):
        assert error.max() > 2.0**-14 * np.abs(expected).max()
    elif way in ("medium", "high"):
        assert error.max() > UNIT * np.abs(expected).max()


def check_linear(n: int, i: int, o: int, way: str) -> None:
    name = WAYS[way]
    x, weight, dy = normal(n, i), normal(o, i, seed=1), normal(n, o, seed=3)
    wide = [a.astype(np.float64) for a in (x, weight, dy)]
    big = [np.abs(a) for a in wide]
    products = [
        ("linear", x, weight, wide[0] @ wide[1].T, i, big[0] @ big[1].T),
        ("linear_backward_data", dy, weight, wide[2] @ wide[1], o, big[2] @ big[1]),
        ("linear_backward_weight", dy, x, wide[2].T @ wide[0], n, big[2].T @ big[0]),
    ]
    for op, a, b, expected, terms, magnitude in products:
        check(getattr(ops, op)(a, b, precision=name), expected, bound(way, terms, magnitude), way, op)


def halves(dtype: str, *arrays: Any) -> tuple[list[Any], list[Any]]:
    """Arrays of 16 bits on the GPU, and their numbers in float64."""
    stored = [cuda.to_device(a).astype(dtype) for a in arrays]
    return stored, [a.astype("float32").to_host().astype(np.float64) for a in stored]


def check_halves(got: Any, product: Any, a: Any, b: Any, terms: int, dtype: str) -> None:
    assert_rounded_once(got, product(a, b), bound("fma", 2 * terms, product(abs(a), abs(b))), dtype)


def check_linear_of_16_bits(n: int, i: int, o: int, dtype: str) -> None:
    (x, weight, dy), (wx, wweight, wdy) = halves(dtype, normal(n, i), normal(o, i, seed=1), normal(n, o, seed=3))
    check_halves(kernels.linear(x, weight), lambda a, b: a @ b.T, wx, wweight, i, dtype)
    check_halves(kernels.linear_backward_data(dy, weight), np.matmul, wdy, wweight, o, dtype)
    check_halves(kernels.linear_backward_weight(dy, x), lambda a, b: a.T @ b, wdy, wx, n, dtype)
