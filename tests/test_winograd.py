"""Convolution 3 × 3 by Winograd's F(4 × 4, 3 × 3), which the CPU uses below the highest precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import UNIT, normal
from device_ops import DEVICE
from dipkernels import ops, reference

pytestmark = pytest.mark.skipif(DEVICE != "cpu", reason="the GPU has other ways")
OPERATORS = ["conv2d", "conv2d_backward_data"]

# label: x, weight, padding, groups
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "whole_tiles": ((3, 32, 8, 12), (32, 32, 3, 3), 1, 1),
    "remainders": ((5, 35, 9, 11), (41, 35, 3, 3), 0, 1),
    "asymmetric": ((4, 32, 13, 10), (32, 32, 3, 3), ((0, 2), (3, 1)), 1),
    "wide_padding": ((4, 32, 24, 23), (32, 32, 3, 3), 4, 1),
    "groups": ((8, 64, 7, 7), (96, 32, 3, 3), 1, 2),
    "one_image": ((1, 48, 40, 33), (16, 48, 3, 3), 1, 1),
    "many_panels": ((6, 32, 12, 12), (144, 32, 3, 3), 1, 1),
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


def test_the_matrices_are_those_of_a_convolution() -> None:
    d, g = normal(6), normal(3, seed=1)
    np.testing.assert_allclose(A_T @ ((G @ g) * (B_T @ d)), np.correlate(d, g, "valid"), rtol=1e-5)


def magnitude(x: Any, weight: Any, padding: Any, groups: int) -> Any:
    """What the algorithm adds up for each result, all of it with a plus: |Aᵀ|[Σ_c (|G||g||Gᵀ|) ⊙ (|Bᵀ||d||B|)]|A|."""
    top, left = (padding[0], padding[1]) if isinstance(padding, tuple) else ((padding,) * 2, (padding,) * 2)
    n, c, h, w = x.shape
    k = weight.shape[0]
    out_h, out_w = h + sum(top) - 2, w + sum(left) - 2
    down, across = -(-out_h // 4), -(-out_w // 4)
    padded = np.zeros((n, c, 4 * down + 2, 4 * across + 2))
    source = np.pad(np.abs(x.astype(np.float64)), ((0, 0), (0, 0), top, left))
    padded[:, :, : source.shape[2], : source.shape[3]] = source[:, :, : padded.shape[2], : padded.shape[3]]
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (6, 6), (2, 3))[:, :, ::4, ::4]
    v = np.einsum("ai,nctuij,bj->nctuab", abs(B_T), tiles, abs(B_T)).reshape(n, groups, c // groups, down, across, 6, 6)
    u = np.einsum("ai,kcij,bj->kcab", abs(G), abs(weight.astype(np.float64)), abs(G)).reshape(
        groups, k // groups, c // groups, 6, 6
    )
    m = np.einsum("gkcab,ngctuab->ngktuab", u, v)
    y = np.einsum("ia,ngktuab,jb->ngktiuj", abs(A_T), m, abs(A_T)).reshape(n, k, 4 * down, 4 * across)
    return y[:, :, :out_h, :out_w]


def arguments(op: str, label: str) -> tuple[Any, ...]:
    """The operator's arguments and options, and those of the convolution that they amount to."""
    x_shape, w_shape, padding, groups = GEOMETRIES[label]
    options: dict[str, Any] = {"padding": padding, "groups": groups}
    x, weight = normal(*x_shape), normal(*w_shape, seed=1)
    if op == "conv2d":
        return (x, weight), options, (x, weight, padding, groups)
    dy = normal(*reference.conv2d(x, weight, **options).shape, seed=2)
    pads = padding if isinstance(padding, tuple) else ((padding,) * 2,) * 2
    filters, channels = w_shape[0] // groups, w_shape[1]
    turned = weight[:, :, ::-1, ::-1].reshape(groups, filters, channels, 3, 3).swapaxes(1, 2).reshape(-1, filters, 3, 3)
    turned_pads = tuple(tuple(2 - p for p in pair) for pair in pads)
    return (dy, weight, x_shape), options, (dy, turned, turned_pads, groups)


def way(op: str, label: str) -> str:
    """How the operator computes that case with precision "high"."""
    x, weight, padding, groups = GEOMETRIES[label]
    with dipkernels.precision("high"):
        return dipkernels.explain(op, x, weight, 1, padding, 1, groups).partition(":")[0]


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_matches_oracle(op: str, label: str, isa: str) -> None:
    if isa == "amx":
        return
    assert way(op, label) == "winograd"
    args, options, equal = arguments(op, label)
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in args]
    expected = getattr(reference, op)(*wide, **options)
    error = getattr(ops, op)(*args, **options, precision="high") - expected
    # Every number is transformed twice, with six roundings at most each time, before and after the sum.
    crop = [(max(-p, 0), max(-q, 0)) for p, q in equal[2]] if isinstance(equal[2], tuple) else [(0, 0)] * 2
    source = equal[0][:, :, crop[0][0] : equal[0].shape[2] - crop[0][1], crop[1][0] : equal[0].shape[3] - crop[1][1]]
    pads = tuple(tuple(max(p, 0) for p in pair) for pair in equal[2]) if isinstance(equal[2], tuple) else equal[2]
    limit = (equal[1].shape[1] + 36) * UNIT * magnitude(source, equal[1], pads, equal[3])
    assert (np.abs(error) <= limit).all()
    # Which leaves room for faults that are small beside all other terms.
    assert np.sqrt(np.mean(error**2)) < 2.0**-18 * np.sqrt(np.mean(expected**2))
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
        return
    for which in (0, 1):
        args, options, _ = arguments(op, "remainders")
        args[which][(1, 1) + (1,) * (args[which].ndim - 2)] = value
        np.testing.assert_array_equal(
            getattr(ops, op)(*args, **options, precision="high"), getattr(ops, op)(*args, **options)
        )


def test_empty_batch() -> None:
    x, weight = np.zeros((0, 32, 8, 8), np.float32), normal(32, 32, 3, 3)
    assert ops.conv2d(x, weight, precision="high").shape == (0, 32, 6, 6)
