"""The tester tested: faults planted in kernels are caught by the emulation.

The emulation is built only by request (`cmake -S csrc --preset sanitizer`), and run by `.ci/sanitize`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

emulated = pytest.importorskip("dipkernels._cuda_emulated", reason="the emulation of CUDA kernels is not built")


def results(fault: str) -> list[bool]:
    """Whether the kernel with this fault was right, in several orders of its threads."""
    right = []
    for seed in range(4):
        emulated.set_seed(seed)
        right.append(emulated.run_planted_fault(fault))
    return right


def test_sound_kernels_pass() -> None:
    assert all(results("none"))
    assert all(results("warpgroup"))
    assert all(results("mapped"))


@pytest.mark.parametrize("seed", range(4))
def test_a_missing_barrier_is_caught_in_any_order_of_the_threads(seed: int) -> None:
    emulated.set_seed(seed)
    with pytest.raises(RuntimeError, match="same shared memory, and no barrier orders them"):
        emulated.run_planted_fault("missing_barrier")


@pytest.mark.parametrize("seed", range(4))
def test_a_copy_that_was_not_waited_for_is_caught(seed: int) -> None:
    emulated.set_seed(seed)
    assert not emulated.run_planted_fault("missing_wait")


@pytest.mark.parametrize("missing", ["fence", "barrier"])
def test_products_of_a_warpgroup_that_do_not_wait_for_their_operands_are_caught(missing: str) -> None:
    with pytest.raises(RuntimeError, match="a product uses shared memory that"):
        emulated.run_planted_fault(f"warpgroup_without_{missing}")


def test_products_of_a_warpgroup_that_were_not_waited_for_are_caught() -> None:
    assert not any(results("warpgroup_without_finish"))


def test_what_the_copy_unit_has_not_brought_yet_is_not_there() -> None:
    assert not any(results("mapped_read_early"))


def test_what_the_copy_unit_brings_after_the_end_is_caught() -> None:
    with pytest.raises(RuntimeError, match="a block ended before all came"):
        emulated.run_planted_fault("mapped_unfinished")


def test_waiting_for_bytes_that_nobody_asked_for_is_caught() -> None:
    with pytest.raises(RuntimeError, match="a phase that threads wait for does not end"):
        emulated.run_planted_fault("mapped_expecting_more")
    assert all(results("mapped"))  # the next kernel runs


def test_a_read_beyond_a_shared_array_is_caught() -> None:
    with pytest.raises(RuntimeError, match="outside a shared array"):
        emulated.run_planted_fault("shared_out_of_bounds")


def test_a_barrier_that_not_all_threads_reach_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="not reached by all threads"):
        emulated.run_planted_fault("divergent_barrier")
    assert emulated.run_planted_fault("none")  # the next kernel runs


def test_a_launch_that_no_gpu_takes_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no GPU takes such a launch"):
        emulated.run_planted_fault("too_many_threads")


def test_an_unknown_fault_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no fault"):
        emulated.run_planted_fault("typing_error")


def test_a_write_out_of_bounds_is_caught_under_address_sanitizer() -> None:
    if "libasan" not in Path("/proc/self/maps").read_text():
        pytest.skip("needs AddressSanitizer, as in .ci/sanitize")
    code = "from dipkernels import _cuda_emulated as e; e.run_planted_fault('out_of_bounds')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
