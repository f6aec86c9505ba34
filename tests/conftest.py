"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import dipkernels
from dipkernels import _cpu
from support.device_ops import DEVICE, backend

VARIANTS = {
    "cpu": [isa for isa in dipkernels.available_isas() if isa != "avx512_bf16"],
    "cuda": ["fma", "tensor"],
    "emulated": ["fma", "tensor"],
}


@pytest.fixture(params=VARIANTS[DEVICE])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test on every instruction set of the machine; on a GPU with both kinds of float32 products, and emulated
    each in another order of the threads.
    """
    if DEVICE != "cpu":
        module = backend()
        module.set_float32_products(request.param)
        if DEVICE == "emulated":
            module.set_seed(VARIANTS[DEVICE].index(request.param))
        yield request.param
        module.set_float32_products("auto")
        return
    before = dipkernels.isa()
    dipkernels.set_isa(request.param)
    yield request.param
    dipkernels.set_isa(before)


@pytest.fixture
def ask() -> Iterator[Callable[[str], None]]:
    """Asks for a way to convolve on the CPU, whatever it costs there."""
    yield _cpu.set_conv_way
    _cpu.set_conv_way("auto")


@pytest.fixture
def restore_threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = dipkernels.num_threads()
    yield
    dipkernels.set_num_threads(before)
