"""Convolution 3 × 3 by Winograd's F(4 × 4, 3 × 3), which the CPU uses below the highest precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import UNIT, normal
from dipkernels import ops, reference
from support.device_ops import DEVICE
from support.oracles import to_float64

pytestmark = pytest.mark.skipif(DEVICE != "cpu", reason="the GPU has other ways")
OPERATORS = ["conv2d", "conv2d_backward_data", "conv2d_backward_weight"]

# label: x, weight, padding, groups
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "whole_tiles": ((40, 32, 8, 12), (32, 32, 3, 3), 1, 1),
    "remainders": ((40, 35, 11, 13), (41, 35, 3, 3), 0, 1),
    "asymmetric": ((20, 32, 13, 10), (48, 32, 3, 3), ((0, 2), (3, 1)), 1),
    "wide_padding": ((8, 32, 24, 23), (32, 32, 3, 3), 4, 1),
    "groups": ((30, 64, 11, 8), (96, 32, 3, 3), 1, 2),
    "one_image": ((1, 48, 40, 36), (64, 48, 3, 3), 1, 1),
    "few_channels": ((70, 14, 20, 20), (14, 14, 3, 3), 1, 1),
    "several_batches": ((6, 48, 40, 33), (64, 48, 3, 3), 1, 1),
    "many_panels": ((12, 32, 12, 12), (144, 32, 3, 3), 1, 1),
}

B_T = np.float64(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.float64([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
A_T = np.float64([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


# The weight gradient has four numbers of dy for three taps, and the same points: powers of 0, 1, −1, 2, −2 and ∞.
G_4 = np.concatenate([G, np.float64([[0], [-4], [4], [8], [-8], [0]]) / 24], 1)
G_4[5] = [0, 0, 0, 1]
A_3T = A_T[:3].copy()
A_3T[2, 5] = 1


def test_the_matrices_are_those_of_a_convolution() -> None:
    d, g, g4 = normal(6), normal(3, seed=1), normal(4, seed=2)
    np.testing.assert_allclose(A_T @ ((G @ g) * (B_T @ d)), np.correlate(d, g, "valid"), rtol=1e-5)
    np.testing.assert_allclose(A_3T @ ((G_4 @ g4) * (B_T @ d)), np.correlate(d, g4, "valid"), rtol=1e-5)


def tiles_of(x: Any, size: int, down: int, across: int, pads: Any) -> Any:
    """|x| with zeros around it, cut into overlapping tiles of size × size, one every four positions."""
    n, c = x.shape[:2]
    padded = np.zeros((n, c, 4 * down + size - 4, 4 * across + size - 4))
    top, left = ((max(p, 0), max(q, 0)) for p, q in pads)
    (y, y_end), (z, z_end) = ((max(-p, 0), max(-q, 0)) for p, q in pads)
    inside = x[:, :, y : x.shape[2] - y_end, z : x.shape[3] - z_end]
    source = np.pad(np.abs(inside.astype(np.float64)), ((0, 0), (0, 0), top, left))
    source = source[:, :, : padded.shape[2], : padded.shape[3]]
    padded[:, :, : source.shape[2], : source.shape[3]] = source
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))[:, :, ::4, ::4]


def both_ways(matrix: Any, tiles: Any) -> Any:
    """|M| t |M|ᵀ of the last two axes."""
    return np.einsum("ai,...ij,bj->...ab", abs(matrix), tiles, abs(matrix))


def magnitude(x: Any, weight: Any, pads: Any, groups: int) -> Any:
    """What the algorithm adds up for each result, all of it with a plus: |Aᵀ|[Σ_c (|G||g||Gᵀ|) ⊙ (|Bᵀ||d||B|)]|A|."""
    n, c, h, w = x.shape
    k = weight.shape[0]
    out_h, out_w = h + sum(pads[0]) - 2, w + sum(pads[1]) - 2
    down, across = -(-out_h // 4), -(-out_w // 4)
    v = both_ways(B_T, tiles_of(x, 6, down, across, pads)).reshape(n, groups, c // groups, down, across, 6, 6)
    u = both_ways(G, abs(weight.astype(np.float64))).reshape(groups, k // groups, c // groups, 6, 6)
    y = both_ways(A_T, np.einsum("gkcab,ngctuab->ngktuab", u, v)).swapaxes(4, 5)
    return y.reshape(n, k, 4 * down, 4 * across)[:, :, :out_h, :out_w]


def gradient_magnitude(x: Any, dy: Any, pads: Any, groups: int) -> Any:
    """The same of the weight gradient, summed over all tiles."""
    n, c = x.shape[:2]
    k, out_h, out_w = dy.shape[1:]
    down, across = -(-out_h // 4), -(-out_w // 4)
    v = both_ways(B_T, tiles_of(x, 6, down, across, pads)).reshape(n, groups, c // groups, down, across, 6, 6)
    u = both_ways(G_4, tiles_of(dy, 4, down, across, ((0, 0), (0, 0)))).reshape(
        n, groups, k // groups, down, across, 6, 6
    )
    return both_ways(A_3T, np.einsum("ngktuab,ngctuab->gkcab", u, v)).reshape(k, c // groups, 3, 3)


@cache
def arguments(op: str, label: str) -> tuple[Any, ...]:
    """The operator's arguments and options, and a bound of its error."""
    x_shape, w_shape, padding, groups = GEOMETRIES[label]
    options: dict[str, Any] = {"padding": padding, "groups": groups}
    pads = padding if isinstance(padding, tuple) else ((padding,) * 2,) * 2
    x, weight = normal(*x_shape), normal(*w_shape, seed=1)
    dy = normal(*reference.conv2d(x, weight, **options).shape, seed=2)
    filters, channels = w_shape[0] // groups, w_shape[1]
    # Every number is transformed twice, with six roundings at most each time, before and after the sum.
    if op == "conv2d":
        return (x, weight), options, (channels + 36) * UNIT * magnitude(x, weight, pads, groups)
    if op == "conv2d_backward_weight":
        tiles = x_shape[0] * -(-dy.shape[2] // 4) * -(-dy.shape[3] // 4)
        return (dy, x, w_shape), options, (tiles + 36) * UNIT * gradient_magnitude(x, dy, pads, groups)
    turned = weight[:, :, ::-1, ::-1].reshape(groups, filters, channels, 3, 3).swapaxes(1, 2).reshape(-1, filters, 3, 3)
    turned_pads = tuple(tuple(2 - p for p in pair) for pair in pads)
    return (dy, weight, x_shape), options, (filters + 36) * UNIT * magnitude(dy, turned, turned_pads, groups)


@cache
def exact(op: str, label: str) -> Any:
    """The result in float64."""
    args, options, _ = arguments(op, label)
    return getattr(reference, op)(*map(to_float64, args), **options)


@pytest.fixture(autouse=True)
def by_winograd(ask: Callable[[str], None]) -> None:
    """Wherever the precision allows it."""
    ask("winograd")


def way(op: str, label: str) -> str:
    """How the operator computes that case with precision "high"."""
    x, weight, padding, groups = GEOMETRIES[label]
    with dipkernels.precision("high"):
        return dipkernels.explain(op, x, weight, 1, padding, 1, groups).partition(":")[0]


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_matches_oracle(op: str, label: str, isa: str) -> None:
    if isa == "amx":
        pytest.skip("AMX multiplies another way")
    assert way(op, label) == "winograd"
    args, options, limit = arguments(op, label)
    expected = exact(op, label)
    error = getattr(ops, op)(*args, **options, precision="high") - expected
    assert (np.abs(error) <= limit).all()
    # Which leaves room for faults that are small beside all other terms.
    assert np.sqrt(np.mean(error**2)) < 2.0**-17 * np.sqrt(np.mean(expected**2))
    # Neither more exact than it can be: it is this way that ran.
    highest = getattr(ops, op)(*args, **options) - expected
    assert np.abs(error).max() > 1.2 * np.abs(highest).max()


def test_bias_and_activation(isa: str) -> None:
    (x, weight), options, _ = arguments("conv2d", "remainders")
    bias = normal(weight.shape[0], seed=5)
    got = ops.conv2d(x, weight, bias, activation="elu", precision="high", **options)
    expected = reference.conv2d(*(a.astype(np.float64) for a in (x, weight, bias)), activation="elu", **options)
    np.testing.assert_allclose(got, expected, atol=2.0**-16 * np.abs(expected).max())
    assert (expected < 0).any()


@pytest.mark.parametrize("op", OPERATORS)
def test_the_same_bits_with_any_number_of_threads(op: str, restore_threads: None) -> None:
    args, options, _ = arguments(op, "one_image")
    results = []
    for count in (1, 2, 5):
        dipkernels.set_num_threads(count)
        results.append(getattr(ops, op)(*args, **options, precision="high"))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("op", OPERATORS)
def test_infinities_stay_where_they_belong(op: str, value: float, isa: str) -> None:
    if isa == "amx":
        pytest.skip("AMX multiplies another way")
    for which in (0, 1):
        args, options, _ = arguments(op, "remainders")
        args = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)
        args[which][(1, 1) + (1,) * (args[which].ndim - 2)] = value
        np.testing.assert_array_equal(
            getattr(ops, op)(*args, **options, precision="high"), getattr(ops, op)(*args, **options)
        )


@pytest.mark.parametrize("op", OPERATORS)
def test_what_earlier_calls_left_in_memory_does_not_matter(op: str, isa: str) -> None:
    args, options, _ = arguments(op, "few_channels")
    full, full_options, _ = arguments(op, "several_batches")
    results = []
    for value in (0, np.nan):
        filled = (np.full_like(a, value) if isinstance(a, np.ndarray) else a for a in full)
        getattr(ops, op)(*filled, **full_options, precision="high")
        results.append(getattr(ops, op)(*args, **options, precision="high"))
    np.testing.assert_array_equal(*results)


def test_empty_batch() -> None:
    x, weight = np.zeros((0, 32, 8, 8), np.float32), normal(32, 32, 3, 3)
    assert ops.conv2d(x, weight, precision="high").shape == (0, 32, 6, 6)


@pytest.mark.parametrize("op", ["conv2d", "conv2d_backward_data"])
@pytest.mark.parametrize("filters", [slice(None), slice(3, 4)])
def test_tiny_weights_lose_no_bits(op: str, filters: slice, isa: str) -> None:
    """Their transforms are 24 to 576 times smaller, and would be subnormal numbers with a few bits each."""
    x, weight = normal(4, 64, 14, 14), normal(64, 64, 3, 3, seed=1)
    weight[filters if op == "conv2d" else slice(None), slice(None) if op == "conv2d" else filters] *= np.float32(
        2.0**-127
    )
    arguments = (x, weight) if op == "conv2d" else (x, weight, x.shape)
    got = getattr(ops, op)(*arguments, padding=1, precision="high")
    expected = getattr(reference, op)(*map(to_float64, arguments), padding=1)
    error, size = (np.abs(a).max((0, 2, 3)) for a in (got - expected, expected))
    # Subnormal weights and results are whole multiples of 2^-149.
    assert (error <= 2.0**-15 * size + 64 * 9 * 2.0**-149).all()
