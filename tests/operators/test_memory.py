"""The memory of results: kept from dropped ones, never given out while anyone can see it."""

from __future__ import annotations

import gc
import pickle

import numpy as np

import dipkernels
from cases.case import normal
from dipkernels import ops

X = normal(4, 64, 64)  # 64 KB: large enough to be kept


def address(array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    return int(array.ctypes.data)


def test_a_dropped_result_makes_room_for_the_next() -> None:
    gc.collect()  # what tests before this one dropped, in circles, would make room, too
    first = address(ops.relu(X))
    second = ops.relu(X)
    assert address(second) == first
    assert address(second) % 64 == 0
    np.testing.assert_array_equal(second, np.maximum(X, 0))


def test_memory_that_anyone_sees_is_not_given_out() -> None:
    kept = [ops.relu(X + i) for i in range(8)]
    assert len({address(y) for y in kept}) == 8
    view = kept.pop(3)[1:, ::2]
    del kept[5:]
    others = [ops.relu(-X) for _ in range(8)]
    assert not {address(y) for y in others} & {address(y) for y in kept}
    np.testing.assert_array_equal(view, np.maximum(X + 3, 0)[1:, ::2])
    for i, y in zip((0, 1, 2, 4, 5), kept, strict=True):
        np.testing.assert_array_equal(y, np.maximum(X + i, 0))


def test_results_are_ordinary_arrays() -> None:
    y = ops.relu(X)
    assert type(y) is np.ndarray
    assert y.flags.writeable
    assert y.flags.c_contiguous
    y[0] = 7
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(y)), y)
    large = ops.relu(np.ones((1 << 21,), np.float32))  # in huge pages
    assert large.sum() == 1 << 21


def test_kept_memory_can_be_freed() -> None:
    y = ops.relu(X)
    expected = y.copy()
    del y
    z = ops.relu(X)
    dipkernels.free_memory()
    dipkernels.free_memory()
    np.testing.assert_array_equal(z, expected)
    np.testing.assert_array_equal(ops.relu(X), expected)
