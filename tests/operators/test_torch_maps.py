"""Normalisation, resampling and regions against PyTorch in float64, where need be made of its other functions.

Skipped where torch is not installed; it is only needed here (`pip install ".[crosscheck]"`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases import local_response_norm, upsample_bilinear
from cases.case import normal
from dipkernels import reference
from support.device_ops import ops
from support.tensors import close, tensor

torch = pytest.importorskip("torch")
F = torch.nn.functional


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (3, 4, 6, 5), (2, 3, 2, 3, 4)])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    x, weight, bias, mean = (normal(*s, seed=i) for i, s in enumerate([shape, shape[1:2], shape[1:2], shape[1:2]]))
    var = np.abs(normal(*shape[1:2], seed=4))
    close(ops.batch_norm(x, mean, var, weight, bias), F.batch_norm(*map(tensor, (x, mean, var, weight, bias))))
    tx, tw, tb = (tensor(a, grad=True) for a in (x, weight, bias))
    averages = tensor(mean), tensor(var)
    ty = F.batch_norm(tx, *averages, tw, tb, training=True, momentum=0.3)
    y, own_mean, own_var = ops.batch_norm_with_stats(x, mean, var, weight, bias, momentum=0.3)
    close(y, ty)
    close(mean, averages[0])
    close(var, averages[1])
    dy = normal(*shape, seed=5)
    ty.backward(tensor(dy))
    gradients = ops.batch_norm_backward(dy, x, own_mean, own_var, weight)
    for got, expected in zip(gradients, (tx.grad, tw.grad, tb.grad), strict=True):
        close(got, expected, 10)


@pytest.mark.parametrize("label", upsample_bilinear.SIZES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_upsample_bilinear2d(label: str, align_corners: bool) -> None:
    small, large = upsample_bilinear.SIZES[label]
    x = normal(2, 3, *small)
    tx = tensor(x, grad=True)
    ty = F.interpolate(tx, size=large, mode="bilinear", align_corners=align_corners)
    close(ops.upsample_bilinear2d(x, size=large, align_corners=align_corners), ty)
    dy = normal(*ty.shape, seed=3)
    ty.backward(tensor(dy))
    close(ops.upsample_bilinear2d_backward(dy, input_size=small, align_corners=align_corners), tx.grad, 10)


@pytest.mark.parametrize("label", [name for name in local_response_norm.SETTINGS if name not in ("vectors", "empty")])
def test_local_response_norm(label: str) -> None:
    shape, *options = local_response_norm.SETTINGS[label]
    x = normal(*shape)
    tx = tensor(x, grad=True)
    ty = F.local_response_norm(tx, *options)
    close(ops.local_response_norm(x, *options), ty)
    dy = normal(*shape, seed=3)
    ty.backward(tensor(dy))
    close(ops.local_response_norm_backward(dy, x, *options), tx.grad, 5)


def test_concatenate_and_pad2d() -> None:
    parts = [normal(2, c, 3, 4) for c in (2, 5)]
    np.testing.assert_array_equal(ops.concatenate(parts), torch.cat([torch.tensor(part) for part in parts], 1))
    for (top, bottom), (left, right) in [((1, 2), (0, 3)), ((-1, 0), (-2, 1)), ((2, -3), (1, 1))]:
        expected = F.pad(torch.tensor(parts[0]), (left, right, top, bottom), value=-3.5)
        np.testing.assert_array_equal(ops.pad2d(parts[0], ((top, bottom), (left, right)), -3.5), expected)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_warp(interpolation: Any) -> None:
    x, size = normal(2, 3, 7, 9), (5, 8)
    matrices = np.float32([[[0.9, 0.2, 0.3], [-0.1, 1.1, -0.7]], [[1, 0, 0.4], [0.3, 0.8, 5]]])
    flow = reference.affine_flow(matrices, size).astype("f4")
    # grid_sample counts from −1 to 1 between the first and the last element.
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(8.0), indexing="ij")
    tflow = torch.tensor(flow, dtype=torch.float64, requires_grad=True)
    grid = torch.stack([(columns + tflow[:, 0]) / 8 * 2 - 1, (rows + tflow[:, 1]) / 6 * 2 - 1], -1)
    tx = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    ty = F.grid_sample(tx, grid, interpolation, align_corners=True)
    np.testing.assert_allclose(ops.warp(x, flow, interpolation), ty.detach(), atol=1e-5)
    dy = normal(*ty.shape, seed=3)
    ty.backward(torch.tensor(dy, dtype=torch.float64))
    dx, dflow = ops.warp_backward(dy, x, flow, interpolation)
    np.testing.assert_allclose(dx, tx.grad, atol=1e-5)
    np.testing.assert_allclose(dflow, tflow.grad, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 4])
def test_roi_align(samples: int) -> None:
    """The mean of grid_sample at the samples; these boxes lie within the map."""
    x, bins = normal(2, 3, 9, 12), 4
    boxes = np.float32([[1, 2, 8.5, 7], [0.5, 0.5, 11, 8], [3.25, 1, 4, 2]])
    batch = np.int64([0, 1, 1])
    tx = tensor(x, grad=True)
    at = (torch.arange(bins * samples, dtype=torch.float64) + 0.5) / (bins * samples)
    grids = []
    for x1, y1, x2, y2 in boxes.astype("f8"):
        columns, rows = (x1 + at * (x2 - x1)) / 12 * 2 - 1, (y1 + at * (y2 - y1)) / 9 * 2 - 1
        grids.append(torch.stack([columns.expand(len(at), -1), rows[:, None].expand(-1, len(at))], -1))
    sampled = F.grid_sample(tx[batch], torch.stack(grids).to(tx.dtype), align_corners=False)
    ty = F.avg_pool2d(sampled, samples)
    close(ops.roi_align(x, boxes, batch, bins, sampling_ratio=samples), ty)
    dy = normal(*ty.shape, seed=3)
    ty.backward(tensor(dy))
    close(ops.roi_align_backward(dy, boxes, batch, x.shape, sampling_ratio=samples), tx.grad, 5)


def test_roi_pool() -> None:
    """adaptive_max_pool2d divides what is cut out in the same way."""
    x, bins = normal(2, 3, 9, 12), (3, 2)
    boxes, batch = np.float32([[1, 2, 8, 7], [0, 0, 11, 8], [3, 1, 3, 1], [2, 0, 6, 5]]), np.int64([0, 1, 1, 0])
    tx = tensor(x, grad=True)
    cut = [
        tx[n : n + 1, :, int(y1) : int(y2) + 1, int(x1) : int(x2) + 1]
        for n, (x1, y1, x2, y2) in zip(batch, boxes, strict=True)
    ]
    ty = torch.cat([F.adaptive_max_pool2d(each, bins) for each in cut])
    y, indices = ops.roi_pool_with_indices(x, boxes, batch, bins)
    close(y, ty)
    dy = normal(*ty.shape, seed=3)
    ty.backward(tensor(dy))
    close(ops.roi_pool_backward(dy, boxes, batch, indices, x.shape), tx.grad, 5)
