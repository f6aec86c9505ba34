"""float16 and bfloat16 on the GPU: stored in 16 bits, summed in float32, rounded once."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from cases import ALL
from cases.case import Case, normal
from dipkernels import cuda, ops, reference
from support.device_ops import DEVICE
from support.oracles import run, to_float64
from support.rounding import assert_rounded_once, nearest_bfloat16

on_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")
both = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])


@on_gpu
def test_every_float16_widens_to_its_value() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(cuda.to_device(halves).astype("float32").to_host(), halves.astype(np.float32))


def around_ties(bits: int) -> Any:
    """Every number whose upper `bits` bits are any, at a tie between two of those, just below and just above."""
    upper = np.arange(1 << bits, dtype=np.uint32) << (32 - bits)
    tie = np.uint32(1 << (31 - bits))
    x = np.concatenate([upper, upper + tie - 1, upper + tie, upper + tie + 1]).astype(np.uint32).view(np.float32)
    return x[np.isfinite(x)]


@on_gpu
def test_float32_is_rounded_to_the_nearest_float16() -> None:
    # 1 bit of sign, 8 of exponent, 10 of mantissa; subnormal halves have fewer, so their ties have fewer bits too.
    x = around_ties(19)
    subnormal = (np.arange(1 << 12) * 2.0**-25).astype(np.float32)
    x = np.concatenate([x, subnormal, np.nextafter(subnormal, 1), np.float32([np.inf, -np.inf])])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(cuda.to_device(x).astype("float16").to_host(), x.astype(np.float16))
    assert np.isnan(cuda.to_device(np.float32([np.nan, -np.nan])).astype("float16").to_host()).all()


@on_gpu
def test_float32_is_rounded_to_the_nearest_bfloat16() -> None:
    x = around_ties(16)
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(cuda.to_device(x).astype("bfloat16").to_host(), nearest_bfloat16(x))
    special = np.uint32([0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF]).view(np.float32)
    rounded = cuda.to_device(special).astype("bfloat16").to_host()
    np.testing.assert_array_equal(rounded, np.float32([np.inf, -np.inf, np.nan, np.nan]))


def real(a: Any) -> bool:
    return isinstance(a, np.ndarray) and a.dtype == np.float32


def is_running(case: Case, position: int) -> bool:
    """Whether an argument is a running mean, which is float32 whatever the others are."""
    return list(inspect.signature(getattr(ops, case.op)).parameters)[position] == "running"


def call(case: Case, dtype: str, **options: Any) -> list[Any]:
    """The results of a case whose real numbers are stored as `dtype`."""

    def stored(argument: Any, as_it_is: bool = False) -> Any:
        if not isinstance(argument, np.ndarray):
            return argument
        array = cuda.to_device(argument)
        return array.astype(dtype) if real(argument) and not as_it_is else array

    keywords = {name: stored(value) for name, value in case.kwargs.items()}
    args = [stored(argument, is_running(case, i)) for i, argument in enumerate(case.args)]
    results = getattr(ops, case.op)(*args, **keywords, **options)
    return list(results) if isinstance(results, tuple) else [results]


def rounded(case: Case, dtype: str) -> Case:
    """The case with arguments that `dtype` holds."""

    def nearest(a: Any) -> Any:
        return cuda.to_device(a).astype(dtype).astype("float32").to_host() if real(a) else a

    keywords = {name: nearest(value) for name, value in case.kwargs.items()}
    args = tuple(a if is_running(case, i) else nearest(a) for i, a in enumerate(case.args))
    return Case(case.op, case.label, args, keywords, case.bounds)


PRODUCTS = [
    f"{layer}{of}"
    for layer in ("conv2d", "conv3d", "conv_transpose2d", "linear")
    for of in ("", "_backward_data", "_backward_weight")
]


@on_gpu
@both
@pytest.mark.parametrize(
    "case", [c for c in ALL if not c.in_place and any(real(a) for a in c.args) and c.op not in PRODUCTS], ids=str
)  # fmt: skip
def test_results_are_those_of_float32_rounded(case: Case, dtype: str) -> None:
    # Products of numbers of 16 bits are exact in TF32.
    exact_products = (
        {"precision": "medium"} if "precision" in inspect.signature(getattr(ops, case.op)).parameters else {}
    )
    expected = call(rounded(case, dtype), "float32", **exact_products)
    for got, exact in zip(call(case, dtype), expected, strict=True):
        assert got.shape == exact.shape
        if exact.dtype != "float32":  # a loss, or indices
            assert got.dtype == exact.dtype
            np.testing.assert_array_equal(got.to_host(), exact.to_host())
            continue
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.to_host(), exact.astype(dtype).to_host())
    cuda.synchronize()


@on_gpu
@both
@pytest.mark.parametrize("case", [c for c in ALL if c.op in PRODUCTS], ids=str)
def test_products_are_rounded_once(case: Case, dtype: str) -> None:
    (got,) = call(case, dtype)
    case = rounded(case, dtype)
    exact = run(reference, case, tuple(map(to_float64, case.args)))[0]
    # A tensor core may cut sums off instead of rounding them: twice the error.
    assert_rounded_once(got, exact, 2 * case.bounds[0](exact, *case.args, **case.kwargs), dtype)


def _with_out() -> list[Case]:
    cases = {c.op: c for c in ALL if "out" in inspect.signature(getattr(ops, c.op)).parameters and real(c.args[0])}
    return list(cases.values())


@on_gpu
@both
@pytest.mark.parametrize("case", _with_out(), ids=str)
def test_out_receives_the_result(case: Case, dtype: str) -> None:
    which = 1 if case.op.endswith("_with_grad") else 0
    expected = call(case, dtype)[which]
    out = cuda.to_device(np.full(expected.shape, 55, np.float32)).astype(dtype)
    got = call(case, dtype, out=out)[which]
    assert got is out
    np.testing.assert_array_equal(out.to_host(), expected.to_host())
    with pytest.raises(TypeError, match=f"out must be {dtype}, got float32"):
        call(case, dtype, out=out.astype("float32"))


@on_gpu
@both
def test_float32_weights_learn_from_gradients_of_16_bits(dtype: str) -> None:
    weight, gradient = cuda.to_device(normal(5)), cuda.to_device(normal(5, seed=1)).astype(dtype)
    ops.gradient_descent_step([weight], [gradient], 0.5)
    np.testing.assert_array_equal(weight.to_host(), normal(5) - np.float32(0.5) * gradient.to_host().astype(np.float32))


@on_gpu
@both
def test_dtypes_are_not_mixed(dtype: str) -> None:
    x, weight = cuda.to_device(normal(2, 3)), cuda.to_device(normal(4, 3))
    with pytest.raises(TypeError, match=f"linear: weight must be {dtype} like x, got float32"):
        ops.linear(x.astype(dtype), weight)
    with pytest.raises(TypeError, match=f"linear: weight must be float32 like x, got {dtype}"):
        ops.linear(x, weight.astype(dtype))
    with pytest.raises(TypeError, match=rf"weights\[0\] must be float32, got {dtype}"):
        ops.gradient_descent_step([weight.astype(dtype)], [weight.astype(dtype)], 0.5)
    with pytest.raises(TypeError, match="float32, float16 or bfloat16, got float64"):
        ops.relu(cuda.to_device(np.zeros(3)))
    with pytest.raises(TypeError, match="dtype must be float32, float16 or bfloat16, got int32"):
        x.astype("int32")
    with pytest.raises(TypeError, match="the array must be float32, float16 or bfloat16, got int64"):
        cuda.to_device(np.arange(3)).astype("float32")
