"""Threads: many callers at once, after a fork, and on other settings from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dipkernels
from cases.case import normal
from dipkernels import ops

X, WEIGHT = normal(8, 16, 20, 20), normal(16, 16, 3, 3)


def test_many_python_threads_at_once(restore_threads: None) -> None:
    dipkernels.set_num_threads(4)
    expected = ops.conv2d(X, WEIGHT, padding=1)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: ops.conv2d(X, WEIGHT, padding=1), range(64)):
            np.testing.assert_array_equal(result, expected)


def test_the_number_of_threads_can_change_while_others_work(restore_threads: None) -> None:
    expected = ops.conv2d(X, WEIGHT, padding=1)

    def work(i: int) -> bool:
        if i % 4 == 0:
            dipkernels.set_num_threads(1 + i % 5)
        return bool((ops.conv2d(X, WEIGHT, padding=1) == expected).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(40)))


def test_so_many_boxes_that_several_threads_suppress_them(restore_threads: None) -> None:
    places = np.arange(100_000) * 7919 % 40  # of one place all are the same, and those of two do not meet
    scores = np.random.default_rng(0).permutation(len(places)).astype(np.float32)
    corners = 10 * places[:, None] + [0, 0, 9, 9]
    best = [max(np.flatnonzero(places == place), key=scores.__getitem__) for place in range(40)]
    for threads in (1, 3):
        dipkernels.set_num_threads(threads)
        kept = ops.nms(corners.astype(np.float32), scores, 0.5)
        np.testing.assert_array_equal(kept, sorted(best, key=lambda i: -scores[i]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_neither_hangs_nor_errs(restore_threads: None) -> None:
    dipkernels.set_num_threads(4)
    expected = ops.conv2d(X, WEIGHT, padding=1)
    for _ in range(5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python warns that the parent has threads
            child = os.fork()
        if child == 0:
            os._exit(0 if (ops.conv2d(X, WEIGHT, padding=1) == expected).all() and dipkernels.num_threads() == 4 else 1)
        assert os.waitpid(child, 0)[1] == 0
        np.testing.assert_array_equal(ops.conv2d(X, WEIGHT, padding=1), expected)


def in_new_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_environment_sets_threads_and_instruction_set() -> None:
    code = "import dipkernels; print(dipkernels.num_threads(), dipkernels.isa())"
    done = in_new_process(code, DIPKERNELS_NUM_THREADS="3", DIPKERNELS_ISA="baseline")
    assert done.stdout.split() == ["3", "baseline"]


@pytest.mark.parametrize(
    ("name", "value"), [("DIPKERNELS_NUM_THREADS", "many"), ("DIPKERNELS_NUM_THREADS", "0"), ("DIPKERNELS_ISA", "mmx")]
)
def test_a_wrong_environment_is_an_error_that_names_it(name: str, value: str) -> None:
    code = "import dipkernels, numpy; dipkernels.relu(numpy.zeros(99999, 'f4')); dipkernels.num_threads()"
    done = in_new_process(code, **{name: value})
    assert done.returncode != 0
    assert name in done.stderr.splitlines()[-1]
    assert value in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("cap", ["baseline", "avx2", "avx512", "avx512_bf16", "amx"])
def test_a_cap_that_the_machine_does_not_reach_is_none(cap: str) -> None:
    order = ["baseline", "avx2", "avx512", "avx512_bf16", "amx"]
    reached = [isa for isa in dipkernels.available_isas() if order.index(isa) <= order.index(cap)]
    done = in_new_process("import dipkernels; print(dipkernels.isa())", DIPKERNELS_ISA=cap)
    assert done.stdout.strip() == reached[-1]


@pytest.mark.parametrize(
    "op",
    [
        "cross_entropy",
        "focal_loss",
        "nll_loss",
        "hinge_loss",
        "probability_loss",
        "max_unpool2d",
        "max_unpool2d_backward",
    ],
)
def test_labels_that_another_thread_changes_meanwhile(op: str) -> None:
    """What was checked is what is used: no address comes from a number that may have become another one."""
    code = f"""
import threading
import numpy as np
import dipkernels as dk
op, N = {op!r}, 20000
if op.startswith("max_unpool2d"):
    numbers = np.zeros((1, 1, N, 1), np.int32)
    x = np.ones((1, 1, N if op == "max_unpool2d" else 4, 1), np.float32)
    call = (lambda: dk.max_unpool2d(x, numbers, output_size=(4, 1))) if op == "max_unpool2d" else (
        lambda: dk.max_unpool2d_backward(x, numbers))
else:
    numbers, x = np.zeros(N, np.int64), np.full((N, 3), 0.25, np.float32)
    call = lambda: getattr(dk, op + "_with_grad")(x, numbers)
done = False
def change():
    while not done:
        numbers[...] = 2**30
        numbers[...] = 0
thread = threading.Thread(target=change)
thread.start()
for _ in range(300):
    try:
        call()
    except IndexError:
        pass
done = True
thread.join()
"""
    done = in_new_process(code)
    assert (done.returncode, done.stderr) == (0, "")
