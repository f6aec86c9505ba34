"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

import dipkernels
from device_ops import DEVICE

VARIANTS = {
    "cpu": [isa for isa in dipkernels.available_isas() if isa != "avx512_bf16"],
    "cuda": ["cuda"],
    "emulated": ["seed1", "seed2"],
}


@pytest.fixture(params=VARIANTS[DEVICE])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test on every instruction set of the machine; on the GPU once; emulated, in two orders of the threads."""
    if DEVICE != "cpu":
        if DEVICE == "emulated":
            import_module("dipkernels._cuda_emulated").set_seed(int(request.param[-1]))
        yield request.param
        return
    before = dipkernels.isa()
    dipkernels.set_isa(request.param)
    yield request.param
    dipkernels.set_isa(before)


@pytest.fixture
def restore_threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = dipkernels.num_threads()
    yield
    dipkernels.set_num_threads(before)
