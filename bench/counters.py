"""What the GPU kernels ask of memory, counted on the emulation: no kernel need be tuned blind where there is no GPU.

    python -m bench.counters [--only conv2d] [--lines]

builds the emulation with counters by clang++-22 into build/counters, the first time in some minutes, runs each operator
at a small size, and prints for each of its kernels, and with --lines for each of its source lines, what Nsight Compute
would: requests of warps; sectors of 32 bytes of global memory to a request, and how much of them is used; wavefronts of
shared memory to a request, 1 where no two lanes want different words of a bank.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "counters"
MEMORIES = ("global load", "global store", "shared load", "shared store", "shared atomic")


def build() -> Path:
    """The module with counters, brought up to date."""
    for tool in ("clang++-22", "llvm-symbolizer-22", "cmake"):
        if shutil.which(tool) is None:
            sys.exit(f"counters: {tool} is not on PATH; Debian's packages clang-22, llvm-22 and cmake have these tools")
    print("building the emulation with counters ...", flush=True)
    options = [
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",  # which is not stripped of the lines
        "-DCMAKE_CXX_COMPILER=clang++-22",
        f"-DPython_EXECUTABLE={sys.executable}",
    ]
    options += ["-DDIPKERNELS_CUDA=off", "-DDIPKERNELS_EMULATION=ON", "-DDIPKERNELS_COUNTERS=ON"]
    for command in (
        ["cmake", "-S", str(ROOT / "csrc"), "-B", str(BUILD), *options],
        ["cmake", "--build", str(BUILD), "--target", "_cuda_emulated", "-j", str(os.cpu_count())],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"counters: {' '.join(command[:3])} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return next((BUILD / "cuda" / "emulation").glob("_cuda_emulated*.so"))


def load(module: Path) -> Any:
    """The module, in the place of dipkernels' own emulation: before dipkernels is imported."""
    os.environ["DIPKERNELS_DEVICE"] = "emulated"
    spec = importlib.util.spec_from_file_location("dipkernels._cuda_emulated", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def cases() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Operators at sizes of which a request tells what one of a large size does."""
    from dipkernels import cuda, ops

    def array(*shape: int) -> Any:
        return cuda.to_device(np.random.default_rng(list(shape)).standard_normal(shape, np.float32))

    convolutions = [
        ("LeNet conv1", (2, 1, 32, 32), (6, 1, 5, 5), {}),
        ("LeNet conv2", (2, 6, 14, 14), (16, 6, 5, 5), {}),
        ("depthwise", (1, 8, 56, 56), (8, 1, 3, 3), {"padding": 1, "groups": 8}),
        ("AlexNet conv1", (1, 3, 59, 59), (96, 3, 11, 11), {"stride": 4}),
        ("ResNet 128", (1, 128, 14, 14), (128, 128, 3, 3), {"padding": 1}),
    ]
    for name, x_shape, w_shape, options in convolutions:
        x, weight = array(*x_shape), array(*w_shape)
        dy = ops.conv2d(x, weight, **options)
        for dtype in ("float32", "bfloat16"):
            a, w, d = (each.astype(dtype) for each in (x, weight, dy))
            label = f"{name} {dtype}"
            yield f"conv2d {label}", lambda a=a, w=w, o=options: ops.conv2d(a, w, **o)
            yield (
                f"conv2d_backward_data {label}",
                lambda d=d, w=w, s=x_shape, o=options: ops.conv2d_backward_data(d, w, s, **o),
            )
            yield (
                f"conv2d_backward_weight {label}",
                lambda d=d, a=a, s=w_shape, o=options: ops.conv2d_backward_weight(d, a, s, **o),
            )
    x, weight, dy = array(64, 784), array(300, 784), array(64, 300)
    yield "linear 64x784->300", lambda: ops.linear(x, weight)
    yield "linear_backward_data 64x784->300", lambda: ops.linear_backward_data(dy, weight)
    yield "linear_backward_weight 64x784->300", lambda: ops.linear_backward_weight(dy, x)
    for size, stride in ((2, 2), (3, 2)):
        images = array(1, 2, 113 if size == 3 else 112, 113 if size == 3 else 112)
        y, indices = ops.max_pool2d_with_indices(images, size, stride)
        yield f"max_pool2d F{size} S{stride}", lambda i=images, f=size, s=stride: ops.max_pool2d(i, f, s)
        yield (
            f"max_pool2d_backward F{size} S{stride}",
            lambda y=y, i=indices, s=images.shape: ops.max_pool2d_backward(y, i, s),
        )
        yield f"avg_pool2d F{size} S{stride}", lambda i=images, f=size, s=stride: ops.avg_pool2d(i, f, s)
    vector, logits = array(1 << 16), array(64, 10)
    labels = cuda.to_device(np.random.default_rng(0).integers(0, 10, 64))
    yield "relu", lambda: ops.relu(vector)
    yield "cross_entropy_with_grad", lambda: ops.cross_entropy_with_grad(logits, labels)
    weights, gradients, first, second = (array(1 << 14) for _ in range(4))
    yield "adam_step", lambda: ops.adam_step([weights], [gradients], [first], [second], 1)


def symbols(module: Path, addresses: set[int]) -> dict[int, list[dict[str, Any]]]:
    """The frames of each address, the innermost first."""
    order = sorted(addresses)
    done = subprocess.run(
        ["llvm-symbolizer-22", f"--obj={module}", "--output-style=JSON", "--inlines"],
        input="".join(f"{address:#x}\n" for address in order), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {a: json.loads(line)["Symbol"] for a, line in zip(order, done.stdout.splitlines(), strict=True)}


def _line(frames: list[dict[str, Any]]) -> str:
    """The innermost place that is a kernel's, and not the emulation's or a type's."""
    for frame in frames:
        name = frame["FileName"]
        if "csrc/" in name and "csrc/cuda/emulation/" not in name and not name.endswith("cuda/half.h"):
            return f"{name.rpartition('csrc/')[2]}:{frame['Line']}"
    return f"{Path(frames[0]['FileName']).name}:{frames[0]['Line']}"


class Kernel:
    """What one kernel did in all its launches; each total is (requests, units, least units, bytes, lanes).

    `read` and `written`: the sectors of global memory that it touched, each counted once.
    """

    def __init__(self, name: str, launches: int, blocks: int, threads: int, read: int, written: int) -> None:
        self.name, self.launches, self.blocks, self.threads = name, launches, blocks, threads
        self.read, self.written = read, written
        self.totals: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
        self.lines: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 5)
        self.events: list[tuple[str, int, int]] = []

    def add(self, memory: str, line: str, total: list[int]) -> None:
        """Adds what one place of the program asked for."""
        for to in (self.totals[memory], self.lines[memory, line]):
            for i, number in enumerate(total):
                to[i] += number


def take(backend: Any, module: Path) -> list[Kernel]:
    """The kernels that ran since the last call."""
    kernels, places, events = backend.take_counts()
    frames = symbols(module, {k[0] for k in kernels} | {p[1] - 1 for p in places})
    found = {}
    for offset, *launched in kernels:
        name = re.sub(r"dip::cuda::|dip::|\(anonymous namespace\)::|^void ", "", frames[offset][-1]["FunctionName"])
        found[offset] = Kernel(name, *launched)
    for kernel, place, memory, *total in places:
        found[kernel].add(MEMORIES[memory], _line(frames[place - 1]), total)
    for kernel, what, times, wavefronts in events:
        found[kernel].events.append((what, times, wavefronts))
    return list(found.values())


def _row(label: str, memory: str, total: list[int]) -> str:
    requests, units, least, used, lanes = total
    if memory.startswith("global"):
        what = f"{units / requests:6.2f} sectors a request, {used / units:5.1f} of 32 bytes used"
    else:
        what = f"{units / requests:6.2f} wavefronts a request, {units / least:5.2f} of the least"
    return f"    {label:46} {requests:9} requests, {lanes / requests:4.1f} lanes, {what}"


def show(kernels: list[Kernel], multiprocessors: int, lines: bool) -> None:
    """Prints them, the kernel with the most blocks first."""
    for kernel in sorted(kernels, key=lambda each: -each.blocks):
        waves = kernel.blocks / kernel.launches / multiprocessors
        print(f"  {kernel.name[:110]}")
        print(f"    {kernel.launches} x {kernel.blocks // kernel.launches} blocks of {kernel.threads} threads, "
              f"{waves:.2f} for each of {multiprocessors} multiprocessors; "
              f"{32 * kernel.read} bytes read and {32 * kernel.written} written, each once")  # fmt: skip
        for memory in MEMORIES:
            if memory in kernel.totals:
                print(_row(memory, memory, kernel.totals[memory]))
        for what, times, wavefronts in kernel.events:
            print(f"    {times} {what}{f', {wavefronts} wavefronts' if wavefronts else ''}")
        for (memory, line), total in sorted(kernel.lines.items()) if lines else ():
            print(_row(f"  {memory} {line}", memory, total))


def main() -> None:
    """Builds, runs and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.counters", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="operators whose name contains this")
    parser.add_argument("--lines", action="store_true", help="every source line that uses memory")
    parser.add_argument("--multiprocessors", type=int, default=132, help="of the GPU that plans are made for")
    arguments = parser.parse_args()
    module = build()
    backend = load(module)
    backend.set_multiprocessors(arguments.multiprocessors)
    for label, run in cases():
        backend.take_counts()
        if arguments.only not in label:
            continue
        run()
        print(f"\n{label}")
        show(take(backend, module), arguments.multiprocessors, arguments.lines)


if __name__ == "__main__":
    main()
