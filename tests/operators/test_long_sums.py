"""Sums as long as an image or a batch is large: ones add up to their number, and random numbers within the bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases.case import UNIT
from support.device_ops import DEVICE, ops

# On the emulated GPU everything takes longer: a sum of as many, by a small window.
SIDE = 5000 if DEVICE == "cpu" else 300
COUNT = SIDE * SIDE


@pytest.fixture(scope="module")
def ones() -> Any:
    return np.ones((1, 1, SIDE, SIDE), np.float32)


def test_pooling(ones: Any) -> None:
    assert ops.avg_pool2d(ones, SIDE).item() == 1
    assert ops.sum_pool2d(ones, SIDE).item() == COUNT
    assert ops.l2_pool2d(ones, SIDE).item() == SIDE
    assert ops.upsample_nearest2d_backward(ones, SIDE).item() == COUNT


def test_pooling_backward() -> None:
    # 150² windows over the middle, by the largest window that has so many.
    dy = np.full((1, 1, 150, 150), np.float32(1 / 3))
    exact = 22500 * np.float64(dy[0, 0, 0, 0])
    size = (1, 1, 299, 299)
    assert abs(ops.sum_pool2d_backward(dy, size, 150, 1)[0, 0, 149, 149] - exact) <= 80 * UNIT * exact
    assert abs(ops.avg_pool2d_backward(dy, size, 150, 1)[0, 0, 149, 149] - exact / 22500) <= 80 * UNIT * exact / 22500


def test_equal_indices(ones: Any) -> None:
    indices = np.full(ones.shape, 3, np.int32)
    assert ops.max_unpool2d(ones, indices, output_size=(2, 2))[0, 0, 1, 1] == COUNT
    assert ops.max_pool2d_backward(ones, indices, (2, 2))[0, 0, 1, 1] == COUNT


@pytest.mark.skipif(DEVICE == "emulated", reason="one thread of the emulation adds all of a product's sum")
def test_convolution_and_linear(ones: Any) -> None:
    row, column = ones.reshape(1, -1), ones.reshape(-1, 1)
    assert ops.conv2d(ones, ones).item() == COUNT
    assert ops.conv2d_backward_data(row[..., None, None], column[..., None, None], (1, 1, 1, 1)).item() == COUNT
    assert ops.conv2d_backward_weight(ones, ones, (1, 1, 1, 1)).item() == COUNT
    assert ops.conv2d_backward_bias(ones).item() == COUNT
    assert ops.linear(row, row).item() == COUNT
    assert ops.linear_backward_data(row, column).item() == COUNT
    assert ops.linear_backward_weight(column, column).item() == COUNT
    assert ops.linear_backward_bias(column).item() == COUNT


def test_depthwise_weight_gradient() -> None:
    N = 64 if DEVICE == "cpu" else 3
    rng = np.random.default_rng(0)
    x, dy = rng.random((N, 4, 60, 60), np.float32), rng.random((N, 4, 60, 60), np.float32)
    got = ops.conv2d_backward_weight(dy, x, (4, 1, 1, 1), groups=4).ravel()
    exact = np.einsum("nchw,nchw->c", dy.astype(np.float64), x.astype(np.float64))
    # CPU: sixteenths of the sum, each in as many parts as a vector has lanes (one on the smallest); GPU: pieces of 64.
    terms = N * 3600 / 16 / 4 if DEVICE == "cpu" else 80
    assert (np.abs(got - exact) <= terms * UNIT * exact).all()


def test_softmax(ones: Any) -> None:
    row = ones.reshape(1, -1)
    np.testing.assert_allclose(ops.softmax(row), 1 / COUNT, rtol=80 * UNIT)
    np.testing.assert_allclose(ops.log_softmax(row), -np.log(COUNT), rtol=80 * UNIT)
    assert np.abs(ops.softmax_backward(row, ops.softmax(row))).max() <= 160 * UNIT
    assert abs(ops.cross_entropy(row, np.array([0])) - np.log(COUNT)) <= 80 * UNIT * np.log(COUNT)
    assert ops.hinge_loss(row, np.array([0])) == np.float32(COUNT - 1)
