"""Products of bfloat16 numbers on the CPU: with AVX512-BF16, AMX, and AMX's instructions done by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases import ALL
from cases.case import TINY, UNIT, Case, normal
from dipkernels import _cpu, ops, reference
from support.device_ops import DEVICE
from support.oracles import check_case, to_float64


def _sets() -> list[tuple[str, str]]:
    """Pairs of an instruction set and a precision for which it has bfloat16 products."""
    if DEVICE != "cpu":
        return []
    before, found = dipkernels.isa(), []
    for isa in ("avx512_bf16", "amx", "amx_emulated"):  # the last is in builds with DIPKERNELS_EMULATION=ON alone
        try:
            dipkernels.set_isa(isa)
        except ValueError:
            continue
        found += [(isa, name) for name in ("medium", "high", "highest") if isa != "avx512_bf16" or name == "medium"]
    dipkernels.set_isa(before)
    return found


SETS = _sets()
pytestmark = pytest.mark.skipif(not SETS, reason="no instructions for bfloat16 numbers here, nor their emulation")
every_set = pytest.mark.parametrize("bf16", SETS, ids="-".join, indirect=True)


@pytest.fixture
def bf16(request: pytest.FixtureRequest) -> Iterator[str]:
    """The precision; its instruction set is active."""
    isa, name = request.param
    before = dipkernels.isa()
    dipkernels.set_isa(isa)
    _cpu.set_conv_way("bf16")  # whatever it costs here
    _cpu.set_linear_way("bf16")
    yield name
    _cpu.set_conv_way("auto")
    _cpu.set_linear_way("auto")
    dipkernels.set_isa(before)


# label: x, weight, stride, padding, dilation, groups, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "same": ((3, 64, 8, 8), (64, 64, 3, 3), 1, 1, 1, 1, "exact"),
    "remainders": ((5, 95, 6, 7), (49, 95, 3, 3), 1, 1, 1, 1, "exact"),
    "few_filters": ((7, 96, 9, 8), (13, 96, 2, 3), 1, 1, 1, 1, "exact"),
    "pointwise": ((16, 64, 5, 7), (96, 64, 1, 1), 1, 0, 1, 1, "exact"),
    "stride": ((9, 64, 11, 12), (64, 64, 3, 3), 2, ((1, 1), (2, 0)), 1, 1, "floor"),
    "stride_over_kernel": ((16, 128, 13, 14), (128, 128, 2, 2), 3, 0, 1, 1, "floor"),
    "steps": ((2, 33, 7, 40), (40, 33, 3, 3), 3, 1, 1, 1, "floor"),
    "first_layer": ((2, 3, 9, 94), (33, 3, 5, 7), 4, ((0, 0), (3, 2)), 1, 1, "floor"),
    "asymmetric": ((4, 64, 7, 10), (64, 64, 3, 4), 1, ((0, 2), (3, 1)), 1, 1, "exact"),
    "dilated": ((3, 64, 12, 11), (64, 64, 3, 3), 1, 3, (3, 2), 1, "exact"),
    "wide": ((3, 64, 8, 9), (64, 64, 5, 5), 1, 2, 1, 1, "exact"),
    "groups": ((8, 128, 8, 8), (128, 64, 3, 3), 1, 1, 1, 2, "exact"),
    "one_image": ((1, 128, 24, 20), (64, 128, 3, 3), 1, 1, 1, 1, "exact"),
    "cropped": ((2, 128, 14, 14), (128, 128, 1, 1), 2, 0, 1, 1, "floor"),
    "several_batches": ((30, 160, 12, 12), (33, 160, 1, 1), 1, 0, 1, 1, "exact"),
}
OPERATORS = ["conv2d", "conv2d_backward_data", "conv2d_backward_weight"]
# Numbers beyond which products leave float32, or which have no planes. Wherever they are: in either half of a vector or
# of a tile, in rows of either parity, in the last ones of all.
UNFIT = {"infinity": np.inf, "nan": np.nan, "largest": 3.4e38, "small": 1e-33, "subnormal": 1e-42}


def arguments(op: str, label: str) -> tuple[Any, ...]:
    """The positional arguments of an operator, its options, and the number of products in each of its sums."""
    x_shape, w_shape, stride, padding, dilation, groups, rounding = GEOMETRIES[label]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    x, weight = normal(*x_shape), normal(*w_shape, seed=1)
    dy_size = dipkernels.ops.conv2d(x, weight, **options).shape
    dy = normal(*dy_size, seed=2)
    taps = w_shape[2] * w_shape[3]
    if op == "conv2d":
        return (x, weight), options, w_shape[1] * taps
    if op == "conv2d_backward_data":
        return (dy, weight, x_shape), options, w_shape[0] // groups * taps
    return (dy, x, w_shape), options, dy.size // w_shape[0]


def way(op: str, label: str, precision: Any) -> str:
    """How the operator computes that case."""
    x, weight, *rest, rounding = GEOMETRIES[label]
    with dipkernels.precision(precision):
        return dipkernels.explain(op, x, weight, *rest, rounding=rounding).partition(":")[0]


def exact(op: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    """The result in float64, and the sums of the absolute values of its terms."""
    wide = [to_float64(a) for a in args]
    big = [np.abs(a) if isinstance(a, np.ndarray) else a for a in wide]
    return getattr(reference, op)(*wide, **options), getattr(reference, op)(*big, **options)


def bound(precision: str, terms: int, magnitude: Any) -> Any:
    """The error of sums of products whose absolute values add up to `magnitude`.

    A plane leaves at most 2⁻⁸ of what it rounds; three hold all 24 bits. One product leaves out what both roundings
    do; three leave out the rests after two planes and the product of the second ones; six the products of a second and
    a third plane, and of the third ones. Then a sum of n numbers is rounded n times at most.
    """
    split = {"medium": 2 * 2.0**-8 + 2.0**-16, "high": 3 * 2.0**-16 + 2.0**-23, "highest": 2 * 2.0**-24 + 2.0**-32}
    products = {"medium": 1, "high": 3, "highest": 6}[precision]
    return (split[precision] + (products * terms + 1) * UNIT * (1 + 2.0**-6)) * magnitude + TINY


@every_set
@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_matches_oracle(op: str, label: str, bf16: Any) -> None:
    assert way(op, label, bf16) == "bf16"
    args, options, terms = arguments(op, label)
    got = getattr(ops, op)(*args, **options, precision=bf16)
    expected, magnitude = exact(op, args, options)
    error = np.abs(got - expected)
    assert (error <= bound(bf16, terms, magnitude)).all()
    # Neither more precise than it can be: the way that was asked for is the one that ran.
    if bf16 != "highest":
        assert error.max() > {"medium": 2.0**-13, "high": 2.0**-20}[bf16] * np.abs(expected).max()


@every_set
@pytest.mark.parametrize("op", OPERATORS)
def test_highest_is_as_exact_as_float32(op: str, bf16: Any) -> None:
    if bf16 != "highest":
        pytest.skip("says something of the highest precision")
    isa = dipkernels.isa()
    for label in ("wide", "pointwise", "dilated"):
        args, options, _ = arguments(op, label)
        expected, magnitude = exact(op, args, options)
        errors = {}
        for each, which in ((isa, "bf16"), ("avx512", "lanes")):  # of float32, a sum for every result
            dipkernels.set_isa(each)
            _cpu.set_conv_way(which)
            errors[each] = np.sqrt(np.mean(((getattr(ops, op)(*args, **options) - expected) / magnitude) ** 2))
        assert errors[isa] <= errors["avx512"]


@every_set
def test_bias_and_activation(bf16: Any) -> None:
    (x, weight), options, terms = arguments("conv2d", "few_filters")
    bias = normal(weight.shape[0], seed=5)
    got = ops.conv2d(x, weight, bias, activation="relu", precision=bf16, **options)
    _, magnitude = exact("conv2d", (x, weight), options)
    expected = reference.conv2d(*(a.astype(np.float64) for a in (x, weight, bias)), activation="relu", **options)
    assert (np.abs(got - expected) <= bound(bf16, terms, magnitude + np.abs(bias)[:, None, None])).all()
    assert (got == 0).any()


@every_set
@pytest.mark.parametrize("op", OPERATORS)
def test_the_same_bits_with_any_number_of_threads(op: str, bf16: Any, restore_threads: None) -> None:
    args, options, _ = arguments(op, "several_batches")
    results = []
    for count in (1, 2, 5):
        dipkernels.set_num_threads(count)
        results.append(getattr(ops, op)(*args, **options, precision=bf16))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@every_set
@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("unfit", UNFIT)
def test_numbers_that_cannot_be_split_are_multiplied_in_float32(op: str, unfit: str, bf16: Any) -> None:
    if bf16 == "medium" and unfit in ("small", "subnormal"):
        pytest.skip("a single product takes small numbers for zeros: they are below its error")
    isa = dipkernels.isa()
    places = [(0, 0, 0, 0), (-1, -1, -1, -1), (1, 17, 1, 2), (0, 32, 2, 1)] if unfit == "infinity" else [(0, 0, 0, 0)]
    for which, place in product((0, 1), places):
        args, options, _ = arguments(op, "dilated")
        args[which][place] = UNFIT[unfit]
        dipkernels.set_isa(isa)
        got = getattr(ops, op)(*args, **options, precision=bf16)
        dipkernels.set_isa("avx512")
        np.testing.assert_array_equal(got, getattr(ops, op)(*args, **options, precision=bf16))


@every_set
@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("exponent", [-56, 63])
def test_products_beyond_float32_are_multiplied_in_float32(op: str, exponent: int, bf16: Any) -> None:
    if bf16 == "medium":
        pytest.skip("a single product that leaves float32 does so either way")
    args, options, _ = arguments(op, "dilated")
    scaled = [np.ldexp(a, exponent) if isinstance(a, np.ndarray) else a for a in args]
    got = getattr(ops, op)(*scaled, **options, precision=bf16)
    dipkernels.set_isa("avx512")
    np.testing.assert_array_equal(got, getattr(ops, op)(*scaled, **options, precision=bf16))


@every_set
def test_medium_rounds_to_nearest_even(bf16: Any) -> None:
    if bf16 != "medium":
        pytest.skip("says something of a single product")
    x = normal(16, 64, 5, 7)
    x.view(np.uint32)[...] &= np.uint32(0xFFFFFFFF << 15 & 0xFFFFFFFF)  # nine bits: half of them are ties
    bits = x.view(np.uint32)
    expected = ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    assert (expected != x).any()
    identity = np.eye(64, dtype=np.float32)[:, :, None, None]
    np.testing.assert_array_equal(ops.conv2d(x, identity, precision="medium"), expected)
    np.testing.assert_array_equal(ops.conv2d_backward_data(x, identity, x.shape, precision="medium"), expected)


@every_set
def test_zeros_can_be_split(bf16: Any) -> None:
    (x, weight), options, _ = arguments("conv2d", "dilated")
    x[:, ::2] = 0
    x[1:] = 0
    got = ops.conv2d(x, weight, precision=bf16, **options)
    expected, magnitude = exact("conv2d", (x, weight), options)
    assert (np.abs(got - expected) <= bound(bf16, 576, magnitude)).all()
    assert not got[1:].any()


@pytest.mark.skipif(("amx_emulated", "highest") not in SETS, reason="needs a build with DIPKERNELS_EMULATION=ON")
@pytest.mark.parametrize("bf16", [("amx_emulated", "highest")], ids="-".join, indirect=True)
@pytest.mark.parametrize("case", [case for case in ALL if case.op.startswith(("conv2d", "linear"))], ids=str)
def test_every_case(case: Case, bf16: str) -> None:
    # Emulated, no case is too small.
    check_case(case)


# Batch, in, out: with remainders of every tile, and with too few of something to be worth it.
LINEAR = [(256, 784, 300), (83, 517, 261), (70, 33, 65), (5, 700, 3), (35, 1024, 40), (1, 64, 64)]


def linear_products(n: int, i: int, o: int) -> list[tuple[str, tuple[Any, ...], int]]:
    """The three operators, their arguments, and the number of products in each of their sums."""
    x, weight, dy = normal(n, i), normal(o, i, seed=1), normal(n, o, seed=3)
    return [
        ("linear", (x, weight), i),
        ("linear_backward_data", (dy, weight), o),
        ("linear_backward_weight", (dy, x), n),
    ]


@every_set
@pytest.mark.parametrize(("n", "i", "o"), LINEAR)
def test_linear_matches_oracle(n: int, i: int, o: int, bf16: Any) -> None:
    for op, args, terms in linear_products(n, i, o):
        got = getattr(ops, op)(*args, precision=bf16)
        expected, magnitude = exact(op, args, {})
        error = np.abs(got - expected)
        assert (error <= bound(bf16, terms, magnitude)).all()
        if bf16 != "highest":  # neither more exact than it can be
            assert error.max() > {"medium": 2.0**-13, "high": 2.0**-20}[bf16] * np.abs(expected).max()


@every_set
def test_linear_has_bias_and_activation(bf16: Any) -> None:
    (x, weight), bias = linear_products(70, 333, 85)[0][1], normal(85, seed=5)
    got = ops.linear(x, weight, bias, activation="relu", precision=bf16)
    expected = reference.linear(*(a.astype(np.float64) for a in (x, weight, bias)), activation="relu")
    magnitude = np.abs(x).astype(np.float64) @ np.abs(weight.T) + np.abs(bias)
    assert (np.abs(got - expected) <= bound(bf16, 333, magnitude)).all()
    assert (got == 0).any()


@every_set
@pytest.mark.parametrize("unfit", UNFIT)
def test_linear_multiplies_in_float32_what_cannot_be_split(unfit: str, bf16: Any) -> None:
    if bf16 == "medium" and unfit in ("small", "subnormal"):
        pytest.skip("a single product takes small numbers for zeros: they are below its error")
    isa = dipkernels.isa()
    places = [(-1, -1), (0, 0), (0, 17), (17, 0), (33, 49), (32, 260)] if unfit == "infinity" else [(-1, -1)]
    for op, args, _ in linear_products(83, 517, 261):
        for which, place in product((0, 1), places):
            changed = [a.copy() for a in args]
            changed[which][place] = UNFIT[unfit]
            dipkernels.set_isa(isa)
            got = getattr(ops, op)(*changed, precision=bf16)
            dipkernels.set_isa("avx512")
            np.testing.assert_array_equal(got, getattr(ops, op)(*changed, precision=bf16))


@every_set
def test_linear_has_the_same_bits_with_any_number_of_threads(bf16: Any, restore_threads: None) -> None:
    for op, args, _ in linear_products(83, 517, 261):
        results = []
        for count in (1, 2, 5):
            dipkernels.set_num_threads(count)
            results.append(getattr(ops, op)(*args, precision=bf16))
        np.testing.assert_array_equal(results[0], results[1])
        np.testing.assert_array_equal(results[0], results[2])
