"""Puts a CUDA toolkit together from wheels, for machines that have none: `python csrc/toolkit.py wheels13 FOLDER`.

`wheels13` is nvcc 13 (nvidia-cuda-nvcc, nvidia-nvvm, nvidia-cuda-crt, nvidia-cuda-runtime, nvidia-cuda-cccl, of one
version). `wheels12` is what clang++-22 needs to build for CUDA 12 (nvidia-cuda-nvcc-cu12, nvidia-cuda-runtime-cu12,
nvidia-cuda-cccl-cu12), and the fatbinary of nvidia-cuda-nvcc 13, which the wheels of CUDA 12 lack. CMake calls it
where DIPKERNELS_TOOLKIT says so.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

# What clang's and CMake's probes ask of nvcc.
NVCC = """#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
echo "#\\$ TOP=$here" >&2
echo "Cuda compilation tools, release 12.9, V12.9.86"
"""


def wheel(name: str) -> Path:
    """The folder nvidia/`name` of the installed wheels; an error that says what to install where there is none."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        if (Path(folder) / name).is_dir():
            return Path(folder) / name
    sys.exit(f"toolkit: the wheel with nvidia/{name} is not installed in {sys.prefix}")


def merge(source: Path, target: Path) -> None:
    """Copies a tree into another."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))


def link(target: Path, name: str) -> None:
    """A symbolic link beside its target."""
    path = target.with_name(name)
    path.unlink(missing_ok=True)
    path.symlink_to(target.name)


def main() -> None:
    """Builds the folder."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "wheels13":
        merge(wheel("cu13"), folder)
        link(folder / "lib", "lib64")
        link(folder / "lib" / "libcudart.so.13", "libcudart.so")
        for program in (folder / "bin").iterdir():
            program.chmod(0o755)
        return
    if kind != "wheels12":
        sys.exit(f"toolkit: the first argument must be wheels12 or wheels13, got {kind}")
    for name in ("cuda_runtime", "cuda_nvcc", "cuda_cccl"):
        merge(wheel(name), folder)
    # clang includes this header and uses nothing of it; the wheel that has it is 68 MB.
    (folder / "include" / "curand_mtgp32_kernel.h").touch()
    merge(folder / "lib", folder / "lib64")
    link(folder / "lib64" / "libcudart.so.12", "libcudart.so")
    shutil.copy(wheel("cu13") / "bin" / "fatbinary", folder / "bin" / "fatbinary")
    (folder / "bin" / "nvcc").write_text(NVCC)
    for program in (folder / "bin").iterdir():
        program.chmod(0o755)


if __name__ == "__main__":
    main()
