"""Oracles of the pooling of regions of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.ops.backend import IndexArray
from dipkernels.reference.geometry import Float64

__all__ = ["roi_align", "roi_align_backward", "roi_pool", "roi_pool_backward", "roi_pool_with_indices"]


def _bins(start: float, end: float, scale: float, bins: int, extent: int) -> list[range]:
    """The elements of each bin along one axis."""

    def nearest(value: float) -> int:
        return math.floor(abs(value) * scale + 0.5) * (1 if value >= 0 else -1)

    first, length = nearest(start), max(nearest(end) - nearest(start) + 1, 1)
    edges = [(first + i * length // bins, first - (-(i + 1) * length // bins)) for i in range(bins)]
    return [range(max(a, 0), min(b, extent)) for a, b in edges]


def roi_pool_with_indices(
    x: Any, boxes: Any, batch: Any, output_size: Any, spatial_scale: float = 1.0
) -> tuple[Float64, IndexArray]:
    """Bin by bin."""
    x, (rows, columns) = np.asarray(x, np.float64), np.broadcast_to(output_size, 2)
    _, channels, height, width = x.shape
    y = np.zeros((len(boxes), channels, rows, columns))
    indices = np.full(y.shape, -1, np.int32)
    for k, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float64)):
        for i, down in enumerate(_bins(y1, y2, spatial_scale, rows, height)):
            for j, right in enumerate(_bins(x1, x2, spatial_scale, columns, width)):
                if not down or not right:
                    continue
                window = x[batch[k], :, down.start : down.stop, right.start : right.stop]
                best = window.reshape(channels, len(down) * len(right)).argmax(1)
                indices[k, :, i, j] = (down.start + best // len(right)) * width + right.start + best % len(right)
                y[k, :, i, j] = window.reshape(channels, len(down) * len(right)).max(1)
    return y, indices


def roi_pool(x: Any, boxes: Any, batch: Any, output_size: Any, spatial_scale: float = 1.0) -> Float64:
    """The largest of every bin."""
    return roi_pool_with_indices(x, boxes, batch, output_size, spatial_scale)[0]


def roi_pool_backward(
    dy: Any, boxes: Any, batch: Any, indices: Any, input_size: Sequence[int], spatial_scale: float = 1.0
) -> Float64:
    """Each dy to its maximum."""
    dx = np.zeros(input_size)
    for k, c, i, j in np.ndindex(*np.shape(dy)):
        if indices[k, c, i, j] >= 0:
            dx[batch[k], c].flat[indices[k, c, i, j]] += dy[k, c, i, j]
    return dx


def _weights(start: float, end: float, scale: float, samples: int, aligned: bool, bins: int, extent: int) -> Float64:
    """(bins, extent): how much of each element along one axis is in each bin."""
    weights = np.zeros((bins, extent))
    first = start * scale
    length = end * scale - first if aligned else max(end * scale - first, 1.0)
    for i in range(bins):
        for s in range(samples):
            at = first + (i + (s + 0.5) / samples) * length / bins - 0.5 * aligned
            if at < -1 or at > extent:
                continue
            at = min(max(at, 0.0), extent - 1.0)
            low = math.floor(at)
            weights[i, low] += (1 - (at - low)) / samples
            weights[i, min(low + 1, extent - 1)] += (at - low) / samples
    return weights


def _box_weights(box: Any, shape: Any, bins: Any, options: tuple[float, int, bool]) -> tuple[Float64, Float64]:
    x1, y1, x2, y2 = box
    return _weights(y1, y2, *options, bins[0], shape[2]), _weights(x1, x2, *options, bins[1], shape[3])


def roi_align(
    x: Any,
    boxes: Any,
    batch: Any,
    output_size: Any,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
) -> Float64:
    """A product from both sides, rows·x·columnsᵀ, for each box."""
    x, bins = np.asarray(x, np.float64), np.broadcast_to(output_size, 2)
    y = np.zeros((len(boxes), x.shape[1], *bins))
    for k, box in enumerate(np.asarray(boxes, np.float64)):
        rows, columns = _box_weights(box, x.shape, bins, (spatial_scale, sampling_ratio, aligned))
        y[k] = rows @ x[batch[k]] @ columns.T
    return y


def roi_align_backward(
    dy: Any,
    boxes: Any,
    batch: Any,
    input_size: Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
) -> Float64:
    """rowsᵀ·dy·columns, added box by box."""
    dy, dx = np.asarray(dy, np.float64), np.zeros(input_size)
    for k, box in enumerate(np.asarray(boxes, np.float64)):
        rows, columns = _box_weights(box, input_size, dy.shape[2:], (spatial_scale, sampling_ratio, aligned))
        dx[batch[k]] += rows.T @ dy[k] @ columns
    return dx
