"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import dipkernels


@pytest.fixture(params=dipkernels.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test once on every instruction set of the machine."""
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
