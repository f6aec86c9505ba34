"""Arrays of other libraries on the GPU: taken without a copy, and results of the caller's own kind.

On the emulation the library is a stand-in with DLPack's exchange API; on a GPU they are PyTorch, CuPy and JAX, each
where it is installed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import cuda, ops
from support.device_ops import DEVICE, backend

pytestmark = pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")


class Library:
    """How a test makes a library's array of a NumPy array, and reads it back."""

    def __init__(self, kind: Any, make: Callable[[Any], Any], read: Callable[[Any], Any]) -> None:
        self.kind, self.make, self.read = kind, make, read


def standin() -> Library:
    kind = backend().ForeignTensor
    return Library(kind, lambda a: kind(cuda.to_device(a)), lambda t: t.to_host())


def torch() -> Library:
    module = importlib.import_module("torch")
    return Library(module.Tensor, lambda a: module.from_numpy(a).cuda(), lambda t: t.cpu().numpy())


def cupy() -> Library:
    module = importlib.import_module("cupy")
    return Library(module.ndarray, module.asarray, module.asnumpy)


def jax() -> Library:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # it would take most of the GPU's memory
    module = importlib.import_module("jax")
    return Library(module.Array, lambda a: module.device_put(a), np.asarray)


LIBRARIES = {"cuda": [torch, cupy, jax], "emulated": [standin], "cpu": []}[DEVICE]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    try:
        return request.param()
    except ImportError as error:
        pytest.skip(str(error))


def test_results_are_of_the_callers_kind(library: Library) -> None:
    x, weight, bias = normal(2, 3, 8, 8), normal(4, 3, 3, 3, seed=1), normal(4, seed=2)
    expected = ops.conv2d(x, weight, bias, padding=1)
    y = ops.conv2d(*map(library.make, (x, weight, bias)), padding=1)
    assert isinstance(y, library.kind)
    np.testing.assert_allclose(library.read(y), expected, rtol=1e-5, atol=1e-5)
    pooled, indices = ops.max_pool2d_with_indices(library.make(x), 2)
    assert isinstance(pooled, library.kind)
    assert isinstance(indices, library.kind)
    for got, wanted in zip((pooled, indices), ops.max_pool2d_with_indices(x, 2), strict=True):
        np.testing.assert_array_equal(library.read(got), wanted)


def test_losses_and_gradients_are_of_the_callers_kind(library: Library) -> None:
    logits, target = normal(4, 5), np.int32([0, 4, 1, 2])
    loss, gradient = ops.cross_entropy_with_grad(library.make(logits), library.make(target))
    expected, expected_gradient = ops.cross_entropy_with_grad(logits, target)
    assert isinstance(loss, library.kind)
    assert library.read(loss).shape == ()
    assert float(library.read(loss)) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(library.read(gradient), expected_gradient, rtol=1e-5, atol=1e-6)


def test_the_first_array_decides(library: Library) -> None:
    """Also over the stream: one array of ours before the library's."""
    x, weight = normal(4, 6), normal(3, 6, seed=1)
    expected = ops.linear(x, weight)
    theirs = ops.linear(library.make(x), cuda.to_device(weight))
    ours = ops.linear(cuda.to_device(x), library.make(weight))
    assert isinstance(theirs, library.kind)
    assert isinstance(ours, cuda.DeviceArray)
    np.testing.assert_allclose(library.read(theirs), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.to_host(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 0, 4), (3, 1, 1)], ids=str)
def test_any_shape(library: Library, shape: tuple[int, ...]) -> None:
    x = np.asarray(normal(*shape), np.float32)
    y = ops.relu(library.make(x))
    assert tuple(y.shape) == shape
    np.testing.assert_array_equal(library.read(y), np.maximum(x, 0))


def test_what_is_written_in_place_comes_back_as_it_is(library: Library) -> None:
    if library.kind.__module__.startswith("jax"):
        pytest.skip("arrays of JAX are not written in place")
    x, out = library.make(normal(3, 5)), library.make(np.zeros((3, 5), np.float32))
    assert ops.relu(x, out=out) is out
    np.testing.assert_array_equal(library.read(out), np.maximum(normal(3, 5), 0))
    weights = [library.make(normal(3, seed=i)) for i in range(5)]
    ops.gradient_descent_step(weights, [library.make(np.ones(3, np.float32))] * 5, 0.5)
    for i, weight in enumerate(weights):
        np.testing.assert_array_equal(library.read(weight), normal(3, seed=i) - np.float32(0.5))


def test_results_of_a_captured_step_are_of_the_callers_kind(library: Library) -> None:
    if library.kind.__module__.startswith("jax"):
        pytest.skip("arrays of JAX are not written in place")
    x = library.make(normal(7))
    ops.relu(x)
    with cuda.Graph() as graph:
        y = ops.relu(x)
        z = ops.relu(ops.tanh(x))
    assert isinstance(y, library.kind)
    ops.sigmoid(x, out=x)
    graph.replay()
    cuda.synchronize()
    sigmoid = ops.sigmoid(normal(7))
    np.testing.assert_allclose(library.read(y), sigmoid, rtol=1e-6)
    np.testing.assert_allclose(library.read(z), np.tanh(sigmoid), rtol=1e-5)


@pytest.mark.skipif(DEVICE != "emulated", reason="counts calls of the stand-in")
def test_the_stream_is_asked_for_once_a_call_and_memory_once_a_result() -> None:
    library, module = standin(), backend()
    x, weight, bias = (library.make(normal(*shape)) for shape in [(2, 3, 8, 8), (4, 3, 3, 3), (4,)])
    module.foreign_library()
    ops.conv2d(x, weight, bias)
    assert module.foreign_library() == (1, 1)
    ops.gradient_descent_step([x, weight], [x.__class__(cuda.to_device(normal(*t.shape))) for t in (x, weight)], 0.1)
    assert module.foreign_library() == (1, 0)


@pytest.mark.skipif(DEVICE != "emulated", reason="looks at the stream of the stand-in")
def test_operators_run_in_the_librarys_stream_unless_one_is_chosen() -> None:
    library, module = standin(), backend()
    x = library.make(normal(3))
    module.foreign_library(stream=64)
    ops.relu(x)
    assert module.current_stream() == 64
    with cuda.stream(128):
        ops.relu(x)
        assert module.current_stream() == 128
    assert module.current_stream() == 64
    module.foreign_library()
    ops.relu(x)
    assert module.current_stream() == 0


@pytest.mark.skipif(DEVICE != "emulated", reason="sets the state of the stand-in")
def test_what_a_librarys_arrays_are_refused_for() -> None:
    library, module = standin(), backend()
    x = library.make(normal(3))
    learned = library.make(normal(3))
    learned.requires_grad = True
    with pytest.raises(TypeError, match=r"relu: x, got ForeignTensor, .*requires a gradient.*detach"):
        ops.relu(learned)
    kept = library.make(normal(3))
    kept.set_read_only()
    with pytest.raises(ValueError, match="relu: out is read-only"):
        ops.relu(x, out=kept)
    elsewhere = library.make(normal(3))
    elsewhere.move_to_host()
    with pytest.raises(TypeError, match=r"relu: x must be a numpy\.ndarray, got ForeignTensor"):
        ops.relu(elsewhere)
    with pytest.raises(TypeError, match=r"must be an array on the GPU like the others, got ForeignTensor"):
        ops.relu(x, out=elsewhere)
    with pytest.raises(TypeError, match="x must be float32, float16 or bfloat16, got int32"):
        ops.relu(library.make(np.int32([1])))
    module.foreign_library(out_of_memory=True)
    with pytest.raises(RuntimeError, match="memory on the GPU: MemoryError: there is none left"):
        ops.relu(x)
    module.foreign_library()


@pytest.mark.skipif(DEVICE != "cuda", reason="asks PyTorch")
def test_pytorchs_streams_graphs_dtypes_and_gradients() -> None:
    module = pytest.importorskip("torch")
    x = module.randn(1 << 22, device="cuda")
    stream = module.cuda.Stream()
    stream.wait_stream(module.cuda.current_stream())
    with module.cuda.stream(stream):
        y = x
        for _ in range(20):
            y = ops.tanh(y * 1.01)  # PyTorch's kernels and ours take turns in one stream
        expected = x.double()
        for _ in range(20):
            expected = module.tanh(expected * 1.01)
        assert (y.double() - expected).abs().max() < 1e-4
        assert backend().current_stream() == stream.cuda_stream
    graph = module.cuda.CUDAGraph()
    with module.cuda.graph(graph):
        z = ops.relu(x)
    x.neg_()
    graph.replay()
    module.testing.assert_close(z, module.relu(x))
    half = module.randn(5, 7, device="cuda", dtype=module.bfloat16)
    assert ops.relu(half).dtype == module.bfloat16
    assert ops.relu(half.T).shape == (7, 5)  # not contiguous
    with pytest.raises(TypeError, match="requires a gradient"):
        ops.relu(module.zeros(3, device="cuda", requires_grad=True))
    assert isinstance(ops.relu(module.nn.Parameter(x[:3]).detach()), module.Tensor)
