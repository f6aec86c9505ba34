"""Cases of every operator: arguments and error bounds, shared by all tests that run every operator."""

import importlib
import pkgutil

from cases.case import Case

_MODULES = [importlib.import_module(f"cases.{module.name}") for module in pkgutil.iter_modules(__path__)]
ALL: list[Case] = [case for module in _MODULES for case in getattr(module, "CASES", [])]
