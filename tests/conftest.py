"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module

import pytest

import dipkernels

EMULATED = os.environ.get("DIPKERNELS_BACKEND") == "cuda_emulated"


@pytest.fixture(params=["seed1", "seed2"] if EMULATED else dipkernels.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test once on every instruction set of the machine; emulated, with two orders of a block's threads."""
    if EMULATED:
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
