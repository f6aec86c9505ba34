"""The GPU's arrays, streams, deferred errors and graphs: on a GPU, or emulated (DIPKERNELS_DEVICE=emulated)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import UNIT, normal
from dipkernels import cuda, ops
from support.device_ops import DEVICE
from support.device_ops import backend as device_backend

on_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")


class Producer:
    """An array of another library: a DeviceArray that shows nothing but one protocol."""

    def __init__(self, array: Any, **changes: Any) -> None:
        self.array, self.changes, self.calls = array, changes, list[dict[str, Any]]()


class CudaArrayInterface(Producer):
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.array.__cuda_array_interface__, **self.changes}


class Dlpack(Producer):
    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **arguments: Any) -> Any:
        self.calls.append(arguments)
        return self.array.__dlpack__(**arguments)


class OldDlpack(Dlpack):
    """From before max_version."""

    def __dlpack__(self, stream: int | None = None) -> Any:
        self.calls.append({"stream": stream})
        return self.array.__dlpack__(stream=stream)


@on_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_arrays_go_to_the_gpu_and_back(shape: tuple[int, ...], dtype: str) -> None:
    host = np.asarray(10 * normal(*shape)).astype(dtype)
    array = cuda.to_device(host)
    np.testing.assert_array_equal(array.to_host(), host)
    np.testing.assert_array_equal(array.copy().to_host(), host)
    assert (array.shape, array.ndim, array.size, array.nbytes) == (shape, host.ndim, host.size, host.nbytes)
    assert array.dtype == dtype
    assert array.to_host().dtype == dtype
    assert repr(array) == f"DeviceArray(shape={shape}, dtype={dtype}, device=0)"


@on_gpu
def test_not_contiguous_arrays_go_to_the_gpu_right() -> None:
    host = normal(6, 8)
    np.testing.assert_array_equal(cuda.to_device(host.T[::2, ::-1]).to_host(), host.T[::2, ::-1])


@on_gpu
def test_views_share_memory() -> None:
    host = normal(4, 6)
    array = cuda.to_device(host)
    np.testing.assert_array_equal(array.reshape((2, -1)).to_host(), host.reshape(2, 12))
    np.testing.assert_array_equal(array[1:3].to_host(), host[1:3])
    np.testing.assert_array_equal(array[3:].to_host(), host[3:])
    assert len(array) == 4
    rows = array[2:]
    ops.gradient_descent_step([rows], [cuda.to_device(np.ones((2, 6), np.float32))], 1.0)
    np.testing.assert_array_equal(array.to_host(), np.concatenate([host[:2], host[2:] - 1]))


@on_gpu
def test_what_an_array_refuses() -> None:
    array = cuda.to_device(normal(4, 6))
    with pytest.raises(TypeError, match="to_host"):
        np.asarray(array)
    with pytest.raises(ValueError, match="only an array of one element"):
        float(array)
    with pytest.raises(ValueError, match=r"\(4, 6\) cannot become \(5, 5\)"):
        array.reshape((5, 5))
    with pytest.raises(ValueError, match="only one extent"):
        array.reshape((-1, -1))
    with pytest.raises(IndexError, match="step 1"):
        array[::2]
    with pytest.raises(TypeError, match=r"must be a numpy\.ndarray, got list"):
        cuda.to_device([1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float32, float64, float16 or of integers, got complex64"):
        cuda.to_device(np.zeros(3, np.complex64))
    with pytest.raises(ValueError, match="device must be from 0"):
        cuda.to_device(normal(3), 99)


@on_gpu
@pytest.mark.parametrize("producer", [CudaArrayInterface, Dlpack, OldDlpack])
def test_arrays_of_other_libraries_are_taken_without_a_copy(producer: type[Producer]) -> None:
    host = normal(3, 5)
    x = cuda.to_device(host)
    given = producer(x)
    np.testing.assert_array_equal(ops.relu(given).to_host(), np.maximum(host, 0))
    out = producer(cuda.to_device(np.zeros((3, 5), np.float32)))
    assert ops.relu(given, out=out) is out
    np.testing.assert_array_equal(out.array.to_host(), np.maximum(host, 0))
    assert all(call["stream"] == 1 for call in given.calls)


@on_gpu
def test_arrays_made_for_other_libraries_outlive_their_owner() -> None:
    """A capsule that nobody takes frees what it holds; one that is taken belongs to the taker."""
    host = normal(1000)
    for _ in range(50):
        cuda.to_device(host).__dlpack__()
        cuda.to_device(host).__dlpack__(max_version=(1, 0))
    given = Dlpack(cuda.to_device(host))
    result = ops.relu(given)
    del given
    np.testing.assert_array_equal(result.to_host(), np.maximum(host, 0))


@on_gpu
def test_dlpack_streams() -> None:
    x = cuda.to_device(normal(3))
    for stream in (None, 1, 2, -1):
        x.__dlpack__(stream=stream)
    for stream in (0, -2):
        with pytest.raises(ValueError, match="stream must be None, -1, 1, 2 or a CUDA stream"):
            x.__dlpack__(stream=stream)
    assert x.__dlpack_device__() == (2, 0)
    with pytest.raises(BufferError, match="to_host"):
        x.__dlpack__(dl_device=(1, 0))
    with pytest.raises(ValueError, match="copy"):
        x.__dlpack__(copy=True)


@on_gpu
def test_bad_interfaces_are_refused() -> None:
    x = cuda.to_device(normal(4, 6))
    host = normal(4, 6)
    bad = [
        (CudaArrayInterface(x, data=(host.ctypes.data, False)), ValueError, "not in the memory of a GPU"),
        (CudaArrayInterface(x, strides=(26, 4)), ValueError, "multiples of the element size"),
        (CudaArrayInterface(x, stream=0), ValueError, "stream must not be 0"),
        (
            CudaArrayInterface(x, typestr="<f8", shape=(4, 3)),
            TypeError,
            "x must be float32, float16 or bfloat16, got",
        ),
        (CudaArrayInterface(x, shape="wide"), TypeError, "cannot be read"),
        (CudaArrayInterface(x, data=(x.__cuda_array_interface__["data"][0] + 2, False)), ValueError, "multiple of its"),
    ]
    for array, error, text in bad:
        with pytest.raises(error, match=text):
            ops.relu(array)
    with pytest.raises(ValueError, match="read-only"):
        ops.relu(x, out=CudaArrayInterface(x, data=(x.__cuda_array_interface__["data"][0], True)))
    with pytest.raises(TypeError, match=r"must be an array on the GPU like the others, got ndarray.*to_device"):
        ops.linear(x, host)


@on_gpu
def test_operators_do_not_wait_and_errors_come_later() -> None:
    logits, bad = cuda.to_device(normal(4, 5)), cuda.to_device(np.array([0, 5, 1, -1]))
    ops.cross_entropy(logits, bad)  # enqueued; nobody has looked at the labels yet
    with pytest.raises(IndexError, match=r"target\.flat\[1\] is 5; a class index must be from 0 to 4"):
        cuda.synchronize()
    cuda.synchronize()  # raised once
    ops.cross_entropy(logits, bad)
    cuda_done()
    with pytest.raises(IndexError, match=r"target\.flat\[1\] is 5"):
        ops.relu(logits)  # the next operator sees it too
    loss = ops.cross_entropy(logits, cuda.to_device(np.array([0, 4, 1, 2])))
    assert np.isfinite(loss.item())  # and the device goes on working


def cuda_done() -> None:
    """Waits for the GPU without dipkernels looking at errors."""
    if DEVICE == "cuda":
        import torch

        torch.cuda.synchronize()


@on_gpu
def test_a_thousand_unread_checks_are_no_problem() -> None:
    logits, good = cuda.to_device(normal(4, 5)), cuda.to_device(np.array([0, 4, 1, 2]))
    losses = [ops.cross_entropy(logits, good) for _ in range(1500)]
    assert len({loss.item() for loss in losses}) == 1


@on_gpu
def test_losses_stay_on_the_gpu() -> None:
    loss, gradient = ops.mse_loss_with_grad(cuda.to_device(normal(8)), cuda.to_device(normal(8, seed=1)))
    assert loss.shape == ()
    assert loss.dtype == "float64"
    assert float(loss) == pytest.approx(float(np.mean((normal(8) - normal(8, seed=1)) ** 2)), rel=1e-6)
    assert gradient.shape == (8,)


@on_gpu
def test_streams() -> None:
    class Stream:
        cuda_stream = 0

    x = cuda.to_device(normal(5))
    for stream in (
        0,
        Stream(),
        type("CuPy", (), {"ptr": 0})(),
        type("New", (), {"__cuda_stream__": lambda s: (0, 0)})(),
    ):
        with cuda.stream(stream):
            np.testing.assert_array_equal(ops.relu(x).to_host(), np.maximum(normal(5), 0))
    for wrong in ("default", None, -1, 1.5, True):
        with pytest.raises(TypeError, match="stream must be a stream"), cuda.stream(wrong):
            pass


@on_gpu
def test_a_graph_repeats_a_step_on_new_data() -> None:
    """A linear layer learns by a captured step as by the same steps one by one."""
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((8, 6), np.float32), rng.integers(0, 3, 8)) for _ in range(5)]
    start = normal(3, 6)

    def step(weight: Any, x: Any, t: Any) -> Any:
        loss, gradient = ops.cross_entropy_with_grad(ops.linear(x, weight), t)
        ops.gradient_descent_step([weight], [ops.linear_backward_weight(gradient, x)], 0.5)
        return loss

    eager = start.copy()
    losses = [step(eager, x, t) for x, t in batches]

    weight, x, t = cuda.to_device(start), cuda.to_device(batches[0][0]), cuda.to_device(batches[0][1])
    graph = cuda.Graph()
    with graph:
        loss = step(weight, x, t)
    np.testing.assert_array_equal(weight.to_host(), start)  # recorded, not run
    for (host_x, host_t), expected in zip(batches, losses, strict=True):
        x.set(host_x)
        t.set(host_t)
        graph.replay()
        assert loss.item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(weight.to_host(), eager, rtol=1e-5, atol=1e-6)
    t.set(np.full(8, 7))
    graph.replay()
    with pytest.raises(IndexError, match=r"target\.flat\[0\] is 7"):
        cuda.synchronize()
    t.set(batches[0][1])
    graph.replay()
    assert np.isfinite(loss.item())


@on_gpu
def test_graphs_refuse_what_they_cannot_repeat() -> None:
    x = cuda.to_device(normal(5))
    graph = cuda.Graph()
    with pytest.raises(RuntimeError, match=r"a graph is being captured"), graph:
        x.to_host()
    with graph:  # the failed capture left nothing behind
        y = ops.relu(x)
    with pytest.raises(RuntimeError, match="captured already"), graph:
        pass
    graph.replay()
    np.testing.assert_array_equal(y.to_host(), np.maximum(normal(5), 0))
    with pytest.raises(RuntimeError, match=r"capture something before replay"):
        cuda.Graph().replay()
    with pytest.raises(RuntimeError, match="another capture"), cuda.Graph(), cuda.Graph():
        pass
    np.testing.assert_array_equal(ops.relu(x).to_host(), np.maximum(normal(5), 0))


@on_gpu
@pytest.mark.parametrize("shape", [(3, 5, 70, 130), (700, 3, 5, 7), (3000, 40, 1, 1), (2, 700, 1, 1)], ids=str)
def test_bias_gradients_are_sums_of_parts(shape: tuple[int, ...]) -> None:
    dy = normal(*shape)
    exact = dy.sum((0, 2, 3), dtype=np.float64)
    for op, array in [("conv2d_backward_bias", dy), ("linear_backward_bias", dy[:, :, 0, 0])]:
        expected = exact if op.startswith("conv") else array.sum(0, dtype=np.float64)
        got = getattr(ops, op)(cuda.to_device(np.ascontiguousarray(array))).to_host()
        assert (np.abs(got - expected) <= UNIT * np.abs(expected) + 1e-12 * np.abs(dy).sum()).all()


@on_gpu
def test_earlier_checks_leave_room_for_those_of_a_graph() -> None:
    """Of a thousand that there can be at a time: the second graph would not find six hundred free."""
    logits, target = cuda.to_device(normal(2, 3)), cuda.to_device(np.int64([1, 2]))
    expected = ops.cross_entropy(logits, target).item()
    for _ in range(2):
        for _ in range(100):
            ops.cross_entropy(logits, target)
        with cuda.Graph() as graph:
            values = [ops.cross_entropy(logits, target) for _ in range(600)]
        graph.replay()
        assert {value.item() for value in values} == {expected}
        del graph  # and with it the places of its checks


@on_gpu
@pytest.mark.parametrize(
    ("inputs", "size"),
    [((9, 7), (16, 15)), ((50, 60), (200, 100)), ((100, 100), (150, 130))],
    ids=["a block a plane", "several blocks", "lists in memory"],
)
def test_unpooling_adds_in_the_order_of_the_inputs(inputs: tuple[int, int], size: tuple[int, int]) -> None:
    """Elements that one input names, a few, or so many that they are added in float64."""
    rng, (height, width) = np.random.default_rng(0), size
    x = normal(2, 3, *inputs)
    few = height * width // 40
    indices = np.where(
        rng.random(x.shape) < 0.5, rng.integers(0, height * width, x.shape), rng.integers(0, few, x.shape)
    )
    indices[rng.random(x.shape) < 0.3] = height * width - 2
    indices = indices.astype(np.int32)
    y = ops.max_unpool2d(cuda.to_device(x), cuda.to_device(indices), output_size=size)
    got = y.to_host().reshape(6, -1)
    for plane, (values, places) in enumerate(zip(x.reshape(6, -1), indices.reshape(6, -1), strict=True)):
        in_order, exact = np.zeros(height * width, np.float32), np.zeros(height * width)
        np.add.at(in_order, places, values)
        np.add.at(exact, places, values)
        long = np.bincount(places, minlength=height * width) > 64
        assert long.any() or x[0, 0].size < 100
        np.testing.assert_array_equal(got[plane][~long], in_order[~long])
        np.testing.assert_allclose(got[plane][long], exact[long], rtol=UNIT, atol=1e-12 * np.abs(values).sum())
    cuda.synchronize()
    for wrong in (-1, height * width):
        indices[1, 2, 3, 4] = wrong
        ops.max_unpool2d(cuda.to_device(x), cuda.to_device(indices), output_size=size)
        with pytest.raises(IndexError, match=rf"indices\(1, 2, 3, 4\) is {wrong}, outside the plane"):
            cuda.synchronize()


@on_gpu
@pytest.mark.parametrize("shape", [(9, 5), (9, 8), (9,), (9, 2, 3, 2)])
def test_rows_are_gathered_up_to_the_end_of_the_order(shape: tuple[int, ...]) -> None:
    """What is asked for beyond it, or beyond the source, is zeros."""
    first, labels = normal(*shape), np.arange(9)
    order, position = cuda.to_device(np.array([4, 0, 11, 7, -1, 2])), cuda.to_device(np.array([1]))
    outs = [cuda.to_device(np.ones((7, *shape[1:]), np.float32)), cuda.to_device(np.ones(7, np.int64))]
    gather = device_backend().gather_rows
    gather([cuda.to_device(first), cuda.to_device(labels)], order, position, outs)
    expected = np.zeros((7, *shape[1:]), np.float32)
    expected[[0, 2, 4]] = first[[0, 7, 2]]
    np.testing.assert_array_equal(outs[0].to_host(), expected)
    np.testing.assert_array_equal(outs[1].to_host(), [0, 0, 7, 0, 2, 0, 0])


@on_gpu
def test_of_wrong_labels_the_first_is_named_whichever_block_finds_it() -> None:
    labels = np.zeros(300, np.int64)
    labels[[137, 138, 290]] = 10, 11, -7
    ops.cross_entropy_with_grad(cuda.to_device(normal(300, 10)), cuda.to_device(labels))
    with pytest.raises(IndexError, match=r"137"):
        cuda.synchronize()


def test_gpu_arrays_without_a_cuda_backend_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_backend", None)
    monkeypatch.setattr(cuda, "_why_not", "it was not built")

    class OnGpu:
        __cuda_array_interface__: dict[str, Any] = {}  # noqa: RUF012

    for call in (lambda: ops.relu(OnGpu()), lambda: cuda.to_device(normal(3)), cuda.synchronize, cuda.Graph):
        with pytest.raises(RuntimeError, match=r"no CUDA backend: it was not built.*dipkernels info"):
            call()
    assert not cuda.is_available()
    assert "not there" in dipkernels.info()["cuda backend"]


@pytest.mark.skipif(DEVICE != "cpu", reason="the other device is in use")
def test_without_a_gpu_the_first_call_says_so() -> None:
    if cuda._backend is None or cuda.is_available():
        pytest.skip("needs the CUDA backend and no GPU")
    for call in (lambda: cuda.to_device(normal(3)), cuda.synchronize, cuda.Graph):
        with pytest.raises(RuntimeError, match="no usable GPU"):
            call()


def test_an_unknown_device_is_refused() -> None:
    environment = {**os.environ, "DIPKERNELS_DEVICE": "abacus"}
    done = subprocess.run(
        [sys.executable, "-c", "import dipkernels"], capture_output=True, text=True, check=False, env=environment
    )
    assert "DIPKERNELS_DEVICE must be cuda or emulated, got 'abacus'" in done.stderr
