"""One infinite or NaN number spoils what it meets and nothing beside it, in every way to convolve, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from cases.conv import GEOMETRIES
from dipkernels import reference
from support.device_ops import DEVICE, ops
from support.oracles import check_what_a_number_spoils
from support.properties import kinds

INF, NAN = np.float32(np.inf), np.float32(np.nan)

pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")


def test_what_a_transposed_convolution_does_not_reach_stays_finite(isa: str) -> None:
    weight = np.float32([[[[INF, 1], [1, 1]]]])
    dx = ops.conv2d_backward_data(np.ones((1, 1, 1, 1), np.float32), weight, (1, 1, 2, 2))
    np.testing.assert_array_equal(dx, weight)


def test_depthwise_weight_gradient(isa: str) -> None:
    x = np.ones((1, 2, 5, 3), np.float32)
    x[0, 0, 0, 1] = INF
    dweight = ops.conv2d_backward_weight(np.ones((1, 2, 3, 1), np.float32), x, (2, 1, 3, 3), groups=2)
    np.testing.assert_array_equal(dweight[0, 0, 0], [3, INF, 3])


# On a GPU an infinity is test enough below the highest precision: where it meets a zero the kernels have a NaN to mend.
EVERY_WAY = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name in ("highest", "high", "medium")
    for number in (INF, NAN)
    if DEVICE == "cpu" or name == "highest" or number == INF
]


@pytest.mark.parametrize(("name", "number"), EVERY_WAY)
@pytest.mark.parametrize("label", [g for g in GEOMETRIES if g not in ("empty_batch", "large_image")])
def test_every_way(label: str, name: Any, number: np.float32, isa: str) -> None:
    check_what_a_number_spoils("conv2d", label, GEOMETRIES[label], name, number)


@pytest.mark.skipif(DEVICE != "cpu", reason="a way of the CPU")
@pytest.mark.parametrize("label", [g for g in GEOMETRIES if g not in ("empty_batch", "large_image")])
def test_lanes_multiply_no_padding(label: str, isa: str, ask: Callable[[str], None]) -> None:
    """So that nobody looks whether the weights are finite."""
    ask("lanes")
    for number in (INF, NAN):
        check_what_a_number_spoils("conv2d", label, GEOMETRIES[label], "highest", number)


@pytest.mark.parametrize("number", [INF, NAN], ids=["inf", "nan"])
@pytest.mark.parametrize("spoiled", ["x", "weight", "dy"])
@pytest.mark.parametrize("N", [2, 40])
def test_convolution_and_pooling_in_one(N: int, spoiled: str, number: np.float32, isa: str) -> None:
    arrays = {"x": normal(N, 2, 8, 10), "weight": normal(5, 2, 3, 3, seed=1), "dy": normal(N, 5, 4, 5, seed=2)}
    arrays[spoiled].flat[7] = number
    x, weight, dy = arrays.values()
    y, indices = ops.conv2d_max_pool2d(x, weight, padding=1)
    expected, expected_indices = reference.conv2d_max_pool2d(x, weight, padding=1)
    np.testing.assert_array_equal(kinds(y), kinds(expected))
    np.testing.assert_array_equal(indices[kinds(y) > 0], expected_indices[kinds(y) > 0])
    gradients = ops.conv2d_max_pool2d_backward(dy, indices, x, weight, padding=1)
    expected_gradients = reference.conv2d_max_pool2d_backward(dy, indices, x, weight, padding=1)
    for got, want in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_array_equal(kinds(got), kinds(want))


@pytest.mark.skipif(DEVICE == "cpu", reason="numbers of 16 bits are for the GPU")
@pytest.mark.parametrize("label", ["vgg", "images", "channels", "channels_stride", "asymmetric", "lenet1"])
def test_numbers_of_16_bits(label: str, isa: str) -> None:
    x_size, weight_size, stride, padding, dilation, groups, rounding = GEOMETRIES[label]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    x, weight = normal(*x_size).astype(np.float16), normal(*weight_size, seed=1).astype(np.float16)
    weight.flat[3] = NAN
    np.testing.assert_array_equal(
        kinds(ops.conv2d(x, weight, **options)), kinds(reference.conv2d(x, weight, **options))
    )
    dy = normal(*reference.conv2d(x, weight, **options).shape, seed=2).astype(np.float16)
    got = ops.conv2d_backward_data(dy, weight, x_size, **options)
    np.testing.assert_array_equal(kinds(got), kinds(reference.conv2d_backward_data(dy, weight, x_size, **options)))


ACTIVATIONS = ["relu", "elu", "leaky_relu", "sigmoid", "tanh", "step"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_of_activations(name: str, isa: str) -> None:
    """NaN where y is NaN; 0 where the activation is flat, whatever dy; else what the formula gives."""
    y = np.float32([NAN, NAN, -0.5, 0.0, 0.5, 0.5, 1.0])
    dy = np.float32([1, INF, NAN, INF, NAN, INF, 2])
    got = getattr(ops, f"{name}_backward")(np.tile(dy, 9), np.tile(y, 9))
    np.testing.assert_array_equal(kinds(got), np.tile(kinds(getattr(reference, f"{name}_backward")(dy, y)), 9))
    assert np.isnan(got[:2]).all()
    if name in ("relu", "step"):
        np.testing.assert_array_equal(got[2:4], 0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 9), (3, 3), (20, 40)])
def test_warping_reads_no_more_than_its_taps(size: tuple[int, int], interpolation: Any, isa: str) -> None:
    """At the border too, where the kernels take elements along that have no weight."""
    x, dy = normal(1, 2, *size), normal(1, 2, 8, 35, seed=1)
    flow = np.float32(2.5) * normal(1, 2, 8, 35, seed=2) + np.float32(0.01)  # between the elements
    y = ops.warp(x, flow, interpolation)
    dx, dflow = ops.warp_backward(dy, x, flow, interpolation)
    elements, results = np.prod(size), dy[0, 0].size
    rng = np.random.default_rng(3)
    for number in (INF, NAN):
        for at in {0, elements - 1, *rng.integers(elements, size=8).tolist()}:
            only, spoiled = np.zeros_like(x), x.copy()
            only[0, 0].flat[at] = 1
            spoiled[0, 0].flat[at] = number
            reads = reference.warp(only, flow, interpolation)[0, 0] != 0
            got, clean = ops.warp(spoiled, flow, interpolation)[0, 0], y[0, 0]
            np.testing.assert_array_equal(np.isfinite(got), ~reads)
            np.testing.assert_allclose(got[~reads], clean[~reads], rtol=1e-5, atol=1e-6)  # sums in another order
            got = ops.warp_backward(dy, spoiled, flow, interpolation)[1][0]
            np.testing.assert_array_equal(np.isfinite(got).all(0), ~reads)
            np.testing.assert_allclose(got[:, ~reads], dflow[0][:, ~reads], rtol=1e-5, atol=1e-4)
        for at in rng.integers(results, size=12).tolist():
            only, spoiled = np.zeros_like(dy), dy.copy()
            only[0, 0].flat[at] = 1
            spoiled[0, 0].flat[at] = number
            takes = reference.warp_backward(only, x, flow, interpolation)[0][0, 0] != 0
            got = ops.warp_backward(spoiled, x, flow, interpolation)[0][0, 0]
            np.testing.assert_array_equal(np.isfinite(got), ~takes)
            np.testing.assert_allclose(got[~takes], dx[0, 0][~takes], rtol=1e-5, atol=1e-4)
