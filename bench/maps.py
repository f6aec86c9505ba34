"""Contests of what works on feature maps and boxes beside convolutions and pooling: normalisation, resampling, regions.

Backward passes of PyTorch are its autograd's of a forward pass that was computed before. Of regions and boxes it has no
operators: what it is made to do is as direct as its functions allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from bench.contest import Contest, Device
from bench.devices import Rehearsal
from dipkernels import ops

F = torch.nn.functional


def _normal(*shape: int) -> Any:
    return np.random.default_rng(list(shape)).standard_normal(shape, np.float32)


def _gradient(y: torch.Tensor, inputs: list[torch.Tensor], dy: torch.Tensor) -> Callable[[], Any]:
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def _normalisation(device: Device) -> Iterator[Contest]:
    toy = isinstance(device, Rehearsal)
    for n, c, h in [(2, 3, 5)] if toy else [(device.images, 64, 56), (64, 256, 14), (64, 16, 8)]:
        data, dy_data = _normal(n, c, h, h), _normal(n, c, h, h)
        channels = [_normal(c), _normal(c), abs(_normal(c)) + 1]
        x, dy, weight, bias, var = (device.ours(a) for a in (data, dy_data, *channels))
        tx, tdy, tw, tb, tv = (device.theirs(a.copy()) for a in (data, dy_data, *channels))
        mean, tm = device.ours(np.zeros(c, np.float32)), device.theirs(np.zeros(c, np.float32))
        shape, size = f"N{n} C{c} {h}x{h}", 4.0 * data.size
        yield Contest("batch_norm_with_stats", shape, 3 * size, "GB/s",
            lambda x=x, w=weight, b=bias: ops.batch_norm_with_stats(x, weight=w, bias=b),
            [lambda x=tx, w=tw, b=tb: F.batch_norm(x, None, None, w, b, training=True)])  # fmt: skip
        yield Contest("batch_norm", shape, 2 * size, "GB/s",
            lambda x=x, m=mean, v=var, w=weight, b=bias: ops.batch_norm(x, m, v, w, b),
            [lambda x=tx, m=tm, v=tv, w=tw, b=tb: F.batch_norm(x, m, v, w, b)])  # fmt: skip
        _, own_mean, own_var = ops.batch_norm_with_stats(x)
        inputs = [each.clone().requires_grad_() for each in (tx, tw, tb)]
        y = F.batch_norm(inputs[0], None, None, inputs[1], inputs[2], training=True)
        yield Contest("batch_norm_backward", shape, 5 * size, "GB/s",
            lambda dy=dy, x=x, m=own_mean, v=own_var, w=weight: ops.batch_norm_backward(dy, x, m, v, w),
            [_gradient(y, inputs, tdy)])  # fmt: skip
    for n, c, h in [(1, 6, 4)] if toy else [(device.images, 96, 27), (device.images, 256, 13)]:
        data, options = _normal(n, c, h, h), (5, 5e-4, 0.75, 2.0)
        x, tx = device.ours(data), device.theirs(data)
        leaf = tx.clone().requires_grad_()
        dy, tdy, shape = device.ours(data), device.theirs(data), f"N{n} C{c} {h}x{h} size 5"
        yield Contest("local_response_norm", shape, 8.0 * data.size, "GB/s",
            lambda x=x, o=options: ops.local_response_norm(x, *o),
            [lambda x=tx, o=options: F.local_response_norm(x, *o)])  # fmt: skip
        yield Contest("local_response_norm_backward", shape, 12.0 * data.size, "GB/s",
            lambda dy=dy, x=x, o=options: ops.local_response_norm_backward(dy, x, *o),
            [_gradient(F.local_response_norm(leaf, *options), [leaf], tdy)])  # fmt: skip


def _resampling(device: Device) -> Iterator[Contest]:
    toy = isinstance(device, Rehearsal)
    for n, c, h in [(1, 2, 3)] if toy else [(8, 64, 45), (8, 11, 90)]:
        data, dy_data = _normal(n, c, h, h), _normal(n, c, 2 * h, 2 * h)
        x, dy, tdy = device.ours(data), device.ours(dy_data), device.theirs(dy_data)
        tx = device.theirs(data)
        leaf = tx.clone().requires_grad_()
        shape, size = f"N{n} C{c} {h}x{h} twice", 20.0 * data.size
        options: dict[str, Any] = {"scale_factor": 2, "mode": "bilinear"}
        yield Contest("upsample_bilinear2d", shape, size, "GB/s", lambda x=x: ops.upsample_bilinear2d(x, 2),
            [lambda x=tx, o=options: F.interpolate(x, **o)])  # fmt: skip
        yield Contest("upsample_bilinear2d_backward", shape, size, "GB/s",
            lambda dy=dy: ops.upsample_bilinear2d_backward(dy, 2),
            [_gradient(F.interpolate(leaf, **options), [leaf], tdy)])  # fmt: skip
        parts, tensors = [x, x], [tx, tx]
        yield Contest("concatenate", shape, 16.0 * data.size, "GB/s", lambda p=parts: ops.concatenate(p),
            [lambda t=tensors: torch.cat(t, 1)])  # fmt: skip
        yield Contest("pad2d", shape, 8.0 * data.size, "GB/s", lambda x=x: ops.pad2d(x, 1),
            [lambda x=tx: F.pad(x, (1, 1, 1, 1))])  # fmt: skip
    for n, c, h in [(1, 2, 4)] if toy else [(8, 3, 180), (8, 64, 45)]:
        data, flow = _normal(n, c, h, h), 2 * _normal(n, 2, h, h)
        rows, columns = np.indices((h, h), np.float32)
        grid_data = np.stack([columns + flow[:, 0], rows + flow[:, 1]], -1) / np.float32((h - 1) / 2) - 1
        x, own_flow, dy = device.ours(data), device.ours(flow), device.ours(data)
        tx, grid, tdy = (device.theirs(a) for a in (data, grid_data, data))
        leaves = [each.clone().requires_grad_() for each in (tx, grid)]
        for mode in ("bilinear", "bicubic"):
            shape = f"N{n} C{c} {h}x{h} {mode}"
            yield Contest("warp", shape, 8.0 * data.size, "GB/s",
                lambda x=x, f=own_flow, m=mode: ops.warp(x, f, m),
                [lambda x=tx, g=grid, m=mode: F.grid_sample(x, g, m, align_corners=True)],
            )  # fmt: skip
            y = F.grid_sample(*leaves, mode, align_corners=True)
            yield Contest("warp_backward", shape, 16.0 * data.size, "GB/s",
                lambda dy=dy, x=x, f=own_flow, m=mode: ops.warp_backward(dy, x, f, m),
                [_gradient(y, leaves, tdy)])  # fmt: skip


def _torch_iou(a: Any, b: Any) -> Any:
    sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
    both = sides.clamp(min=0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (a, b)]
    return both / (areas[0][:, None] + areas[1][None] - both)


def _torch_nms(boxes: Any, scores: Any, threshold: float) -> Any:
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    left = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    overlaps = _torch_iou(boxes, boxes) > threshold
    for i in range(len(boxes)):
        if left[i]:
            left[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[left]


def _boxes(device: Device) -> Iterator[Contest]:
    toy = isinstance(device, Rehearsal)
    rng = np.random.default_rng(0)

    def random(count: int, extent: float) -> Any:
        corner = rng.uniform(0, extent, (count, 2))
        return np.concatenate([corner, corner + rng.uniform(4, extent / 4, (count, 2))], 1).astype(np.float32)

    for n, m in [(5, 3)] if toy else [(20000, 20), (2000, 2000)]:
        a, b = random(n, 300), random(m, 300)
        own, tensors = [device.ours(each) for each in (a, b)], [device.theirs(each) for each in (a, b)]
        yield Contest("box_iou", f"{n} x {m}", 4.0 * n * m, "GB/s", lambda a=own: ops.box_iou(*a),
            [lambda a=tensors: _torch_iou(*a)])  # fmt: skip
    for n in [6] if toy else [1000, 4000]:
        a, scores = random(n, 300), rng.random(n).astype(np.float32)
        own, tensors = [device.ours(each) for each in (a, scores)], [device.theirs(each) for each in (a, scores)]
        yield Contest("nms", f"{n} boxes", 0.5 * n * n, "Gpairs/s", lambda a=own: ops.nms(*a, 0.5),
            [lambda a=tensors: _torch_nms(*a, 0.5)])  # fmt: skip
    for n, c, h, k, bins in [(1, 2, 8, 3, 2)] if toy else [(8, 128, 30, 512, 7)]:
        data, boxes, batch = _normal(n, c, h, h), random(k, 0.6 * h), np.sort(rng.integers(0, n, k))
        x, own_boxes, own_batch = (device.ours(each) for each in (data, boxes, batch))
        tx = device.theirs(data)
        at = (np.arange(2 * bins) + 0.5) / (2 * bins)
        spread = boxes[:, None, :2] + at[None, :, None] * (boxes[:, None, 2:] - boxes[:, None, :2])
        x_grid, y_grid = (spread[..., i] / h * 2 - 1 for i in (0, 1))
        grid_data = np.stack(np.broadcast_arrays(x_grid[:, None, :], y_grid[:, :, None]), -1).astype(np.float32)
        grid, tensor_batch = device.theirs(grid_data), device.theirs(batch)
        shape, size = f"N{n} C{c} {h}x{h}, {k} boxes of {bins}x{bins}", 4.0 * k * c * bins * bins
        yield Contest("roi_align", shape, size, "GB/s",
            lambda x=x, b=own_boxes, i=own_batch, o=bins: ops.roi_align(x, b, i, o),
            [lambda x=tx, g=grid, i=tensor_batch: F.avg_pool2d(F.grid_sample(x[i], g, align_corners=False), 2)],
        )  # fmt: skip
        dy_data = _normal(k, c, bins, bins)
        dy, tdy = device.ours(dy_data), device.theirs(dy_data)
        leaf = device.theirs(data.copy()).requires_grad_()
        y = F.avg_pool2d(F.grid_sample(leaf[tensor_batch], grid, align_corners=False), 2)
        yield Contest("roi_align_backward", shape, size, "GB/s",
            lambda dy=dy, b=own_boxes, i=own_batch, s=data.shape: ops.roi_align_backward(dy, b, i, s),
            [_gradient(y, [leaf], tdy)])  # fmt: skip
        whole = np.clip(np.round(boxes), 0, h - 1).astype(np.int64)
        own_whole = device.ours(whole.astype(np.float32))

        def cut(x: Any = tx, i: Any = batch, boxes: Any = whole, o: int = bins) -> Any:
            parts = [x[i[k], :, b[1] : b[3] + 1, b[0] : b[2] + 1] for k, b in enumerate(boxes.tolist())]
            return [F.adaptive_max_pool2d(each, o, return_indices=True) for each in parts]

        yield Contest("roi_pool", shape, 2 * size, "GB/s",
            lambda x=x, b=own_whole, i=own_batch, o=bins: ops.roi_pool_with_indices(x, b, i, o), [cut])  # fmt: skip


def contests(device: Device) -> Iterator[Contest]:
    """One for every operator and shape."""
    yield from _normalisation(device)
    yield from _resampling(device)
    yield from _boxes(device)
