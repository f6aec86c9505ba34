"""Where a benchmark runs: how NumPy data become the competitors' arrays there, and how time is taken."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch

from bench.timing import interleaved
from dipkernels import cuda

BY_WARPS = " by warps"


class Cpu:
    """NumPy arrays for dipkernels, tensors over the same memory for PyTorch."""

    name = "cpu"
    images = 16  # the batch of the larger convolutions
    precisions: tuple[str, ...] = ("highest", "high", "medium")

    def choose(self, precision: str) -> None:
        """Sets what an operator's arguments do not say of this one of the precisions."""

    def ours(self, array: np.ndarray[Any, Any]) -> Any:
        """What dipkernels gets."""
        return array

    def theirs(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """What PyTorch gets."""
        return torch.from_numpy(array)

    def exactly(self, result: Any) -> torch.Tensor:
        """A result of either, in float64."""
        return torch.as_tensor(result).double()

    def times(self, *functions: Callable[[], Any]) -> list[float]:
        """The median seconds of each."""
        return interleaved(*functions)

    def kernel_times(self, ours: Callable[[], Any], theirs: list[Callable[[], Any]]) -> list[float]:
        """The seconds of ours and of each of theirs without what a call costs the host; none where that is the same."""
        return []


class _Warpgroups:
    """What both GPUs, the real one and the emulated, can choose."""

    backend: Any

    def choose(self, precision: str) -> None:
        """Whether warpgroups multiply, where there are any, or warps."""
        self.backend.set_warpgroups(not precision.endswith(BY_WARPS))


class Gpu(_Warpgroups):
    """The same CUDA tensors for both: dipkernels takes PyTorch's without a copy. Times are the GPU's own."""

    name = "cuda"
    images = 64
    precisions: tuple[str, ...] = ("highest", "high", "medium", "bfloat16")

    def __init__(self) -> None:
        torch.backends.cudnn.benchmark = True
        self.backend = import_module("dipkernels._cuda")

    def ours(self, array: np.ndarray[Any, Any]) -> Any:
        """What dipkernels gets."""
        return self.theirs(array)

    def theirs(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """What PyTorch gets."""
        return torch.from_numpy(array).cuda()

    def exactly(self, result: Any) -> torch.Tensor:
        """A result of either, in float64, where it is."""
        return (result if isinstance(result, torch.Tensor) else torch.from_dlpack(result)).double()

    def times(self, *functions: Callable[[], Any], turns: int = 12) -> list[float]:
        """The median seconds of each, in turns of at least a millisecond between two events."""
        times: list[list[float]] = [[] for _ in functions]
        counts = []
        for function in functions:
            for _ in range(3):
                function()
            torch.cuda.synchronize()
            start = time.perf_counter()
            function()
            torch.cuda.synchronize()
            counts.append(max(1, min(50, int(2e-3 / (time.perf_counter() - start)))))
        for _ in range(turns):
            for function, count, own in zip(functions, counts, times, strict=True):
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                for _ in range(count):
                    function()
                end.record()
                end.synchronize()
                own.append(begin.elapsed_time(end) / 1e3 / count)
        return [statistics.median(own) for own in times]

    def kernel_times(self, ours: Callable[[], Any], theirs: list[Callable[[], Any]]) -> list[float]:
        """The same for calls that were captured in a graph and are replayed: what the GPU alone takes.

        infinity for what PyTorch cannot capture.
        """
        return [self._replayed(self._capture_ours, ours), *(self._replayed(self._capture_theirs, f) for f in theirs)]

    def _replayed(self, capture: Callable[[Callable[[], Any], int], Any], function: Callable[[], Any]) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        torch.cuda.synchronize()
        together = max(1, min(10, int(1e-3 / (time.perf_counter() - start))))
        try:
            graph = capture(function, together)
        except RuntimeError:
            torch.cuda.synchronize()
            return float("inf")
        graph.replay()
        (seconds,) = self.times(graph.replay, turns=5)
        return seconds / together

    def _capture_ours(self, function: Callable[[], Any], together: int) -> Any:
        graph = cuda.Graph()
        with graph:
            for _ in range(together):
                function()
        return graph

    def _capture_theirs(self, function: Callable[[], Any], together: int) -> Any:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            function()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(together):
                function()
        return graph


class Rehearsal(_Warpgroups, Cpu):
    """The GPU's benchmark on its emulation, at toy sizes: it shows that everything runs. Its figures mean nothing."""

    name = "rehearsal"
    images = 1
    precisions = Gpu.precisions

    def __init__(self) -> None:
        if os.environ.get("DIPKERNELS_DEVICE") != "emulated":
            sys.exit("this runs on the emulation: set DIPKERNELS_DEVICE=emulated")
        try:
            self.backend = import_module("dipkernels._cuda_emulated")
        except ModuleNotFoundError:
            sys.exit("this runs on the emulation, which cmake -S csrc -DDIPKERNELS_EMULATION=ON builds")

    def ours(self, array: np.ndarray[Any, Any]) -> Any:
        """What dipkernels gets."""
        return cuda.to_device(array)

    def exactly(self, result: Any) -> torch.Tensor:
        """A result of either, in float64."""
        host = result.astype("float32").to_host() if isinstance(result, cuda.DeviceArray) else result
        return super().exactly(host)

    def times(self, *functions: Callable[[], Any]) -> list[float]:
        """The seconds of one call each."""
        seconds = []
        for function in functions:
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
        return seconds

    def kernel_times(self, ours: Callable[[], Any], theirs: list[Callable[[], Any]]) -> list[float]:
        """Of one replay of ours and of one call of theirs."""
        graph = cuda.Graph()
        with graph:
            ours()
        return self.times(graph.replay, *theirs)
