"""The emulation's counters of memory accesses, against what is known of simple kernels and what Nsight Compute counted.

They need a build with counters: `.ci/counters` makes one and runs this file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import cuda, ops
from support.device_ops import DEVICE, backend

pytestmark = pytest.mark.skipif(DEVICE != "emulated", reason="counts on the emulation")

LOAD, STORE, SHARED_LOAD, SHARED_STORE = range(4)


def counted(run: Callable[[], Any]) -> list[dict[int, list[int]]]:
    """For each kernel by memory: requests, sectors or wavefronts, the least of these, bytes, lanes."""
    backend().take_counts()
    run()
    kernels, places, _ = backend().take_counts()
    if not kernels:
        pytest.skip("this build of the emulation has no counters; .ci/counters makes one")
    found: dict[int, dict[int, list[int]]] = {offset: defaultdict(lambda: [0] * 5) for offset, *_ in kernels}
    for kernel, _, memory, *total in places:
        found[kernel][memory] = [a + b for a, b in zip(found[kernel][memory], total, strict=True)]
    return list(found.values())


@pytest.fixture(autouse=True)
def as_on_an_h100() -> Iterator[None]:
    backend().set_multiprocessors(132)
    yield
    backend().set_multiprocessors(4)


def test_whole_numbers_side_by_side_use_whole_sectors() -> None:
    """65,536 numbers, four for each lane: 512 requests of 16 sectors."""
    x = cuda.to_device(normal(1 << 16))
    (kernel,) = counted(lambda: ops.relu(x))
    for memory in (LOAD, STORE):
        assert kernel[memory] == [512, 8192, 8192, 1 << 18, 512 * 32]


def test_numbers_that_lie_apart_use_little_of_a_sector() -> None:
    """The gradient of a linear layer's bias reads columns; a bed of nails, every fourth row and column."""
    y = cuda.to_device(normal(1, 1, 64, 64))
    (kernel,) = counted(lambda: ops.bed_of_nails2d_backward(y, 4))
    requests, sectors, least, used, lanes = kernel[LOAD]
    assert lanes == 256
    assert requests == 8
    assert sectors == 16 * 8  # 16 columns of 16 bytes: two numbers of a sector, in two rows
    assert used == 4 * 256
    assert least < sectors


def test_what_nsight_counted() -> None:
    """On an H200 of 1,024 images, here a quarter; on an H100 of a product. Requests and sectors are the same.

    Wavefronts of shared memory differ a little: nvcc keeps some numbers in registers that clang loads again.
    """
    backend().set_multiprocessors(33)
    images, filters = cuda.to_device(normal(256, 6, 14, 14)), cuda.to_device(normal(16, 6, 5, 5))
    (kernel,) = counted(lambda: ops.conv2d(images, filters))
    backend().set_multiprocessors(132)
    assert 4 * (kernel[LOAD][1] + kernel[STORE][1]) == 651_264
    assert 4 * kernel[SHARED_LOAD][0] == 1_597_440
    assert 4 * (kernel[SHARED_LOAD][1] + kernel[SHARED_STORE][1]) == pytest.approx(3_369_216, rel=0.01)

    image, weight = cuda.to_device(normal(1, 64, 56, 56)), cuda.to_device(normal(64, 64, 3, 3))
    backend().set_float32_products("fma")
    backend().set_gemm_tile("64x64")
    try:
        (kernel,) = counted(lambda: ops.conv2d(image, weight, padding=1))
    finally:
        backend().set_gemm_tile("auto")
        backend().set_float32_products("auto")
    assert kernel[LOAD][1] + kernel[STORE][1] == 505_984
    assert kernel[SHARED_LOAD][1] + kernel[SHARED_STORE][1] == pytest.approx(1_805_483, rel=0.03)


def test_a_build_without_counters_counts_nothing() -> None:
    if backend().take_counts()[0]:
        pytest.skip("this build counts")
    ops.relu(cuda.to_device(np.ones(3, np.float32)))
    kernels, places, events = backend().take_counts()
    assert bool(kernels) == bool(places)
    assert not events
