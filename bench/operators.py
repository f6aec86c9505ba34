"""The contests of every operator with PyTorch, over a table of shapes.

PyTorch runs contiguous and channels-last where that matters, and its better time counts. It multiplies in float32
against "highest" and "high"; against "medium" with TF32 on a GPU, and with tensors of bfloat16 on a CPU. In the rows
named bfloat16 both have such arrays; "by warps" we multiply as DIPKERNELS_GPU_WARPGROUPS=off has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench import clips, maps
from bench.contest import Contest, Device
from bench.devices import BY_WARPS, Rehearsal
from dipkernels import ops

F = torch.nn.functional
aten = torch.ops.aten


def _normal(*shape: int) -> Any:
    return np.random.default_rng(list(shape)).standard_normal(shape, np.float32)


# name, N (0: the device's), C, H, K, F, stride, padding, dilation, groups
CONVOLUTIONS = [
    ("LeNet conv1", 64, 1, 32, 6, 5, 1, 0, 1, 1),
    ("LeNet conv2", 64, 6, 14, 16, 5, 1, 0, 1, 1),
    ("AlexNet conv1", 0, 3, 227, 96, 11, 4, 0, 1, 1),
    ("AlexNet conv2", 0, 96, 27, 256, 5, 1, 2, 1, 1),
    ("VGG 64", 0, 64, 56, 64, 3, 1, 1, 1, 1),
    ("VGG 64, one image", 1, 64, 56, 64, 3, 1, 1, 1, 1),
    ("ResNet 128", 0, 128, 28, 128, 3, 1, 1, 1, 1),
    ("ResNet 256", 0, 256, 14, 256, 3, 1, 1, 1, 1),
    ("ResNet 512", 0, 512, 7, 512, 3, 1, 1, 1, 1),
    ("1x1", 0, 256, 28, 256, 1, 1, 0, 1, 1),
    ("1x1, few channels", 0, 16, 56, 64, 1, 1, 0, 1, 1),
    ("stride 2", 0, 128, 57, 128, 3, 2, 0, 1, 1),
    ("dilated", 0, 64, 56, 64, 3, 1, 2, 2, 1),
    ("depthwise", 0, 64, 56, 64, 3, 1, 1, 1, 64),
]
TOY_CONVOLUTIONS = [("LeNet conv2", 2, 6, 14, 16, 5, 1, 0, 1, 1), ("depthwise", 1, 4, 8, 4, 3, 1, 1, 1, 4)]


def _allow_tf32(precision: str) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "medium"


def stored(arrays: list[Any], precision: str, device: Device, theirs: bool = False) -> list[Any]:
    """The arrays that are multiplied: for "bfloat16", and by PyTorch on a CPU for "medium", of that dtype."""
    if precision != "bfloat16" and not (theirs and precision == "medium" and device.name == "cpu"):
        return arrays
    return [a.bfloat16() if isinstance(a, torch.Tensor) else a.astype("bfloat16") for a in arrays]


def options_of(precision: str) -> dict[str, str]:
    """Numbers of 16 bits are multiplied as they are, whatever the precision."""
    return {} if precision == "bfloat16" else {"precision": precision}


def _label(op: str, choice: str) -> str:
    return op if choice == "highest" else f"{op} {choice}"


def _convolutions(device: Device) -> Iterator[Contest]:
    for name, n, c, h, k, f, stride, padding, dilation, groups in (
        TOY_CONVOLUTIONS if isinstance(device, Rehearsal) else CONVOLUTIONS
    ):
        n = n or device.images
        x, weight = _normal(n, c, h, h), _normal(k, c // groups, f, f)
        geometry = (stride, padding, dilation, groups)
        size = (h + 2 * padding - dilation * (f - 1) - 1) // stride + 1
        dy = _normal(n, k, size, size)
        work = 2.0 * dy.size * (c // groups) * f * f
        own = [device.ours(a) for a in (x, weight, dy)]
        tensors = [device.theirs(a) for a in (x, weight, dy)]
        last = [t.to(memory_format=torch.channels_last) for t in tensors]
        shape = f"N{n} C{c} {h}x{h} K{k} F{f}"
        s, p, d = [stride] * 2, [padding] * 2, [dilation] * 2

        def forward(a: list[Any], g: Any = geometry) -> Any:
            return F.conv2d(a[0], a[1], None, *g)

        def backward_data(a: list[Any], s: Any = s, p: Any = p, d: Any = d, g: int = groups) -> Any:
            return aten.convolution_backward(a[2], a[0], a[1], None, s, p, d, False, [0, 0], g, [True, False, False])[0]

        def backward_weight(a: list[Any], s: Any = s, p: Any = p, d: Any = d, g: int = groups) -> Any:
            return aten.convolution_backward(a[2], a[0], a[1], None, s, p, d, False, [0, 0], g, [False, True, False])[1]

        for choice in device.precisions:
            precision = choice.removesuffix(BY_WARPS)
            ox, ow, ody = stored(own, precision, device)
            layouts = [stored(each, precision, device, theirs=True) for each in (tensors, last)]
            options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            options |= options_of(precision)
            for op, arguments, theirs in [
                ("conv2d", (ox, ow), forward),
                ("conv2d_backward_data", (ody, ow, x.shape), backward_data),
                ("conv2d_backward_weight", (ody, ox, weight.shape), backward_weight),
            ]:
                yield Contest(
                    f"{_label(op, choice)} {name}", shape, work, "GFLOP/s",
                    lambda f=op, a=arguments, o=options, c=choice: (device.choose(c), getattr(ops, f)(*a, **o))[1],
                    [lambda f=theirs, a=a, p=precision: (_allow_tf32(p), f(a))[1] for a in layouts],
                    lambda f=theirs, a=tensors: f([each.double() for each in a]),
                )  # fmt: skip


def _transposed_convolutions(device: Device) -> Iterator[Contest]:
    """As decoders double an image's size: with 2×2 and 4×4 taps."""
    layers = [("FCN 21", 2, 21, 56, 21, 4, 1), ("decoder 128 to 64", 4, 128, 28, 64, 2, 0)]
    for name, n, c, h, k, f, padding in [("toy", 1, 4, 6, 4, 4, 1)] if isinstance(device, Rehearsal) else layers:
        arrays = _normal(n, c, h, h), _normal(c, k, f, f) / f, _normal(k)
        own, tensors = [device.ours(a) for a in arrays], [device.theirs(a) for a in arrays]
        yield Contest(
            f"conv_transpose2d {name}", f"N{n} C{c} {h}x{h} K{k} F{f} S2", 2.0 * n * k * c * f * f * h * h, "GFLOP/s",
            lambda a=own, p=padding: ops.conv_transpose2d(*a, 2, p),
            [lambda a=tensors, p=padding: F.conv_transpose2d(*a, 2, p)],
        )  # fmt: skip


def _pooled_convolutions(device: Device) -> Iterator[Contest]:
    """As training has them: convolution, ReLU and max pooling 2×2, and the gradients of all three."""
    layers = [("LeNet 1", 64, 1, 32, 6, 5), ("LeNet 2", 64, 6, 14, 16, 5), ("VGG 64", device.images, 64, 56, 64, 3)]
    for name, n, c, h, k, f in [("LeNet 2", 2, 6, 14, 16, 5)] if isinstance(device, Rehearsal) else layers:
        arrays = _normal(n, c, h, h), _normal(k, c, f, f) / f, _normal(k)
        x, weight, bias = (device.ours(a) for a in arrays)
        tx, tw, tb = (device.theirs(a).requires_grad_() for a in arrays)
        size = h - f + 1
        dy_data = _normal(n, k, size // 2, size // 2)
        dy, tdy = device.ours(dy_data), device.theirs(dy_data)
        work, shape = 2.0 * n * k * c * f * f * size**2, f"N{n} C{c} {h}x{h} K{k} F{f}"

        def theirs(x: Any = tx, w: Any = tw, b: Any = tb) -> Any:
            return F.max_pool2d(F.relu(F.conv2d(x, w, b)), 2)

        def both(theirs: Any = theirs, dy: Any = tdy, w: Any = (tx, tw, tb)) -> Any:
            return torch.autograd.grad(theirs(), w, dy)

        def ours(x: Any = x, w: Any = weight, b: Any = bias) -> Any:
            return ops.conv2d_max_pool2d(x, w, b, activation="relu", rounding="floor")

        def ours_both(ours: Any = ours, dy: Any = dy, x: Any = x, w: Any = weight) -> Any:
            y, indices = ours()
            return ops.conv2d_max_pool2d_backward(ops.relu_backward(dy, y), indices, x, w, rounding="floor")

        yield Contest(f"conv2d_max_pool2d {name}", shape, work, "GFLOP/s", ours, [theirs])
        yield Contest(f"conv2d_max_pool2d and backward {name}", shape, 3 * work, "GFLOP/s", ours_both, [both])


def _linears(device: Device) -> Iterator[Contest]:
    sizes = [(64, 784, 300), (64, 400, 120), (1, 4096, 4096), (256, 1024, 1024), (64, 4096, 1000)]
    sizes += [(4096, 4096, 4096)] if device.name == "cuda" else []
    for n, i, o in [(4, 20, 10)] if isinstance(device, Rehearsal) else sizes:
        arrays = _normal(n, i), _normal(o, i), _normal(n, o)
        own, their_own = [device.ours(a) for a in arrays], [device.theirs(a) for a in arrays]
        shape, work = f"N{n} {i}->{o}", 2.0 * n * i * o
        for choice in device.precisions:
            precision = choice.removesuffix(BY_WARPS)
            x, weight, dy = stored(own, precision, device)
            options = options_of(precision)
            tensors = stored(their_own, precision, device, theirs=True)
            for op, arguments, theirs in [
                ("linear", (x, weight), lambda t: F.linear(t[0], t[1])),
                ("linear_backward_data", (dy, weight), lambda t: t[2] @ t[1]),
                ("linear_backward_weight", (dy, x), lambda t: t[2].T @ t[0]),
            ]:
                yield Contest(
                    _label(op, choice), shape, work, "GFLOP/s",
                    lambda f=op, a=arguments, o=options, c=choice: (device.choose(c), getattr(ops, f)(*a, **o))[1],
                    [lambda f=theirs, t=tensors, p=precision: (_allow_tf32(p), f(t))[1]],
                )  # fmt: skip


def _memory_bound(device: Device) -> Iterator[Contest]:
    toy, on_cuda = isinstance(device, Rehearsal), device.name == "cuda"
    pools = [
        (64, 6, 28, 2, 2), (device.images, 64, 112, 2, 2), (device.images, 64, 113, 3, 2),
        (device.images, 512, 14, 14, 14),  # a network's last
    ]  # fmt: skip
    for n, c, h, f, s in [(1, 2, 8, 2, 2)] if toy else pools:
        data = _normal(n, c, h, h)
        x, tx = device.ours(data), device.theirs(data)
        y, indices = ops.max_pool2d_with_indices(x, f, s)
        ty, ti = F.max_pool2d(tx, f, s, return_indices=True)
        dy_data = _normal(*y.shape)
        dy, tdy, shape = device.ours(dy_data), device.theirs(dy_data), f"N{n} C{c} {h}x{h} F{f} S{s}"
        read, write_ = 4.0 * data.size, 8.0 * dy_data.size
        yield Contest("max_pool2d", shape, read + write_, "GB/s",
            lambda x=x, f=f, s=s: ops.max_pool2d_with_indices(x, f, s),
            [lambda x=tx, f=f, s=s: F.max_pool2d(x, f, s, return_indices=True)])  # fmt: skip
        yield Contest("max_pool2d_backward", shape, read + write_, "GB/s",
            lambda dy=dy, i=indices, shape=data.shape: ops.max_pool2d_backward(dy, i, shape),
            [lambda dy=tdy, x=tx, i=ti, f=f, s=s: aten.max_pool2d_with_indices_backward(
                dy, x, [f, f], [s, s], [0, 0], [1, 1], False, i)])  # fmt: skip
        if s == f:
            yield Contest("max_unpool2d", shape, read + write_, "GB/s",
                lambda y=y, i=indices, f=f: ops.max_unpool2d(y, i, f),
                [lambda y=ty, i=ti, f=f: F.max_unpool2d(y, i, f)])  # fmt: skip
        yield Contest("avg_pool2d", shape, read + write_ / 2, "GB/s",
            lambda x=x, f=f, s=s: ops.avg_pool2d(x, f, s), [lambda x=tx, f=f, s=s: F.avg_pool2d(x, f, s)])  # fmt: skip
        yield Contest("avg_pool2d_backward", shape, read + write_ / 2, "GB/s",
            lambda dy=dy, shape=data.shape, f=f, s=s: ops.avg_pool2d_backward(dy, shape, f, s),
            [lambda dy=tdy, x=tx, f=f, s=s: aten.avg_pool2d_backward(
                dy, x, [f, f], [s, s], [0, 0], False, True, None)])  # fmt: skip
    shapes: list[tuple[int, int, tuple[int, ...]]] = [(64, 10, ()), (4096, 1000, ()), (8, 21, (128, 128))]
    for n, c, inner in [(4, 3, ())] if toy else shapes:
        data, labels = _normal(n, c, *inner), np.random.default_rng(0).integers(0, c, (n, *inner))
        z, t = device.ours(data), device.ours(labels)
        tl, tt = device.theirs(data).requires_grad_(), device.theirs(labels)

        def torch_loss(tl: Any = tl, tt: Any = tt) -> Any:
            tl.grad = None
            F.cross_entropy(tl, tt).backward()

        yield Contest("cross_entropy_with_grad", f"{data.shape}", 8.0 * data.size, "GB/s",
            lambda z=z, t=t: ops.cross_entropy_with_grad(z, t), [torch_loss])  # fmt: skip
    for count in (1 << 8,) if toy else (1 << 16, 1 << 22) + ((1 << 26,) if on_cuda else ()):
        data = _normal(count)
        x, tx = device.ours(data), device.theirs(data)
        for name in ("relu", "sigmoid", "tanh", "elu"):
            yield Contest(name, f"{count}", 8.0 * count, "GB/s", lambda x=x, n=name: getattr(ops, n)(x),
                [lambda x=tx, n=name: getattr(F if n == "elu" else torch, n)(x)])  # fmt: skip
    sizes = [150, 6, 2400, 16, 48000, 120, 12000, 100, 1000, 10]
    large = [("4M", [1 << 22])] + ([("64M in 16", [1 << 22] * 16)] if on_cuda else [])
    for label, elements in [("toy", [5, 3])] if toy else [("LeNet-5", sizes), *large]:
        yield from _optimizers(device, label, [_normal(each) for each in elements])


def _optimizers(device: Device, label: str, data: list[Any]) -> Iterator[Contest]:
    total, optim = sum(g.size for g in data), torch.optim
    gradients = [device.ours(g) for g in data]
    weights, one, two = ([device.ours(np.zeros_like(g)) for g in data] for _ in range(3))
    parameters = [torch.nn.Parameter(device.theirs(np.zeros_like(g))) for g in data]
    for parameter, gradient in zip(parameters, data, strict=True):
        parameter.grad = device.theirs(gradient)
    sgd, momentum = (optim.SGD(parameters, lr=0.1, momentum=m, fused=True) for m in (0.0, 0.9))
    adam = optim.Adam(parameters, fused=True)
    yield Contest("gradient_descent_step", label, 12.0 * total, "GB/s",
        lambda: ops.gradient_descent_step(weights, gradients, 0.1), [sgd.step])  # fmt: skip
    yield Contest("momentum_step", label, 20.0 * total, "GB/s",
        lambda: ops.momentum_step(weights, gradients, one, 0.1), [momentum.step])  # fmt: skip
    yield Contest("adam_step", label, 28.0 * total, "GB/s",
        lambda: ops.adam_step(weights, gradients, one, two, 5), [adam.step])  # fmt: skip


def contests(device: Device) -> Iterator[Contest]:
    """One for every operator and shape of the table."""
    yield from _convolutions(device)
    yield from _transposed_convolutions(device)
    yield from _pooled_convolutions(device)
    yield from _linears(device)
    yield from _memory_bound(device)
    yield from maps.contests(device)
    yield from clips.contests(device)
