"""Contests of the operators on clips, over the layers of C3D (Tran et al. 2015) and of a network of small clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench.contest import Contest, Device
from bench.devices import Rehearsal
from dipkernels import ops

F = torch.nn.functional
aten = torch.ops.aten

# name, N, C, D, H, K, F_d, F, padding
CONVOLUTIONS = [
    ("C3D conv1a", 1, 3, 16, 112, 64, 3, 3, 1),
    ("C3D conv2a", 1, 64, 16, 56, 128, 3, 3, 1),
    ("C3D conv3b", 1, 256, 8, 28, 256, 3, 3, 1),
    ("C3D conv4b", 1, 512, 4, 14, 512, 3, 3, 1),
    ("C3D conv5b", 2, 512, 2, 7, 512, 3, 3, 1),
    ("small clips", 32, 8, 8, 24, 16, 3, 3, 1),
]
TOY_CONVOLUTIONS = [("small clips", 2, 3, 4, 6, 4, 3, 3, 1)]
# N, C, D, H, kernel_size
POOLINGS = [(1, 64, 16, 112, (1, 2, 2)), (1, 128, 16, 56, (2, 2, 2)), (32, 16, 8, 24, (2, 2, 2))]
TOY_POOLINGS = [(1, 2, 4, 6, (2, 2, 2))]


def _normal(*shape: int) -> Any:
    return np.random.default_rng(list(shape)).standard_normal(shape, np.float32)


def _convolutions(device: Device) -> Iterator[Contest]:
    for name, n, c, d, h, k, t, f, padding in TOY_CONVOLUTIONS if isinstance(device, Rehearsal) else CONVOLUTIONS:
        x, weight, dy = _normal(n, c, d, h, h), _normal(k, c, t, f, f), _normal(n, k, d, h, h)
        own = [device.ours(a) for a in (x, weight, dy)]
        tensors = [device.theirs(a) for a in (x, weight, dy)]
        last = [a.to(memory_format=torch.channels_last_3d) for a in tensors]
        work, shape = 2.0 * dy.size * c * t * f * f, f"N{n} C{c} {d}x{h}x{h} K{k} F{t}x{f}x{f}"

        def gradient(a: list[Any], which: int, p: int = padding) -> Any:
            wanted = [which == 0, which == 1, False]
            return aten.convolution_backward(
                a[2], a[0], a[1], None, [1] * 3, [p] * 3, [1] * 3, False, [0] * 3, 1, wanted
            )[which]

        for op, arguments, theirs in [
            ("conv3d", (own[0], own[1]), lambda a, p=padding: F.conv3d(a[0], a[1], None, 1, p)),
            ("conv3d_backward_data", (own[2], own[1], x.shape), lambda a, g=gradient: g(a, 0)),
            ("conv3d_backward_weight", (own[2], own[0], weight.shape), lambda a, g=gradient: g(a, 1)),
        ]:
            yield Contest(
                f"{op} {name}", shape, work, "GFLOP/s",
                lambda f=op, a=arguments, p=padding: getattr(ops, f)(*a, padding=p),
                [lambda f=theirs, a=a: f(a) for a in (tensors, last)],
                lambda f=theirs, a=tensors: f([each.double() for each in a]),
            )  # fmt: skip


def _poolings(device: Device) -> Iterator[Contest]:
    for n, c, d, h, size in TOY_POOLINGS if isinstance(device, Rehearsal) else POOLINGS:
        data = _normal(n, c, d, h, h)
        x, tx = device.ours(data), device.theirs(data)
        y, indices = ops.max_pool3d_with_indices(x, size)
        _, ti = F.max_pool3d(tx, size, return_indices=True)
        dy_data = _normal(*y.shape)
        dy, tdy, shape = device.ours(dy_data), device.theirs(dy_data), f"N{n} C{c} {d}x{h}x{h} F{size}"
        work = 4.0 * data.size + 8.0 * dy_data.size
        yield Contest("max_pool3d", shape, work, "GB/s",
            lambda x=x, f=size: ops.max_pool3d_with_indices(x, f),
            [lambda x=tx, f=size: F.max_pool3d(x, f, return_indices=True)])  # fmt: skip
        yield Contest("max_pool3d_backward", shape, work, "GB/s",
            lambda dy=dy, i=indices, shape=data.shape: ops.max_pool3d_backward(dy, i, shape),
            [lambda dy=tdy, x=tx, i=ti, f=size: aten.max_pool3d_with_indices_backward(
                dy, x, list(f), list(f), [0] * 3, [1] * 3, False, i)])  # fmt: skip
        yield Contest("max_unpool3d", shape, work, "GB/s",
            lambda y=y, i=indices, f=size: ops.max_unpool3d(y, i, f),
            [lambda y=tdy, i=ti, f=size: F.max_unpool3d(y, i, f)])  # fmt: skip
        yield Contest("avg_pool3d", shape, 4.0 * (data.size + dy_data.size), "GB/s",
            lambda x=x, f=size: ops.avg_pool3d(x, f), [lambda x=tx, f=size: F.avg_pool3d(x, f)])  # fmt: skip


def contests(device: Device) -> Iterator[Contest]:
    """One for every operator and shape."""
    yield from _convolutions(device)
    yield from _poolings(device)
