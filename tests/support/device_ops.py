"""The operators under test, on the device under test: the CPU, or a GPU where DIPKERNELS_DEVICE is set.

On a GPU (DIPKERNELS_DEVICE=cuda) or its emulation (emulated) each call of an operator uploads its NumPy arguments, with
their strides, overlaps, dtypes and read-only flags, calls the operator, and copies results and arguments back: a test
is written once, for NumPy.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import dipkernels

# Where a GPU is required, its tests run on it, or fail.
DEVICE = os.environ.get("DIPKERNELS_DEVICE", "cuda" if os.environ.get("DIPKERNELS_REQUIRE_CUDA") == "1" else "cpu")


def backend() -> Any:
    """The compiled module of the GPU or its emulation, for the switches that `dipkernels` does not show."""
    return importlib.import_module("dipkernels._cuda" if DEVICE == "cuda" else "dipkernels._cuda_emulated")


def byte_bounds(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """The addresses of the first byte of an array and of the first after it."""
    low = high = array.ctypes.data
    for extent, stride in zip(array.shape, array.strides, strict=True):
        reach = max(extent - 1, 0) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + array.itemsize * (array.size > 0)


class CudaView:
    """An array in GPU memory as other libraries show theirs: any dtype, any strides."""

    def __init__(self, array: np.ndarray[Any, Any], memory: Any, offset: int) -> None:
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype
        self.memory, self.array, self.offset = memory, array, offset
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (memory.__cuda_array_interface__["data"][0] + offset, not array.flags.writeable),
            "strides": array.strides,
            "version": 3,
        }

    def reshape(self, shape: tuple[int, ...]) -> CudaView:
        return CudaView(self.array.reshape(shape), self.memory, self.offset)


class Upload:
    """Uploads arrays; those that overlap in host memory overlap on the GPU."""

    def __init__(self, arrays: list[np.ndarray[Any, Any]]) -> None:
        self.pieces: list[tuple[int, int, Any]] = []
        merged: list[list[int]] = []
        for low, high in sorted(byte_bounds(a) for a in arrays):
            low -= low % 8  # keeps the alignment of every element
            if merged and low < merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        for low, high in merged:
            raw = np.zeros((high - low + 3) // 4, np.int32)
            ctypes.memmove(raw.ctypes.data, low, high - low)
            self.pieces.append((low, high, dipkernels.cuda.to_device(raw)))

    def view(self, array: np.ndarray[Any, Any]) -> CudaView:
        address = byte_bounds(array)[0]
        for low, high, memory in self.pieces:
            if low <= address <= high:
                return CudaView(array, memory, array.ctypes.data - low)
        raise AssertionError("an array was not uploaded")

    def download(self, views: list[CudaView]) -> None:
        for low, high, memory in self.pieces:
            # A read-only or broadcast array has nothing to take back.
            if all(v.array.flags.writeable for v in views if v.memory is memory):
                raw = memory.to_host()
                ctypes.memmove(low, raw.ctypes.data, high - low)


def collect(argument: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(argument, np.ndarray):
        return [argument]
    return [a for each in argument for a in collect(each)] if isinstance(argument, list) else []


def to_views(argument: Any, upload: Upload, views: list[CudaView]) -> Any:
    if isinstance(argument, np.ndarray):
        views.append(upload.view(argument))
        return views[-1]
    return [to_views(each, upload, views) for each in argument] if isinstance(argument, list) else argument


def to_numpy(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(to_numpy(each) for each in result)
    if isinstance(result, CudaView):
        return result.array
    if isinstance(result, dipkernels.cuda.DeviceArray):
        return result.item() if result.dtype == "float64" else result.to_host()  # a loss is float64
    return result


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        upload = Upload(collect([*args, *kwargs.values()]))
        views: list[CudaView] = []
        result = function(
            *(to_views(a, upload, views) for a in args),
            **{name: to_views(value, upload, views) for name, value in kwargs.items()},
        )
        dipkernels.cuda.synchronize()
        upload.download(views)
        return to_numpy(result)

    return call


ops: Any = dipkernels.ops
if DEVICE != "cpu":
    ops = SimpleNamespace(__all__=dipkernels.ops.__all__)
    for _name in dipkernels.ops.__all__:
        setattr(ops, _name, on_device(getattr(dipkernels.ops, _name)))
