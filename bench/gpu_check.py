"""One command for a machine with a GPU: tests, memory checker, and the benchmark against cuDNN.

    python -m bench.gpu_check --out FOLDER

builds nothing. From the root of a checkout, with dipkernels and PyTorch installed, it runs the tests on the GPU,
compute-sanitizer on a few of them where that is installed, training of LeNet-5 with captured steps, and every operator
against PyTorch and cuDNN. It writes gpu_check.json and gpu_check.md, and ends with an error where a check failed.
`--rehearse` goes through the same motions on the emulation, at toy sizes, to see that the command itself works.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import contest, devices, machine, operators, report, steps
from dipkernels import data, models, nn, ops, train
from dipkernels.train.gpu import GpuEpochs
from dipkernels.train.progress import SilentBar

ROOT = Path(__file__).resolve().parent.parent
TESTS = ["operators", "half_precision", "nonfinite", "bad_input", "properties", "gradients", "torch", "libraries"]
TESTS += ["cuda", "gemm", "small_products", "gpu_training", "graphs", "long_sums"]
TOY_TESTS = ["cuda"]
CHECKED = "lenet or vgg or stride2 or groups or 64x37x50 or max_pool or cross_entropy or adam or unpool"


def _pytest(device: str, *arguments: str, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    environment = {**os.environ, "DIPKERNELS_DEVICE": device, "DIPKERNELS_REQUIRE_CUDA": "1"}
    workers = ["-n", "4"] if importlib.util.find_spec("xdist") and not prefix else []
    start = time.perf_counter()
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    tail = done.stdout.strip().splitlines()[-12:] + done.stderr.strip().splitlines()[-6:]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", done.stdout)}
    ok = done.returncode == 0 and counts.get("passed", 0) > 0
    result = {"ok": ok, "seconds": round(time.perf_counter() - start, 1), **counts}
    print(result, flush=True)
    return result if ok else {**result, "tail": tail}


def _memory_check(device: str) -> dict[str, Any]:
    tool = shutil.which("compute-sanitizer")
    if tool is None or device != "cuda":
        return {"ok": True, "skipped": "compute-sanitizer is not installed"}
    prefix = (tool, "--tool", "memcheck", "--error-exitcode", "99", "--target-processes", "all")
    return _pytest(device, "tests/operators/test_operators.py", "-k", f"matches_oracle and ({CHECKED})", prefix=prefix)


def _training(rehearse: bool, mnist: Path | None) -> dict[str, Any]:
    """LeNet-5 on the GPU: accuracy, and the time of a captured step at three batch sizes."""
    parts = data.digits() if mnist is None else data.mnist(mnist, size=(32, 32))
    model = models.lenet5(seed=0)
    examples = data.Dataset(parts.train.x[:64], parts.train.t[:64]) if rehearse else parts.train
    epochs = 1 if rehearse else 20 if mnist is None else 12
    history = train.fit(
        model, examples, optimizer=nn.Adam(0.002), epochs=epochs, batch_size=64, device="cuda", progress=False,
        schedule=lambda epoch: 0.002 * (0.5 + 0.5 * math.cos(math.pi * (epoch - 1) / epochs)),
    )  # fmt: skip
    result: dict[str, Any] = {"data": "digits" if mnist is None else "MNIST", "epochs": epochs}
    result["test accuracy"] = train.evaluate(model, parts.test if not rehearse else examples).accuracy
    result["ok"] = rehearse or result["test accuracy"] > (0.96 if mnist is None else 0.985)
    result["images/s"] = statistics.median(epoch.images_per_second for epoch in history.epochs)
    for size in () if rehearse else (64, 256, 1024):
        count = 40 * size
        chosen = np.arange(count) % len(parts.train)
        history = train.fit(models.lenet5(seed=0), parts.train.subset(chosen), optimizer=nn.SGD(0.01), epochs=6,
                            batch_size=size, device="cuda", progress=False)  # fmt: skip
        result[f"ms a step, batch {size}"] = 1e3 * min(epoch.seconds for epoch in history.epochs[2:]) / 40
        result[f"CUDA graph alone, batch {size}"] = _our_step(parts.train.subset(chosen), size)
        result[f"PyTorch, CUDA graph, batch {size}"] = _torch_step(parts.train.subset(chosen), size)
    print(result, flush=True)
    return result


def _our_step(examples: data.Dataset, size: int) -> float:
    """Milliseconds of a captured step without what an epoch costs the host, as `_torch_step` takes them."""
    epochs = GpuEpochs(models.lenet5(seed=0), examples, nn.SGD(0.01), ops.cross_entropy_with_grad, size)
    with contextlib.closing(epochs):
        epochs.run(1, np.arange(len(examples)), np.random.default_rng(0), None, SilentBar())
        (seconds,) = devices.Gpu().times(lambda: epochs.step_again(size))
    return seconds * 1e3


def _torch_step(examples: data.Dataset, size: int) -> float:
    """Milliseconds of the same step in PyTorch, captured as a CUDA graph too."""
    network = steps.torch_lenet5().cuda()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, fused=True)
    all_x, all_t = torch.from_numpy(examples.x).cuda(), torch.from_numpy(examples.t).cuda()
    order = torch.arange(size).cuda()

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        torch.nn.functional.cross_entropy(network(all_x[order]), all_t[order]).backward()
        optimizer.step()

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    (seconds,) = devices.Gpu().times(graph.replay)
    return seconds * 1e3


def _markdown(checks: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    lines = [f"- {name}: {value}" for name, value in machine.describe().items()]
    lines += ["", "| check | result |", "|---|---|"]
    for name, result in checks.items():
        figures = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items()
        )
        lines.append(f"| {name} | {figures} |")
    lines += ["", "| operator | geometric mean of PyTorch's time over ours | worst | rows |", "|---|---|---|---|"]
    lines += [f"| {n} | {mean:.2f} | {worst:.2f} | {count} |" for n, mean, worst, count in report.means(rows)]
    lines += ["", "| operator | shape | ours ms | PyTorch ms | ratio | ours | PyTorch | unit | error | PyTorch's |"]
    lines += ["|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        errors = [f"{row[key]:.1e}" if key in row else "" for key in ("error", "torch error")]
        cells = [row["operator"], row["shape"], *(f"{row[key]:.4g}" for key in ("ms", "torch ms", "ratio", "rate"))]
        lines.append("| " + " | ".join([*cells, f"{row['torch rate']:.4g}", row["unit"], *errors]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs everything and writes the two files."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_check", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu_check.json and gpu_check.md")
    parser.add_argument("--mnist", type=Path, help="the folder with MNIST's four idx files; else the built-in digits")
    parser.add_argument("--only", default="", help="benchmark only operators whose name contains this")
    parser.add_argument("--rehearse", action="store_true", help="on the emulation, at toy sizes")
    arguments = parser.parse_args()
    chosen = os.environ.get("DIPKERNELS_DEVICE", "cuda")
    if arguments.rehearse != (chosen == "emulated"):
        parser.error("DIPKERNELS_DEVICE=emulated and --rehearse go together")
    device = devices.Rehearsal() if arguments.rehearse else devices.Gpu()
    files = [str(next(ROOT.glob(f"tests/*/test_{name}.py"))) for name in (TOY_TESTS if arguments.rehearse else TESTS)]
    checks = {"tests": _pytest(chosen, *files), "memory checker": _memory_check(chosen)}
    checks["training LeNet-5"] = _training(arguments.rehearse, arguments.mnist)
    if arguments.rehearse:
        print("\na rehearsal: that these lines come is all they say")
    rows = report.show(contest.measure(device, operators.contests(device), arguments.only), {})
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine.write(arguments.out / "gpu_check.json", rows, checks)
    (arguments.out / "gpu_check.md").write_text(_markdown(checks, rows))
    if not all(result["ok"] for result in checks.values()):
        sys.exit("gpu_check: a check failed; gpu_check.json has its last lines")


if __name__ == "__main__":
    main()
