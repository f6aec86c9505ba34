"""Ctrl-C and other signals in a long call: soon, between pieces of work, and never half-way through an update."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dipkernels
from support.device_ops import DEVICE, ops

X, WEIGHT = np.ones((24, 64, 96, 96), np.float32), np.ones((64, 64, 3, 3), np.float32)
ROWS = np.ones((3000, 3000), np.float32)
LONG: dict[str, Callable[[], Any]] = {
    "conv2d": lambda: ops.conv2d(X, WEIGHT, padding=1),
    "conv2d_one_image": lambda: ops.conv2d(X[:1], WEIGHT, padding=1),
    "conv2d_backward_data": lambda: ops.conv2d_backward_data(X, WEIGHT, X.shape, padding=1),
    "conv2d_backward_weight": lambda: ops.conv2d_backward_weight(X, X, WEIGHT.shape, padding=1),
    "depthwise": lambda: ops.conv2d(X, np.ones((64, 1, 21, 21), np.float32), padding=10, groups=64),
    "linear": lambda: ops.linear(ROWS, ROWS),
    "max_pool2d": lambda: ops.max_pool2d(X, 31, stride=1),
    "softmax": lambda: ops.softmax(ROWS, 1),
    "tanh": lambda: ops.tanh(X),
    "cross_entropy": lambda: ops.cross_entropy(ROWS, np.zeros(len(ROWS), np.int64)),
}
not_at_once = pytest.mark.skipif(DEVICE == "cuda", reason="a GPU does at once what takes others seconds")
on_cpu = pytest.mark.skipif(DEVICE != "cpu", reason="the emulation of a GPU takes seconds for what a CPU does at once")


class SignalError(Exception):
    """What the handler raises."""


@pytest.fixture
def handler() -> Iterator[Callable[[Callable[[], None]], None]]:
    before = signal.getsignal(signal.SIGALRM)
    yield lambda action: signal.signal(signal.SIGALRM, lambda *_: action())  # type: ignore[return-value]
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def seconds_to_interrupt(call: Callable[[], Any], handler: Any) -> float:
    """From a signal, 30 ms after the first call began, to its exception."""

    def stop() -> None:
        raise SignalError

    handler(stop)
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    try:
        while True:
            call()
    except SignalError:
        return time.perf_counter() - start - 0.03


@on_cpu
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", LONG)
def test_a_signal_is_answered_soon(name: str, threads: int, handler: Any, restore_threads: None) -> None:
    dipkernels.set_num_threads(threads)
    expected = LONG[name]()
    fastest = min(seconds_to_interrupt(LONG[name], handler) for _ in range(4))  # of a machine that others use too
    assert fastest < 0.1
    np.testing.assert_array_equal(LONG[name](), expected)


def slow() -> Any:
    """A second or more in one call on either backend."""
    if DEVICE == "cpu":
        return ops.conv2d(X[:6], np.ones((64, 64, 21, 21), np.float32), padding=10)
    return ops.conv2d(X[:, :16], np.ones((64, 16, 3, 3), np.float32), padding=1)


@not_at_once
def test_one_long_call_is_left_in_its_middle(handler: Any) -> None:
    def stop() -> None:
        raise SignalError

    handler(stop)
    dipkernels.set_num_threads(1)
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(SignalError):
        slow()
    first = time.perf_counter() - start
    start = time.perf_counter()
    slow()
    assert first < 0.5 * (time.perf_counter() - start)


def test_a_handler_that_returns_changes_nothing(handler: Any, restore_threads: None) -> None:
    expected = slow()
    calls = []
    handler(lambda: calls.append(time.perf_counter()))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    result = slow()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(calls) > 2  # within the call, not after it
    assert calls[-2] - calls[0] > 0.02
    np.testing.assert_array_equal(result, expected)


@not_at_once
def test_a_handler_cannot_call_operators_in_the_middle_of_one(handler: Any) -> None:
    handler(lambda: ops.relu(ROWS))
    signal.setitimer(signal.ITIMER_REAL, 0.02 if DEVICE == "cpu" else 0.5)  # when arrays are on the GPU
    with pytest.raises(RuntimeError, match="cannot run in the handler of a signal that came during another"):
        slow()
    signal.setitimer(signal.ITIMER_REAL, 0)
    np.testing.assert_array_equal(ops.relu(ROWS), ROWS)


@on_cpu
def test_an_update_of_weights_is_finished(handler: Any, restore_threads: None) -> None:
    dipkernels.set_num_threads(1)
    weights, gradients = np.zeros(30_000_000, np.float32), np.ones(30_000_000, np.float32)

    def stop() -> None:
        raise SignalError

    handler(stop)
    steps = 0
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        while True:
            ops.gradient_descent_step([weights], [gradients], 1.0)
            steps += 1
    except SignalError:
        pass
    assert -weights[0] in (steps, steps + 1)
    assert (weights == weights[0]).all()


@on_cpu
def test_ctrl_c_ends_a_long_call() -> None:
    code = (
        "import signal, numpy as np, dipkernels as dk\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a shell's background jobs lack
        "x, w = np.ones((64, 64, 96, 96), 'f4'), np.ones((64, 64, 31, 31), 'f4')\n"
        "print('begun', flush=True)\n"
        "dk.conv2d(x, w, padding=15)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        start = time.perf_counter()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert error.endswith(b"KeyboardInterrupt\n")
    assert time.perf_counter() - start < 2  # with the interpreter's end
