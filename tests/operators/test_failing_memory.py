"""An allocation that fails, whichever it is, is a MemoryError; after it everything works as before."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import Case, normal
from dipkernels import _cpu, ops
from support.device_ops import DEVICE
from support.good_arguments import GOOD
from support.oracles import run

in_test_builds = pytest.mark.skipif(
    DEVICE != "cpu" or not hasattr(_cpu, "fail_allocation_after"),
    reason="only builds with DIPKERNELS_EMULATION=ON can have an allocation of the CPU backend fail",
)

IMAGES = normal(40, 6, 14, 14), normal(16, 6, 5, 5)
CHANNELS = normal(3, 64, 12, 12), normal(64, 64, 3, 3)
LARGE = [
    Case("conv2d", "images", IMAGES),
    Case("conv2d", "channels", CHANNELS, {"padding": 1}),
    Case("conv2d", "winograd", CHANNELS, {"padding": 1, "precision": "high"}),
    Case("conv2d", "bfloat16", CHANNELS, {"padding": 1, "precision": "medium"}),
    Case("conv2d_backward_data", "channels", (normal(3, 64, 12, 12), CHANNELS[1], (3, 64, 12, 12)), {"padding": 1}),
    Case("conv2d_backward_weight", "channels", (normal(3, 64, 12, 12), CHANNELS[0], (64, 64, 3, 3)), {"padding": 1}),
    Case("linear", "many_rows", (normal(300, 70), normal(90, 70))),
    Case(
        "max_unpool2d", "repeated", (normal(3, 2, 30, 30), np.zeros((3, 2, 30, 30), np.int32)), {"output_size": (2, 2)}
    ),
]


@in_test_builds
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", [*GOOD.values(), *LARGE], ids=str)
def test_every_allocation_may_fail(case: Case, threads: int, restore_threads: None) -> None:
    expected = run(ops, case, copy.deepcopy(case.args))
    survived = 0
    while True:
        dipkernels.set_num_threads(threads)  # new threads, which have no memory of their own yet
        _cpu.free_memory()
        args = copy.deepcopy(case.args)
        _cpu.fail_allocation_after(survived)
        try:
            results = run(ops, case, args)
        except MemoryError:
            assert _cpu.allocation_failed()
            survived += 1
            continue
        finally:
            _cpu.fail_allocation_after(-1)
        if not _cpu.allocation_failed():
            break
        survived += 1  # it was not needed after all
    for one, other in zip(expected, results, strict=True):
        for a, b in zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]:
            np.testing.assert_array_equal(a, b)
    assert survived > 0 or case.op == "output_size"


def in_new_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


SETUP = """
import resource, threading, time
import numpy as np
import dipkernels as dk

def limit(more):
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))

x, w = np.random.rand(8, 16, 20, 20).astype("f4"), np.random.rand(16, 16, 3, 3).astype("f4")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set as on Linux")
def test_threads_that_cannot_start_are_done_without() -> None:
    code = SETUP + (
        "expected = dk.conv2d(x, w, padding=1)\n"
        "dk.set_num_threads(64)\n"
        "limit(60 << 20)\n"
        "assert (dk.conv2d(x, w, padding=1) == expected).all()\n"
        "print(dk.info()['threads'])"
    )
    done = in_new_process(code)
    assert done.returncode == 0, done.stderr
    assert ": of 64 the system started no more" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set as on Linux")
def test_kept_memory_is_given_up_where_there_is_no_more() -> None:
    code = SETUP + (
        "big = np.zeros(60 << 20, 'f4')\n"
        "kept = [dk.relu(big[: 30 << 20]) for _ in range(3)]\n"
        "del kept\n"
        "limit(150 << 20)\n"
        "dk.relu(big)"  # 240 MB, where 360 MB are kept in blocks of another size
    )
    done = in_new_process(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set as on Linux")
def test_a_view_that_cannot_be_copied_is_a_memory_error() -> None:
    code = SETUP + (
        "wide = np.zeros((20000, 4000), 'f4')\n"
        "out = np.zeros((20000, 2000), 'f4')\n"
        "limit(50 << 20)\n"
        "try:\n    dk.relu(wide[:, ::2], out=out)\nexcept MemoryError as error:\n    print('MemoryError', error)"
    )
    done = in_new_process(code)
    assert done.stdout.startswith("MemoryError"), done.stderr


def test_a_daemon_thread_inside_a_kernel_does_not_spoil_the_exit() -> None:
    code = SETUP + (
        "x = np.random.rand(16, 64, 56, 56).astype('f4')\n"
        "w = np.random.rand(64, 64, 3, 3).astype('f4')\n"
        "def work():\n"
        "    while True:\n"
        "        dk.conv2d(x, w, padding=1)\n"
        "for _ in range(2):\n"
        "    threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.2)"
    )
    for _ in range(3):
        done = in_new_process(code)
        assert (done.returncode, done.stderr) == (0, "")


def test_memory_goes_back(restore_threads: None) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    dipkernels.set_num_threads(2)
    x: Any = np.zeros((64, 64, 56, 56), np.float32)
    before = resident()
    for _ in range(3):
        ops.conv2d_backward_weight(ops.conv2d(x, CHANNELS[1], padding=1), x, CHANNELS[1].shape, padding=1)
    assert resident() > before
    dipkernels.free_memory()
    assert resident() < before + (24 << 20)
