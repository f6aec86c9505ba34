"""A small built-in set for segmentation and detection: real digits and drawn shapes on canvases, with exact masks and
boxes, made by the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import choice, integer, limited
from dipkernels.checks import checked, listed, random_seed, whole
from dipkernels.data.augmentation import resample
from dipkernels.data.boxes import padded_boxes
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.data.digits import digits
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.backend import FloatArray

SCENE_OBJECTS = ("digit", "disc", "square", "triangle")
"""The classes of the boxes, by index."""

SCENE_CLASSES = ("background", *SCENE_OBJECTS)
"""The classes of the pixels, by index."""

_MOST = 4  # objects in a scene


@checked(count=listed(whole(), count=3), seed=random_seed)
def scenes(
    targets: Literal["masks", "boxes", "instances"] = "masks",
    size: int | tuple[int, int] = (64, 64),
    count: Sequence[int] = (640, 160, 200),
    *,
    seed: int = 0,
    noise: float = 0.03,
) -> Splits:
    """Canvases (N, 3, height, width) from 0 to 1, float32, with up to four objects of `SCENE_OBJECTS`, apart.

    Parameters
    ----------
    targets
        "masks": t uint8 (N, height, width) of `SCENE_CLASSES`. "boxes": t float32 (N, 4, 5), a row for each object:
        its class in `SCENE_OBJECTS`, and the corners x₁, y₁, x₂, y₂ in pixels; rows that are not used have class −1.
        "instances": t float32 (N, 4, 5 + 28·28), the same, and behind the corners the object's mask, 0 or 1, stretched
        from its box to 28 × 28.
    count
        How many are for training, validation and test; each part has other digits.

    noise
        The deviation of the normal noise on every element.

    The same on every run for the same seed. ImportError, with the remedy, without scikit-learn or scipy, ValueError for
    canvases that are too small.

    >>> parts = scenes(count=(3, 1, 1))
    >>> parts.train.x.shape, parts.train.t.shape
    ((3, 3, 64, 64), (3, 64, 64))
    """
    choice("scenes", "targets", targets, ("masks", "boxes", "instances"))
    height, width = positive_pair("scenes", "size", size)
    if min(height, width) < 32:
        raise ValueError(f"scenes: size must be at least 32 × 32, got {height} × {width}")
    limited("scenes", "noise", noise)
    parts = []
    for number, (each, source) in enumerate(zip(count, digit_splits(seed), strict=True)):
        rng = np.random.default_rng([seed, number])
        drawn = [_draw(rng, source, height, width, noise) for _ in range(integer("scenes", "count", each, 0))]
        x = np.stack([image for image, _, _ in drawn]) if drawn else np.zeros((0, 3, height, width), np.float32)
        if targets == "masks":
            t: Any = np.stack([m for _, m, _ in drawn]) if drawn else np.zeros((0, height, width), np.uint8)
        else:
            t = padded_boxes([boxes for _, _, boxes in drawn], _MOST)
        if targets == "instances":
            masks = [_stretched(mask, rows) for (_, mask, _), rows in zip(drawn, t, strict=True)]
            t = np.concatenate([t, np.array(masks, np.float32).reshape(len(t), _MOST, 28 * 28)], 2)
        parts.append(Dataset(x, t))
    return Splits(*parts)


def digit_splits(seed: int) -> list[FloatArray]:
    """Digits of 8×8 for the three parts."""
    small = digits((8, 8), seed=seed)
    return [part.x[:, 0] for part in (small.train, small.validation, small.test)]


def _draw(
    rng: np.random.Generator, source: FloatArray, height: int, width: int, noise: float
) -> tuple[FloatArray, npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """One canvas, its mask and its boxes."""
    paper, slope = rng.uniform(0.2, 0.8, 3), rng.uniform(-0.15, 0.15, (3, 2))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    image = paper[:, None, None] + slope[:, :1, None] * y + slope[:, 1:, None] * x
    mask = np.zeros((height, width), np.uint8)
    boxes: list[list[float]] = []
    for _ in range(rng.integers(1, _MOST + 1)):
        kind, side = (
            int(rng.integers(len(SCENE_OBJECTS))),
            int(rng.integers(min(height, width) // 5, min(height, width) // 3 + 1)),
        )
        shape = shape_of(rng, kind, side, source)
        for _ in range(30):  # tries to find room
            top, left = rng.integers(1, height - side), rng.integers(1, width - side)
            around = mask[top - 1 : top + side + 1, left - 1 : left + side + 1]
            if not around.any():
                break
        else:
            continue
        inside = shape > 0.5
        colour = paper + np.where(rng.random(3) < 0.5, -1, 1) * rng.uniform(0.25, 0.5, 3)
        place = image[:, top : top + side, left : left + side]
        place += shape * (colour[:, None, None] - place)
        mask[top : top + side, left : left + side][inside] = kind + 1
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        corners = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
        boxes.append([kind, *map(float, corners)])
    image += rng.normal(0, noise, image.shape)
    return np.clip(image, 0, 1).astype(np.float32), mask, np.array(boxes, np.float32).reshape(-1, 5)


def _stretched(mask: npt.NDArray[np.uint8], rows: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """(4, 28·28): which of 28 × 28 places in each box belong to its object."""
    result = np.zeros((len(rows), 28, 28), bool)
    for (label, x1, y1, x2, y2), out in zip(rows, result, strict=True):
        if label >= 0:
            down, right = (int(a) + np.arange(28) * int(b - a) // 28 for a, b in ((y1, y2), (x1, x2)))
            out[...] = mask[down[:, None], right] == label + 1
    return result.reshape(len(rows), -1)


def shape_of(rng: np.random.Generator, kind: int, side: int, source: FloatArray) -> npt.NDArray[Any]:
    """How much of each of side × side pixels the object covers, from 0 to 1; more than half at its widest."""
    if SCENE_OBJECTS[kind] == "digit":
        digit = source[rng.integers(len(source))]
        ink = resample(digit[None, None], side, "bicubic")[0, 0]
        return np.clip(3 * ink - 0.7, 0, 1)  # with the edges of a pen, not of a pencil
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side * 2 - 1
    edge = 2.0 / side  # a pixel, over which an outline fades
    if SCENE_OBJECTS[kind] == "disc":
        distance = np.hypot(x, y) - 0.95
    elif SCENE_OBJECTS[kind] == "square":
        distance = np.maximum(abs(x), abs(y)) - 0.9
    else:  # its base below
        distance = np.maximum(y - 0.9, 2 * abs(x) / 2.236 - (y + 0.9) / 2.236)
    return np.clip(0.5 - distance / edge, 0, 1)
