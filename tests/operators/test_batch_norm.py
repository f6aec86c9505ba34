"""The running averages of batch normalisation, which it updates in place."""

from __future__ import annotations

import numpy as np
import pytest

from cases.batch_norm import ERROR
from cases.case import UNIT, normal
from dipkernels import reference
from support.device_ops import ops


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_running_averages_take_in_the_batch(momentum: float, isa: str) -> None:
    x = normal(6, 3, 5, 4) * np.float32(3) + np.float32(2)
    mean, var = normal(3, seed=1), np.abs(normal(3, seed=2))
    expected_mean, expected_var = mean.astype(np.float64), var.astype(np.float64)
    reference.batch_norm_with_stats(x, expected_mean, expected_var, momentum=momentum)
    ops.batch_norm_with_stats(x, mean, var, momentum=momentum)
    np.testing.assert_allclose(mean, expected_mean, rtol=0, atol=ERROR * UNIT * 10)
    np.testing.assert_allclose(var, expected_var, rtol=ERROR * UNIT * 2)


def test_an_empty_batch_leaves_them_alone() -> None:
    mean, var = np.float32([1, 2]), np.float32([3, 4])
    y, batch_mean, batch_var = ops.batch_norm_with_stats(np.zeros((0, 2, 3), np.float32), mean, var)
    assert y.shape == (0, 2, 3)
    for array, values in ((mean, [1, 2]), (var, [3, 4]), (batch_mean, [0, 0]), (batch_var, [0, 0])):
        np.testing.assert_array_equal(array, np.float32(values))


def test_the_variance_loses_nothing_to_a_large_mean(isa: str) -> None:
    """Numbers 1 apart, near 2²³: a sum of squares less the square of the mean would leave nothing of them."""
    x = np.float32([2**23, 2**23 + 1, 2**23 + 2, 2**23 + 3]).reshape(2, 1, 2)
    _, mean, var = ops.batch_norm_with_stats(x)
    assert (mean.item(), var.item()) == (2**23 + 2, 1.25)


def test_not_a_number_stays_in_its_channel(isa: str) -> None:
    x = normal(2, 3, 40)
    x[1, 1, 7] = np.nan
    y, mean, var = ops.batch_norm_with_stats(x)
    for array in (mean, var, y.sum((0, 2))):
        np.testing.assert_array_equal(np.isnan(array), [False, True, False])
