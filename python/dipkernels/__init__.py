"""Hand-written kernels for convolutional networks, and the model suite of an image-processing lecture.

`dipkernels.ops` has the kernels, re-exported here; `dipkernels.reference` the same functions as plain NumPy in float64;
`dipkernels.cuda` arrays on the GPU; `dipkernels.nn`, `models`, `detection`, `train`, `data`, `metrics` and `viz` build
on them.
"""

import importlib
from typing import Any

from dipkernels import cuda, ops
from dipkernels.ops import *  # noqa: F403
from dipkernels.ops.explain import explain
from dipkernels.ops.precision import precision
from dipkernels.runtime import available_isas, free_memory, info, isa, num_threads, set_isa, set_num_threads

__version__ = "0.1.0"

_PACKAGES = ("data", "detection", "metrics", "models", "nn", "reference", "train", "viz")


def __getattr__(name: str) -> Any:
    """The packages that build on the kernels, imported when they are first used."""
    if name in _PACKAGES:
        return importlib.import_module(f"dipkernels.{name}")
    raise AttributeError(f"module 'dipkernels' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES, "__version__"])


__all__ = [
    "available_isas",
    "cuda",
    "explain",
    "free_memory",
    "info",
    "isa",
    "num_threads",
    "precision",
    "set_isa",
    "set_num_threads",
    *ops.__all__,
]
