"""Every operator against PyTorch: time, ratio, GFLOP/s or GB/s, and for convolutions the error of both against float64.

PyTorch runs contiguous and channels-last where that matters, and its better time counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.machine import describe, write
from bench.timing import interleaved
from dipkernels import ops

F = torch.nn.functional
aten = torch.ops.aten


@dataclass
class Contest:
    """One row: what runs, its work in floating-point operations or bytes, and results to compare with float64."""

    name: str
    shape: str
    work: float
    unit: str
    ours: Callable[[], Any]
    theirs: list[Callable[[], Any]]
    exact: Callable[[], Any] | None = None


def _normal(*shape: int) -> Any:
    return np.random.default_rng(list(shape)).standard_normal(shape, np.float32)


# name, N, C, H, K, F, stride, padding, dilation, groups
CONVOLUTIONS = [
    ("LeNet conv1", 64, 1, 32, 6, 5, 1, 0, 1, 1),
    ("LeNet conv2", 64, 6, 14, 16, 5, 1, 0, 1, 1),
    ("AlexNet conv1", 16, 3, 227, 96, 11, 4, 0, 1, 1),
    ("AlexNet conv2", 16, 96, 27, 256, 5, 1, 2, 1, 1),
    ("VGG 64", 16, 64, 56, 64, 3, 1, 1, 1, 1),
    ("VGG 64, one image", 1, 64, 56, 64, 3, 1, 1, 1, 1),
    ("ResNet 128", 16, 128, 28, 128, 3, 1, 1, 1, 1),
    ("ResNet 256", 16, 256, 14, 256, 3, 1, 1, 1, 1),
    ("ResNet 512", 16, 512, 7, 512, 3, 1, 1, 1, 1),
    ("1x1", 16, 256, 28, 256, 1, 1, 0, 1, 1),
    ("stride 2", 16, 128, 57, 128, 3, 2, 0, 1, 1),
    ("dilated", 16, 64, 56, 64, 3, 1, 2, 2, 1),
    ("depthwise", 16, 64, 56, 64, 3, 1, 1, 1, 64),
]


def _convolutions() -> Iterator[Contest]:
    for name, n, c, h, k, f, stride, padding, dilation, groups in CONVOLUTIONS:
        x, weight = _normal(n, c, h, h), _normal(k, c // groups, f, f)
        geometry = (stride, padding, dilation, groups)
        y = ops.conv2d(x, weight, None, *geometry)
        dy = _normal(*y.shape)
        work = 2.0 * y.size * (c // groups) * f * f
        tensors = [torch.from_numpy(a) for a in (x, weight, dy)]
        last = [t.to(memory_format=torch.channels_last) for t in tensors]
        shape = f"N{n} C{c} {h}x{h} K{k} F{f}"

        def backward(arrays: list[Any], mask: list[bool], geometry: Any = geometry) -> Any:
            tx, tw, tdy = arrays
            s, p, d, g = geometry
            return aten.convolution_backward(tdy, tx, tw, None, [s, s], [p, p], [d, d], False, [0, 0], g, mask)

        double = [t.double() for t in tensors]
        yield Contest(
            f"conv2d {name}", shape, work, "GFLOP/s",
            lambda x=x, w=weight, g=geometry: ops.conv2d(x, w, None, *g),
            [lambda a=a, g=geometry: F.conv2d(a[0], a[1], None, *g) for a in (tensors, last)],
            lambda a=double, g=geometry: F.conv2d(a[0], a[1], None, *g),
        )  # fmt: skip
        yield Contest(
            f"conv2d_backward_data {name}", shape, work, "GFLOP/s",
            lambda dy=dy, w=weight, s=x.shape, g=geometry: ops.conv2d_backward_data(dy, w, s, *g),
            [lambda a=a, b=backward: b(a, [True, False, False])[0] for a in (tensors, last)],
            lambda a=double, b=backward: b(a, [True, False, False])[0],
        )  # fmt: skip
        yield Contest(
            f"conv2d_backward_weight {name}", shape, work, "GFLOP/s",
            lambda dy=dy, x=x, s=weight.shape, g=geometry: ops.conv2d_backward_weight(dy, x, s, *g),
            [lambda a=a, b=backward: b(a, [False, True, False])[1] for a in (tensors, last)],
            lambda a=double, b=backward: b(a, [False, True, False])[1],
        )  # fmt: skip


def _linears() -> Iterator[Contest]:
    for n, i, o in [(64, 784, 300), (64, 400, 120), (1, 4096, 4096), (256, 1024, 1024)]:
        x, weight, dy = _normal(n, i), _normal(o, i), _normal(n, o)
        tx, tw, tdy = (torch.from_numpy(a) for a in (x, weight, dy))
        shape, work = f"N{n} {i}->{o}", 2.0 * n * i * o
        yield Contest(
            "linear",
            shape,
            work,
            "GFLOP/s",
            lambda x=x, w=weight: ops.linear(x, w),
            [lambda x=tx, w=tw: F.linear(x, w)],
        )
        yield Contest(
            "linear_backward_data",
            shape,
            work,
            "GFLOP/s",
            lambda dy=dy, w=weight: ops.linear_backward_data(dy, w),
            [lambda dy=tdy, w=tw: dy @ w],
        )
        yield Contest(
            "linear_backward_weight",
            shape,
            work,
            "GFLOP/s",
            lambda dy=dy, x=x: ops.linear_backward_weight(dy, x),
            [lambda dy=tdy, x=tx: dy.T @ x],
        )


def _memory_bound() -> Iterator[Contest]:
    for n, c, h, f, s in [(64, 6, 28, 2, 2), (16, 64, 112, 2, 2), (16, 64, 113, 3, 2)]:
        x = _normal(n, c, h, h)
        y, indices = ops.max_pool2d_with_indices(x, f, s)
        dy, tx = _normal(*y.shape), torch.from_numpy(x)
        ty, ti = F.max_pool2d(tx, f, s, return_indices=True)
        tdy, shape = torch.from_numpy(dy), f"N{n} C{c} {h}x{h} F{f} S{s}"
        read, write_ = 4.0 * x.size, 8.0 * y.size
        yield Contest("max_pool2d", shape, read + write_, "GB/s",
            lambda x=x, f=f, s=s: ops.max_pool2d_with_indices(x, f, s),
            [lambda x=tx, f=f, s=s: F.max_pool2d(x, f, s, return_indices=True)])  # fmt: skip
        yield Contest("max_pool2d_backward", shape, read + write_, "GB/s",
            lambda dy=dy, i=indices, x=x: ops.max_pool2d_backward(dy, i, x.shape),
            [lambda dy=tdy, x=tx, i=ti, f=f, s=s: aten.max_pool2d_with_indices_backward(
                dy, x, [f, f], [s, s], [0, 0], [1, 1], False, i)])  # fmt: skip
        if s == f:
            yield Contest("max_unpool2d", shape, read + write_, "GB/s",
                lambda y=y, i=indices, f=f: ops.max_unpool2d(y, i, f),
                [lambda y=ty, i=ti, f=f: F.max_unpool2d(y, i, f)])  # fmt: skip
        yield Contest("avg_pool2d", shape, read + write_ / 2, "GB/s",
            lambda x=x, f=f, s=s: ops.avg_pool2d(x, f, s), [lambda x=tx, f=f, s=s: F.avg_pool2d(x, f, s)])  # fmt: skip
    for n, c, inner in [(64, 10, ()), (4096, 1000, ()), (8, 21, (128, 128))]:
        logits, t = _normal(n, c, *inner), np.random.default_rng(0).integers(0, c, (n, *inner))
        tl, tt = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(t)

        def torch_loss(tl: Any = tl, tt: Any = tt) -> Any:
            tl.grad = None
            F.cross_entropy(tl, tt).backward()

        yield Contest("cross_entropy_with_grad", f"{logits.shape}", 8.0 * logits.size, "GB/s",
            lambda z=logits, t=t: ops.cross_entropy_with_grad(z, t), [torch_loss])  # fmt: skip
    for count in (1 << 16, 1 << 22):
        x = _normal(count)
        tx = torch.from_numpy(x)
        for name in ("relu", "sigmoid", "tanh", "elu"):
            yield Contest(name, f"{count}", 8.0 * count, "GB/s", lambda x=x, n=name: getattr(ops, n)(x),
                [lambda x=tx, n=name: getattr(F if n == "elu" else torch, n)(x)])  # fmt: skip
    sizes = [150, 6, 2400, 16, 48000, 120, 12000, 100, 1000, 10]
    for label, shapes in [("LeNet-5", sizes), ("4M", [1 << 22])]:
        yield from _optimizers(label, [_normal(s) for s in shapes])


def _optimizers(label: str, gradients: list[Any]) -> Iterator[Contest]:
    total, optim = sum(g.size for g in gradients), torch.optim
    weights, one, two = ([np.zeros_like(g) for g in gradients] for _ in range(3))
    parameters = [torch.nn.Parameter(torch.zeros(g.size)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient)
    sgd, momentum = (optim.SGD(parameters, lr=0.1, momentum=m, fused=True) for m in (0.0, 0.9))
    adam = optim.Adam(parameters, fused=True)
    yield Contest("gradient_descent_step", label, 12.0 * total, "GB/s",
        lambda: ops.gradient_descent_step(weights, gradients, 0.1), [sgd.step])  # fmt: skip
    yield Contest("momentum_step", label, 20.0 * total, "GB/s",
        lambda: ops.momentum_step(weights, gradients, one, 0.1), [momentum.step])  # fmt: skip
    yield Contest("adam_step", label, 28.0 * total, "GB/s",
        lambda: ops.adam_step(weights, gradients, one, two, 5), [adam.step])  # fmt: skip


def _error(result: Any, exact: Any) -> float:
    """Largest error relative to the largest result."""
    return float(np.abs(np.asarray(result, np.float64) - exact).max() / np.abs(exact).max())


def run(only: str, json_path: Path | None) -> None:
    """Prints one line a contest, and the geometric mean of the ratios of each operator."""
    for name, value in describe().items():
        print(f"{name}: {value}")
    print(f"\n{'operator':38} {'shape':24} {'ours ms':>9} {'torch ms':>9} {'ratio':>6} {'ours':>8} {'torch':>8}  unit")
    rows: list[dict[str, Any]] = []
    for contest in (*_convolutions(), *_linears(), *_memory_bound()):
        if only not in contest.name:
            continue
        seconds, *their_seconds = interleaved(contest.ours, *contest.theirs)
        best = min(their_seconds)
        row: dict[str, Any] = {
            "operator": contest.name, "shape": contest.shape, "unit": contest.unit, "ms": seconds * 1e3,
            "torch ms": best * 1e3, "ratio": best / seconds, "rate": contest.work / seconds / 1e9,
            "torch rate": contest.work / best / 1e9,
        }  # fmt: skip
        errors = ""
        if contest.exact is not None:
            exact = contest.exact().numpy()
            row["error"] = _error(contest.ours(), exact)
            row["torch error"] = _error(contest.theirs[0]().numpy(), exact)
            errors = f"  error {row['error']:.1e}, torch {row['torch error']:.1e}"
        rows.append(row)
        print(
            f"{contest.name:38} {contest.shape:24} {row['ms']:9.3f} {row['torch ms']:9.3f} {row['ratio']:6.2f} "
            f"{row['rate']:8.1f} {row['torch rate']:8.1f}  {contest.unit}{errors}",
            flush=True,
        )
    print()
    for operator in dict.fromkeys(row["operator"].split()[0] for row in rows):
        ratios = [row["ratio"] for row in rows if row["operator"].split()[0] == operator]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{operator:38} geometric mean {mean:5.2f}x, worst {min(ratios):5.2f}x, {len(ratios)} rows")
    write(json_path, rows)
