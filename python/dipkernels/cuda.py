"""Arrays, streams and graphs on the GPU.

Every function of `dipkernels.ops` takes arrays on a GPU from PyTorch, CuPy, JAX, Numba or `to_device`, without a copy,
in the stream in which that library works, and returns arrays of the kind that its first array is of: PyTorch's tensors
for PyTorch's tensors, a `DeviceArray` for one. A library of another name gets a `DeviceArray`, which speaks DLPack and
the CUDA array interface. A tensor that requires a gradient is refused, because PyTorch would not know of what is
computed here: pass `tensor.detach()`. Where operators say float32, arrays on the GPU may also be float16 or bfloat16,
all of a call alike: they are computed with in float32, and results are rounded once. Optimizers take such gradients for
float32 weights. Operators do not wait for the GPU: what they find wrong in the values of an array there, such as a
class index out of range, is raised by a later call, at the latest by `synchronize` or `DeviceArray.to_host`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import integer

if TYPE_CHECKING:
    from typing_extensions import Self

    from dipkernels._cuda import DeviceArray

__all__ = ["DeviceArray", "Graph", "device_count", "is_available", "stream", "synchronize", "to_device"]

_DLPACK_CUDA = (2, 13)  # device memory, managed memory

# Where wheels keep the CUDA runtime, below the namespace package nvidia.
_RUNTIMES = ("cuda_runtime/lib/libcudart.so.12", "cu13/lib/libcudart.so.13")


def _import_backend() -> tuple[ModuleType | None, str]:
    """The compiled module, or None and why there is none.

    DIPKERNELS_DEVICE=emulated, for tests, takes the CUDA kernels run on the host.
    """
    chosen = os.environ.get("DIPKERNELS_DEVICE", "cuda")
    if chosen not in ("cuda", "emulated"):
        raise ValueError(f"environment variable DIPKERNELS_DEVICE must be cuda or emulated, got {chosen!r}")
    name = "dipkernels._cuda" if chosen == "cuda" else "dipkernels._cuda_emulated"
    if importlib.util.find_spec(name) is None:
        return None, "this installation of dipkernels was built without a CUDA compiler"
    try:
        return importlib.import_module(name), ""
    except ImportError as error:
        if "libcudart" not in str(error):
            raise
        _load_runtime()
    try:
        return importlib.import_module(name), ""
    except ImportError as error:
        return None, f'the CUDA runtime is missing ({error}); pip install "dipkernels[cuda12]" or [cuda13] brings it'


def _load_runtime() -> None:
    """Loads libcudart from a wheel that lies where the module's own search path does not reach."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for runtime in _RUNTIMES:
            if (Path(folder) / runtime).exists():
                ctypes.CDLL(str(Path(folder) / runtime), ctypes.RTLD_GLOBAL)


_backend, _why_not = _import_backend()


def backend(what: str) -> ModuleType:
    """The compiled CUDA backend; RuntimeError in the name of `what` where there is none."""
    if _backend is None:
        raise RuntimeError(f"{what}: there is no CUDA backend: {_why_not}; `dipkernels info` shows what there is")
    return _backend


class _MissingError(RuntimeError, AttributeError):
    """Says why there is no `DeviceArray`, and to `hasattr` that there is none."""


def __getattr__(name: str) -> Any:
    if name == "DeviceArray":
        try:
            return backend("DeviceArray").DeviceArray
        except RuntimeError as error:
            raise _MissingError(str(error)) from None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def state() -> str:
    """One line for `dipkernels info`: the GPU in use, or what is missing.

    >>> state() != ""
    True
    """
    if _backend is None:
        return f"not there: {_why_not}"
    built: str = _backend.build_info()["cuda"]
    count = device_count()
    names = ", ".join(_backend.device_name(device) for device in range(count))
    return f"{built}; {names if count else 'no usable GPU, or no driver'}"


def device_count() -> int:
    """The number of usable GPUs; 0 where there is none, no driver, or no CUDA backend."""
    return 0 if _backend is None else int(_backend.device_count())


def is_available() -> bool:
    """Whether there is a GPU to compute on."""
    return device_count() > 0


def _speaks_a_protocol(array: Any) -> bool:
    """Whether an object is an array on a GPU, by the protocols it speaks."""
    device = getattr(array, "__dlpack_device__", None)
    if device is not None:
        return device()[0] in _DLPACK_CUDA
    return hasattr(array, "__cuda_array_interface__")


# Bound once: a call through one more function takes longer than the question.
is_on_gpu: Callable[[Any], bool] = _speaks_a_protocol if _backend is None else _backend.is_on_gpu


def to_device(array: npt.NDArray[Any], device: int | None = None) -> DeviceArray:
    """Copies a NumPy array to the GPU.

    Parameters
    ----------
    array : float32, float64, float16 or of integers, of any shape
    device
        The number of the GPU; None for the current one.

    Raises
    ------
    TypeError
        Not a NumPy array, or another dtype.
    ValueError
        There is no such GPU.
    RuntimeError
        No CUDA backend, no GPU or no driver.
    """
    module = backend("to_device")
    device = None if device is None else integer("to_device", "device", device)
    module.check_device(0 if device is None else device)
    return module.to_device(array, module.current_device() if device is None else device)


def synchronize() -> None:
    """Waits until the current stream has done its work, and raises what an operator found wrong there."""
    module = backend("synchronize")
    module.check_device(0)
    module.synchronize()


def _handle(stream: Any) -> int:
    """The cudaStream_t of PyTorch's, CuPy's or another library's stream, or of an int."""
    for attribute in ("cuda_stream", "ptr", "handle"):
        if hasattr(stream, attribute):
            return int(getattr(stream, attribute))
    if hasattr(stream, "__cuda_stream__"):
        return int(stream.__cuda_stream__()[1])
    if isinstance(stream, bool) or not isinstance(stream, (int, np.integer)) or stream < 0:
        raise TypeError(
            f"stream: stream must be a stream of PyTorch or CuPy, an object with __cuda_stream__, "
            f"or a cudaStream_t as an int, got {stream!r}"
        )
    return int(stream)


@contextlib.contextmanager
def stream(stream: Any) -> Iterator[None]:
    """Within it, operators of this thread run in `stream`; outside, in the stream of the arrays they get.

    Parameters
    ----------
    stream
        A stream of PyTorch or CuPy, an object with `__cuda_stream__`, or a cudaStream_t as an int (0: the default).

    Raises TypeError for anything else.
    """
    module = backend("stream")
    handle, before, chosen = _handle(stream), module.current_stream(), module.stream_is_chosen()
    module.choose_stream(handle, True)
    try:
        yield
    finally:
        module.choose_stream(before, chosen)


@contextlib.contextmanager
def branches() -> Iterator[None]:
    """While a graph is captured, what is within `weights_beside` may run at the same time as what else is within this;
    at the end it is waited for. Elsewhere it does nothing.
    """
    module = backend("branches")
    module.open_branches()
    try:
        yield
    finally:
        module.join_branches()


@contextlib.contextmanager
def weights_beside() -> Iterator[None]:
    """Within `branches`: operators here may compute gradients of weights beside others, as nobody reads them soon."""
    if _backend is None:
        yield
        return
    _backend.set_weights_beside(True)
    try:
        yield
    finally:
        _backend.set_weights_beside(False)


class Graph:
    """Operators recorded once and replayed with a single launch: for steps whose launches cost more than their work.

    Within `with graph:` operators are recorded and not run; `replay` runs them all, on the same arrays as recorded.
    Python code in between runs in the capture alone, and nothing there may copy between host and GPU.

    Raises RuntimeError where what is recorded waits for the GPU, and for a second capture.
    """

    def __init__(self) -> None:
        module = backend("Graph")
        module.check_device(0)
        self._graph = module.Graph()

    def __enter__(self) -> Self:
        self._graph.begin_capture()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._graph.end_capture()
        else:
            self._graph.cancel_capture()

    def replay(self) -> None:
        """Runs what was recorded, in the current stream, without waiting for it."""
        self._graph.replay()
