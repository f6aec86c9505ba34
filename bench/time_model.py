"""How long the GPU's kernels should take, from what the emulation counts of them.

    python -m bench.time_model bench/results/2026-11-27-h200-operators.json [--fit]

A kernel takes its launch and the longest of: the memory it reads and writes once; the sectors, the wavefronts of shared
memory, the multiply-adds and the tensor cores' products that the busiest multiprocessor has to do; and what one warp
waits for, request after request. With few warps a multiprocessor reaches a part of its rates only. The emulation runs
each operator at the size of a share of the batch, as on a GPU with that share of the multiprocessors, so that plans and
blocks are those of the whole.

The rates are fitted, with --fit, to the kernels' times in the file, and are then printed for this one; without, the
rates below say what each row should take, beside what it took. The emulation cannot know which loads hit the caches,
nor how many registers a kernel has: a row far from its prediction is one to look at, not an error of either.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import track

from bench import counters

MULTIPROCESSORS = 132


class Rates(NamedTuple):
    """Of an H200: what a launch takes, and what each multiprocessor does in a microsecond."""

    launch: float = 1.865  # microseconds
    memory: float = 2.374e04  # bytes
    sectors: float = 4098
    wavefronts: float = 1428
    multiply_adds: float = 7.859e04
    warp_products: float = 5.739e05  # multiply-adds of 16 bits on tensor cores, by single warps
    group_products: float = 1.223e06  # and by warpgroups
    latency: float = 0.0142  # microseconds a request of a warp waits, of several under way
    warps: float = 0.5895  # of a multiprocessor, for half of the rates of memory, sectors, wavefronts and multiply-adds


# What the hardware cannot exceed, at 1.98 GHz.
CEILINGS = Rates(
    launch=4, memory=36400, sectors=7920, wavefronts=1980, multiply_adds=253000, warp_products=2.03e6,
    group_products=2.03e6, latency=1, warps=32,
)  # fmt: skip


class Case(NamedTuple):
    """An operator at `share` of the size of a row of the benchmark; `work` multiply-adds, or none to speak of."""

    operator: str
    shape: str
    share: float
    work: float
    run: Callable[[], Any]


def _array(*shape: int) -> Any:
    from dipkernels import cuda

    return cuda.to_device(np.random.default_rng(list(shape)).standard_normal(shape, np.float32))


def _convolutions() -> Iterator[Case]:
    from dipkernels import ops

    # name, images of 64, C, H, K, F, stride, padding, groups
    for name, n, c, h, k, f, stride, padding, groups in [
        ("LeNet conv1", 8, 1, 32, 6, 5, 1, 0, 1),
        ("LeNet conv2", 8, 6, 14, 16, 5, 1, 0, 1),
        ("AlexNet conv1", 1, 3, 227, 96, 11, 4, 0, 1),
        ("ResNet 128", 1, 128, 28, 128, 3, 1, 1, 1),
        ("stride 2", 1, 128, 57, 128, 3, 2, 0, 1),
        ("depthwise", 1, 64, 56, 64, 3, 1, 1, 64),
    ]:
        x, weight = _array(n, c, h, h), _array(k, c // groups, f, f)
        options: dict[str, Any] = {"stride": stride, "padding": padding, "groups": groups}
        dy = ops.conv2d(x, weight, **options)
        work = float(math.prod(dy.shape)) * (c // groups) * f * f
        shape = f"N64 C{c} {h}x{h} K{k} F{f}"
        for dtype in ("float32", "bfloat16"):
            a, w, d = (each.astype(dtype) for each in (x, weight, dy))
            label = name if dtype == "float32" else f"bfloat16 {name}"
            for op, arguments in [
                ("conv2d", (a, w)),
                ("conv2d_backward_data", (d, w, x.shape)),
                ("conv2d_backward_weight", (d, a, weight.shape)),
            ]:
                yield Case(
                    f"{op} {label}", shape, n / 64, work,
                    lambda f=op, t=arguments, o=options: getattr(ops, f)(*t, **o),
                )  # fmt: skip


def _others() -> Iterator[Case]:
    from dipkernels import cuda, ops

    for n, i, o in ((64, 784, 300), (64, 400, 120)):
        x, weight, dy = _array(n, i), _array(o, i), _array(n, o)
        shape, work = f"N{n} {i}->{o}", float(n * i * o)
        yield Case("linear", shape, 1, work, lambda x=x, w=weight: ops.linear(x, w))
        yield Case("linear_backward_data", shape, 1, work, lambda d=dy, w=weight: ops.linear_backward_data(d, w))
        yield Case("linear_backward_weight", shape, 1, work, lambda d=dy, x=x: ops.linear_backward_weight(d, x))
    for size, h in ((2, 112), (3, 113)):
        x = _array(1, 64, h, h)
        y, indices = ops.max_pool2d_with_indices(x, size, 2)
        shape = f"N64 C64 {h}x{h} F{size} S2"
        yield Case("max_pool2d", shape, 1 / 64, 0, lambda x=x, f=size: ops.max_pool2d_with_indices(x, f, 2))
        yield Case(
            "max_pool2d_backward", shape, 1 / 64, 0, lambda y=y, i=indices, s=x.shape: ops.max_pool2d_backward(y, i, s)
        )
        yield Case("avg_pool2d", shape, 1 / 64, 0, lambda x=x, f=size: ops.avg_pool2d(x, f, 2))
    x = _array(1 << 16)
    for op in ("relu", "sigmoid", "tanh"):
        yield Case(op, "65536", 1, 0, lambda x=x, f=op: getattr(ops, f)(x))
        yield Case(op, "4194304", 1 / 64, 0, lambda x=x, f=op: getattr(ops, f)(x))
    for shape, n, classes in (("(64, 10)", 64, 10), ("(4096, 1000)", 64, 1000)):
        logits, labels = _array(n, classes), cuda.to_device(np.random.default_rng(0).integers(0, classes, n))
        share = 1 if classes == 10 else 1 / 64
        yield Case(
            "cross_entropy_with_grad", shape, share, 0, lambda z=logits, t=labels: ops.cross_entropy_with_grad(z, t)
        )
    weights, gradients, first, second = (_array(1 << 16) for _ in range(4))
    yield Case(
        "adam_step", "4M", 1 / 64, 0,
        lambda w=weights, g=gradients, a=first, b=second: ops.adam_step([w], [g], [a], [b], 1),
    )  # fmt: skip


class Counted(NamedTuple):
    """What a kernel does, and on how many multiprocessors."""

    multiprocessors: int
    launches: int
    blocks: float  # of a launch
    memory: float  # bytes, each once
    sectors: float
    wavefronts: float
    multiply_adds: float
    warp_products: float
    group_products: float
    requests_of_a_warp: float
    warps: float  # of a multiprocessor, up to what one has at a time


def _products(events: list[tuple[str, int, int]]) -> tuple[float, float]:
    """Multiply-adds on tensor cores, as of 16 bits, by warps and by warpgroups."""
    sizes = {"16x8x16": 16 * 8 * 16, "16x8x8": 2 * 16 * 8 * 8, "64x128x16": 64 * 128 * 16}
    warps = groups = 0.0
    for what, times, _ in events:
        size = next((size for name, size in sizes.items() if f" {name} " in what), 0)
        groups += times * size if "warpgroup" in what else 0
        warps += 0 if "warpgroup" in what else times * size
    return warps, groups


def count(case: Case, backend: Any, module: Path) -> list[Counted]:
    """Runs a case on the emulation."""
    multiprocessors = max(1, round(MULTIPROCESSORS * case.share))
    backend.set_multiprocessors(multiprocessors)
    backend.take_counts()
    case.run()
    kernels = counters.take(backend, module)
    multiplies = max(kernels, key=lambda each: sum(total[0] for total in each.totals.values()))
    on_tensor_cores = any(sum(_products(kernel.events)) for kernel in kernels)
    found = []
    for kernel in kernels:
        totals = kernel.totals
        warp_products, group_products = _products(kernel.events)
        requests = sum(total[0] for total in totals.values())
        warps = kernel.blocks * max(1, kernel.threads // 32)
        # Weights are packed for all images: they have no share.
        own = MULTIPROCESSORS if kernel.name.startswith("pack_weights") else multiprocessors
        found.append(
            Counted(
                own,
                kernel.launches,
                kernel.blocks / kernel.launches,
                32.0 * (kernel.read + kernel.written),
                sum(totals[m][1] for m in totals if m.startswith("global"))
                + sum(4 * wavefronts for what, _, wavefronts in kernel.events if what.startswith("boxes")),
                sum(totals[m][1] for m in totals if m.startswith("shared")),
                case.work if kernel is multiplies and not on_tensor_cores else 0.0,
                warp_products,
                group_products,
                requests / warps,
                min(32.0, warps / kernel.launches / own),
            )
        )
    return found


def microseconds(kernel: Counted, rates: Rates) -> tuple[float, str]:
    """How long a kernel should take, and what takes it."""
    blocks_of_busiest = math.ceil(kernel.blocks / kernel.multiprocessors)
    busiest = blocks_of_busiest / kernel.blocks  # its part of the work
    reached = kernel.warps / (kernel.warps + rates.warps)
    parts = {
        "memory": kernel.memory / (rates.memory * reached) / kernel.multiprocessors,
        "sectors": kernel.sectors * busiest / (rates.sectors * reached),
        "shared memory": kernel.wavefronts * busiest / (rates.wavefronts * reached),
        "multiply-adds": kernel.multiply_adds * busiest / (rates.multiply_adds * reached),
        "tensor cores": kernel.warp_products * busiest / rates.warp_products
        + kernel.group_products * busiest / rates.group_products,
        "latency": kernel.requests_of_a_warp * rates.latency * kernel.launches,
    }
    longest = max(parts, key=lambda part: parts[part])
    launch = rates.launch * kernel.launches
    return launch + parts[longest], longest if parts[longest] > launch else "launch"


def predict(kernels: list[Counted], rates: Rates) -> tuple[float, str]:
    """The same of all kernels of an operator, and what takes longest."""
    each = [microseconds(kernel, rates) for kernel in kernels]
    return sum(time for time, _ in each), max(each)[1]


def _error(rows: list[tuple[list[Counted], float]], rates: Rates) -> float:
    """By what factor predictions are off, in the geometric mean."""
    return math.exp(sum(abs(math.log(predict(kernels, rates)[0] / measured)) for kernels, measured in rows) / len(rows))


def fit(rows: list[tuple[list[Counted], float]], start: Rates, steps: int = 3000, starts: int = 6) -> Rates:
    """Rates that are off by less, found by small random changes of those that there are and of others around them."""
    chance, found = random.Random(0), []
    for number in track(range(starts), "fitting", transient=True):
        around = [rate * math.exp(chance.gauss(0, 0.4 if number else 0)) for rate in start]
        best = Rates(*(min(rate, most) for rate, most in zip(around, CEILINGS, strict=True)))
        least = _error(rows, best)
        for _ in range(steps):
            tried = list(best)
            for changed in chance.sample(range(len(tried)), chance.choice((1, 2, 3))):
                tried[changed] *= math.exp(chance.gauss(0, chance.choice((0.03, 0.3))))
            rates = Rates(*(min(rate, most) for rate, most in zip(tried, CEILINGS, strict=True)))
            if (error := _error(rows, rates)) < least:
                best, least = rates, error
        found.append((least, best))
    return min(found)[1]


def main() -> None:
    """Counts, predicts, compares, and with --fit fits first."""
    parser = argparse.ArgumentParser(prog="python -m bench.time_model", description=__doc__.partition("\n")[0])
    parser.add_argument("measured", type=Path, help="a result of `python -m bench operators` on a GPU")
    parser.add_argument("--fit", action="store_true", help="fit the rates first, and print them")
    parser.add_argument("--only", default="", help="operators whose name contains this")
    arguments = parser.parse_args()
    measured = {
        (row["operator"], row["shape"]): 1e3 * row["kernel ms"]
        for row in json.loads(arguments.measured.read_text())["rows"]
        if "kernel ms" in row
    }
    module = counters.build()
    backend = counters.load(module)
    counted: list[tuple[Case, list[Counted], float]] = []
    for case in (*_convolutions(), *_others()):
        key = case.operator, case.shape
        if key in measured and arguments.only in case.operator:
            counted.append((case, count(case, backend, module), measured[key]))
            print(f"\r{len(counted)} operators counted", end="", flush=True)
    print()
    rates = Rates()
    rows = [(kernels, time) for _, kernels, time in counted]
    if arguments.fit:
        rates = fit(rows, rates)
        print("\n".join(f"    {name}: float = {value:.4g}" for name, value in rates._asdict().items()))
    print(f"{'operator':50} {'shape':24} {'predicted':>9} {'measured':>9} {'ratio':>6}  longest")
    for case, kernels, time in counted:
        predicted, longest = predict(kernels, rates)
        print(f"{case.operator:50} {case.shape:24} {predicted:9.1f} {time:9.1f} {predicted / time:6.2f}  {longest}")
    ratios = [predict(kernels, rates)[0] / time for kernels, time in rows]
    print(f"{len(rows)} operators, microseconds: off by {_error(rows, rates):.2f} in the geometric mean, "
          f"by {max(max(r, 1 / r) for r in ratios):.2f} at worst")  # fmt: skip


if __name__ == "__main__":
    main()
