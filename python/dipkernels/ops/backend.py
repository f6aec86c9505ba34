"""Chooses the compiled module by where an array lives: `_cpu` for NumPy arrays, `_cuda` for GPU arrays."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

HOST_BACKENDS = {"": "_cpu", "cpu": "_cpu", "cuda_emulated": "_cuda_emulated"}

FloatArray: TypeAlias = npt.NDArray[np.float32]
IndexArray: TypeAlias = npt.NDArray[np.int32]
LabelArray: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.int32]

_DLPACK_CPU = 1


def _host_backend() -> ModuleType:
    """The module for NumPy arrays: `_cpu`, or by DIPKERNELS_BACKEND, for tests, the CUDA kernels emulated."""
    name = os.environ.get("DIPKERNELS_BACKEND", "")
    if name not in HOST_BACKENDS:
        raise ValueError(f"environment variable DIPKERNELS_BACKEND must be cpu or cuda_emulated, got {name!r}")
    return importlib.import_module(f"dipkernels.{HOST_BACKENDS[name]}")


_host = _host_backend()


def _on_gpu(array: Any) -> bool:
    if hasattr(array, "__cuda_array_interface__"):
        return True
    device = getattr(array, "__dlpack_device__", None)
    return device is not None and device()[0] != _DLPACK_CPU


def backend_of(op: str, *arrays: Any) -> ModuleType:
    """The compiled module that serves these arrays; None stands for an argument that is not given.

    Raises
    ------
    RuntimeError
        An array lives on a GPU, and this installation has no CUDA backend.
    """
    for array in arrays:
        if type(array) is not np.ndarray and array is not None and _on_gpu(array):
            raise RuntimeError(
                f"{op}: got an array on a GPU, but this installation of dipkernels has no CUDA backend; "
                "`dipkernels info` shows what it has. Move the array to the host, for example with .cpu().numpy()"
            )
    return _host


def shape_of(op: str, name: str, array: Any) -> tuple[int, ...]:
    """The shape of an array argument; TypeError where it is no array."""
    if not hasattr(array, "shape"):
        raise TypeError(f"{op}: {name} must be a numpy.ndarray, got {type(array).__name__}")
    return tuple(array.shape)
