"""The examples in the docstrings of the installed package, and that every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import dipkernels

MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(dipkernels.__path__, "dipkernels.")
    if not m.name.endswith(("__main__", "_cpu", "_cuda", "_cuda_emulated"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module, extraglobs={"np": np}, verbose=False).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for key, value in vars(module).items():
        if key.startswith("_") or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        if value.__module__ == name:
            assert value.__doc__, f"{name}.{key} has no docstring"
