"""Digits on larger canvases, and windows cut out of them: what a classifier needs that is to look at every place."""

from __future__ import annotations

import numpy as np

from dipkernels.arguments import integer
from dipkernels.checks import checked, instance, random_seed, whole
from dipkernels.data.boxes import boxes_of, padded_boxes
from dipkernels.data.dataset import Dataset
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.backend import FloatArray
from dipkernels.reference.boxes import box_iou

BACKGROUND = 10
"""The label of a window that shows no digit, behind those of the digits."""


@checked(digits=instance(Dataset), seed=random_seed)
def canvases(digits: Dataset, size: int | tuple[int, int] = (128, 128), count: int = 50, *, seed: int = 0) -> Dataset:
    """`count` canvases (1, height, width) with digits of a data set (N, 1, H, W) on them that do not touch, as many as
    there is room for in some tries, and t float32 (count, most, 5), the class and the corners of every digit's window.

    ValueError for a canvas that is smaller than a digit.
    """
    height, width = positive_pair("canvases", "size", size)
    _, _, rows, columns = digits.x.shape
    if height < rows or width < columns:
        raise ValueError(f"canvases: size must be at least that of the digits, {rows} × {columns}, got {size}")
    rng = np.random.default_rng(seed)
    x = np.zeros((integer("canvases", "count", count, 0), 1, height, width), np.float32)
    placed = []
    for canvas in x:
        boxes: list[list[float]] = []
        for _ in range(4 * (height // rows) * (width // columns)):
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            place = canvas[0, top : top + rows, left : left + columns]
            if place.any():
                continue
            which = int(rng.integers(len(digits)))
            place[...] = digits.x[which, 0]
            boxes.append([float(digits.t[which]), left, top, left + columns, top + rows])
        placed.append(np.array(boxes, np.float32).reshape(-1, 5))
    return Dataset(x, padded_boxes(placed))


@checked(data=instance(Dataset), each=whole(1), seed=random_seed)
def windows(data: Dataset, size: int | tuple[int, int], each: int = 40, *, seed: int = 0) -> Dataset:
    """`each` windows of that size from every canvas, float32 (N, 1, *size), with the class of the digit that is nearly
    in their middle, or `BACKGROUND`. A third are shifted by up to 3 pixels from a digit's place, the others anywhere;
    those that show a digit neither whole nor hardly are left out.
    """
    height, width = positive_pair("windows", "size", size)
    rng = np.random.default_rng(seed)
    x: list[FloatArray] = []
    labels: list[int] = []
    for canvas, rows in zip(data.x, data.t, strict=True):
        classes, corners = boxes_of(rows)
        anywhere = rng.uniform(0, 1, (each, 2)) * [canvas.shape[2] - width, canvas.shape[1] - height]
        if len(corners):
            near = corners[rng.integers(len(corners), size=each // 3), :2] + rng.integers(-3, 4, (each // 3, 2))
            anywhere[: each // 3] = np.clip(near, 0, [canvas.shape[2] - width, canvas.shape[1] - height])
        places = np.floor(anywhere)
        overlaps = box_iou(np.concatenate([places, np.add(places, [width, height])], 1), corners)
        for (left, top), overlap in zip(places.astype(int), overlaps, strict=True):
            nearest = float(overlap.max(initial=0))
            if 0.45 < nearest < 0.75:
                continue
            x.append(canvas[:, top : top + height, left : left + width])
            labels.append(int(classes[overlap.argmax()]) if nearest >= 0.75 else BACKGROUND)
    return Dataset(np.stack(x), np.array(labels, np.int64))
