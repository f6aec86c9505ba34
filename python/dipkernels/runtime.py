"""What this installation has, and how many threads and which instruction set it uses."""

from __future__ import annotations

from dipkernels import _cpu, cuda


def num_threads() -> int:
    """The number of threads the CPU kernels use; at the start the number of usable cores.

    The environment variable DIPKERNELS_NUM_THREADS sets another one. Results are the same bits for any number.
    """
    return _cpu.num_threads()


def set_num_threads(count: int) -> None:
    """Use `count` threads, 1 to 256; ValueError for another number."""
    _cpu.set_num_threads(count)


def isa() -> str:
    """The instruction set in use: "baseline", "avx2", "avx512", "avx512_bf16" or "amx"."""
    return _cpu.isa()


def available_isas() -> list[str]:
    """The instruction sets of this machine that the CPU kernels have uses for, the best last.

    "avx512_bf16" and "amx" are "avx512" with instructions for products of bfloat16 numbers.
    """
    return _cpu.available_isas()


def set_isa(name: str) -> None:
    """Use another of the machine's instruction sets; ValueError for one it does not have.

    The environment variable DIPKERNELS_ISA caps it from the start: the best that the machine has up to that one.
    """
    _cpu.set_isa(name)


def free_memory() -> None:
    """Returns to the system the memory that operators on the CPU keep: of dropped results for the next ones, at most a
    sixteenth of the machine's or the container's memory, and what threads need while they work.
    """
    _cpu.free_memory()


def _threads() -> str:
    wanted, started = num_threads(), _cpu.started_threads()
    return str(wanted) if started == wanted else f"{started}: of {wanted} the system started no more"


def info() -> dict[str, str]:
    """What `dipkernels info` prints: the build, the backends, the instruction sets and the threads.

    >>> info()["cpu backend"]
    'ready'
    """
    build = _cpu.build_info()
    return {
        "cpu backend": "ready",
        "cuda backend": cuda.state(),
        "instruction set": isa(),
        "available": ", ".join(available_isas()),
        "threads": _threads(),
        "compiler": f"{build['compiler']}, {build['build_type']}",
    }
