"""Chooses the compiled module by where the arrays live: `_cpu` for NumPy arrays, `_cuda` for arrays on a GPU."""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipkernels import _cpu, cuda

FloatArray: TypeAlias = npt.NDArray[np.float32]
IndexArray: TypeAlias = npt.NDArray[np.int32]
LabelArray: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.int32]


def backend_of(op: str, *arrays: Any) -> ModuleType:
    """The compiled module that serves these arrays; None stands for an argument that is not given.

    Raises
    ------
    RuntimeError
        An array lives on a GPU, and this installation has no CUDA backend.
    """
    for array in arrays:
        if type(array) is not np.ndarray and array is not None and cuda.is_on_gpu(array):
            return cuda.backend(op)
    return _cpu


def shape_of(op: str, name: str, array: Any) -> tuple[int, ...]:
    """The shape of an array argument; TypeError where it is no array."""
    if not hasattr(array, "shape"):
        raise TypeError(f"{op}: {name} must be a numpy.ndarray, got {type(array).__name__}")
    return tuple(array.shape)


def to_host(array: Any) -> npt.NDArray[Any]:
    """A NumPy copy of an array of either kind."""
    return np.array(array) if isinstance(array, np.ndarray) else array.to_host()


def zeros_like(array: Any) -> Any:
    """Zeros of the same shape and dtype, where `array` lives."""
    return np.zeros_like(array) if isinstance(array, np.ndarray) else array.zeros_like()


def assign(array: Any, values: npt.NDArray[Any]) -> None:
    """Overwrites all elements of an array of either kind."""
    if isinstance(array, np.ndarray):
        array[...] = values
    else:
        array.set(np.ascontiguousarray(values))
