"""The README's recipe for a new operator, tried to the letter on a toy: y = −x, with everything an operator has."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [tool for tool in ("cmake", "ninja") if shutil.which(tool) is None]
TOOLS += [] if importlib.util.find_spec("pybind11") else ["pybind11"]

# What the recipe says to write, by the paths that it names, with `negate` for x.
FILES = {
    "python/dipkernels/reference/negate.py": '''
        """The oracle of the toy."""

        import numpy as np

        __all__ = ["negate"]


        def negate(x):
            return -np.asarray(x, np.float64)
    ''',
    "tests/cases/negate.py": '''
        """Cases of the toy: exact."""

        from cases.case import Case, normal

        CASES = [Case("negate", label, (normal(*shape),)) for label, shape in {"odd": (3, 37), "empty": (0, 4)}.items()]
    ''',
    "csrc/ops/negate/negate.h": """
        #pragma once

        #include <cstdint>

        #include "core/reals.h"

        namespace dip::DIP_BACKEND {

        void negate(std::int64_t count, Reals x, RealResults y);

        }  // namespace dip::DIP_BACKEND
    """,
    "csrc/ops/negate/bind.cpp": """
        #include "bind/arguments.h"
        #include "bind/families.h"
        #include "ops/negate/negate.h"

        namespace dip {
        namespace negate_functions {

        py::object run(py::object x_, py::object out) {
          const Arguments args("negate");
          Array x = args.input(x_, "x", "*");
          Result y = args.output(out, "out", x.shape());
          args.check_apart(y, x, "x", true);
          compute(backend::negate, x.count(), x, y);
          return y.object();
        }

        }  // namespace negate_functions

        void bind_negate(py::module_& m) {
          using namespace negate_functions;
          m.def("negate", run, py::arg("x"), py::arg("out"));
        }

        }  // namespace dip
    """,
    "csrc/ops/negate/kernels.h": """
        #pragma once

        #include "cpu/kernel_table.h"

        namespace dip::cpu {

        struct NegateKernels {
          void (*run)(std::int64_t count, const float* x, float* y);
        };

        }  // namespace dip::cpu

        DIP_KERNEL_TABLE(NegateKernels, negate_kernels)
    """,
    "csrc/ops/negate/kernels.cpp": """
        #include "ops/negate/kernels.h"

        #include "cpu/simd.h"

        namespace dip::cpu::DIP_ISA {
        namespace {

        void run(std::int64_t count, const float* x, float* y) {
          for (std::int64_t i = 0; i < count; i += W) {
            const std::int64_t n = lanes_at(i, count);
            store_some(y + i, -load_some(x + i, n), n);
          }
        }

        }  // namespace

        extern const NegateKernels negate_kernels = {.run = run};

        }  // namespace dip::cpu::DIP_ISA
    """,
    "csrc/ops/negate/cpu.cpp": """
        #include "cpu/parallel.h"
        #include "ops/negate/kernels.h"
        #include "ops/negate/negate.h"

        namespace dip::cpu {

        void negate(std::int64_t count, Reals x, RealResults y) {
          parallel_ranges(count, element_grain(count), [&](std::int64_t begin, std::int64_t end) {
            negate_kernels().run(end - begin, x + begin, y + begin);
          });
        }

        }  // namespace dip::cpu
    """,
    "csrc/ops/negate/device.cu": """
        #include "cuda/half.h"
        #include "ops/negate/negate.h"

        namespace dip::cuda {
        namespace {

        __global__ void negate_kernel(std::int64_t count, Reals x, RealResults y) {
          for (std::int64_t i = first_element(); i < count; i += element_step()) write(y, i, -read(x, i));
        }

        }  // namespace

        void negate(std::int64_t count, Reals x, RealResults y) {
          launch_elements(negate_kernel, count, count, x, y);
        }

        }  // namespace dip::cuda
    """,
    "python/dipkernels/ops/negate.py": '''
        """The toy."""

        from dipkernels.ops.backend import backend_of

        __all__ = ["negate"]


        def negate(x, *, out=None):
            """-x.

            >>> negate(np.float32([1, -2]))
            array([-1.,  2.], dtype=float32)
            """
            return backend_of("negate", x).negate(x, out)
    ''',
}
LINES = {
    "csrc/bind/families.def": "DIP_FAMILY(negate)",
    "python/dipkernels/ops/__init__.py": "from dipkernels.ops.negate import *",
    "python/dipkernels/reference/__init__.py": "from dipkernels.reference.negate import *",
}


def recipe() -> str:
    text = (ROOT / "README.md").read_text()
    return text[text.index("### How to add an operator") : text.index("### For developers")]


def test_the_recipe_names_these_files_and_lines() -> None:
    named = set(re.findall(r"`([\w/]+\.\w+)`", recipe()))
    folder = "csrc/ops/x/"
    in_folder = {name for name in named if "/" not in name}
    assert {folder + name for name in in_folder} | {name for name in named if "/" in name} == {
        path.replace("negate", "x") for path in [*FILES, *LINES]
    }
    for line in LINES.values():
        assert f"`{line.replace('negate', 'x')}`" in recipe()


@pytest.mark.skipif(bool(TOOLS), reason=f"needs {' and '.join(TOOLS)} to build")
def test_the_recipe_makes_an_operator(tmp_path: Path) -> None:
    for name in ("csrc", "python", "tests", "pyproject.toml"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(dedent(text).lstrip())
    for path, line in LINES.items():
        before = (tmp_path / path).read_text()
        *_, last = re.finditer(rf"^{re.escape(line.split('negate')[0])}.*\n", before, re.MULTILINE)
        (tmp_path / path).write_text(f"{before[: last.end()]}{line}\n{before[last.end() :]}")

    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "python")}
    environment.pop("DIPKERNELS_DEVICE", None)

    def do(*command: str) -> None:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    options = {"CMAKE_BUILD_TYPE": "Debug", "CMAKE_CXX_FLAGS_DEBUG": "-O0", "DIPKERNELS_CUDA": "off"}
    options |= {"DIPKERNELS_EMULATION": "ON", "Python_EXECUTABLE": sys.executable}
    do("cmake", "-G", "Ninja", "-S", "csrc", "-B", "build", *(f"-D{name}={value}" for name, value in options.items()))
    do("ninja", "-C", "build", "_cpu", "cuda/emulation/CMakeFiles/dip_emulation.dir/__/__/ops/negate/device.cu.o")
    for module in (tmp_path / "build").glob("_cpu*.so"):
        shutil.copy(module, tmp_path / "python/dipkernels")
    tests = ["tests/operators/test_operators.py", "tests/operators/test_wrong_arguments.py"]
    do(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "negate or same_names")
