"""Boxes of objects as targets: rows of class and corners, as many for every image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import flag, limited
from dipkernels.checks import array, check_fields, checked, listed, positive, real, whole
from dipkernels.data.augmentation import moved
from dipkernels.ops.backend import FloatArray

NO_OBJECT = -1
"""The class of a row that is not used."""

CROWD = -2
"""The class of a row whose object is neither to be found nor a mistake, such as one that is marked as difficult."""


@checked(boxes=listed(array("N*")), most=whole(0))
def padded_boxes(boxes: Sequence[npt.NDArray[Any]], most: int | None = None) -> npt.NDArray[np.float32]:
    """float32 (N, most, 5) from one array (count, 5) of class, x₁, y₁, x₂, y₂ for each image.

    ValueError where an image has more than `most`, by default as many as the fullest image, at least one.

    >>> padded_boxes([np.zeros((0, 5)), np.array([[3, 0, 0, 2, 1]])])[:, 0, 0].tolist()
    [-1.0, 3.0]
    """
    fullest = max((len(each) for each in boxes), default=0)
    most = max(fullest, 1) if most is None else most
    if fullest > most:
        raise ValueError(f"padded_boxes: an image has {fullest} boxes, more than {most}")
    t = np.zeros((len(boxes), most, 5), np.float32)
    t[:, :, 0] = NO_OBJECT
    for i, (row, each) in enumerate(zip(t, boxes, strict=True)):
        if len(each) and np.shape(each)[1:] != (5,):
            raise ValueError(f"padded_boxes: boxes[{i}] must have shape (count, 5), got {np.shape(each)}")
        row[: len(each)] = each
    return t


def boxes_of(t: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The classes (count,) and corners (count, 4) of one image's rows that are used."""
    used = t[t[:, 0] != NO_OBJECT]
    return used[:, 0].astype(np.int64), used[:, 1:]


@dataclass(frozen=True)
class BoxAugmentation:
    """Random mirroring, scaling, shifting and brightness; the boxes move with their images, as `train.fit` takes it.

    scale : images grow or shrink by up to this factor, from 1
    shift : and move by up to this part of their size
    light : and are multiplied by up to 1 ± light
    upside_down : whether they are mirrored along both axes, as what has no above and below may be, or left to right
    visible : a box of which less than this part is left in the image counts as a crowd: neither to be found nor wrong
    """

    scale: float = 1.2
    shift: float = 0.1
    light: float = 0.2
    upside_down: bool = False
    visible: float = 0.4

    def __post_init__(self) -> None:
        check_fields(self, scale=positive, shift=limited, light=limited, upside_down=flag, visible=real(0, 1))

    def __call__(self, rng: np.random.Generator, images: FloatArray) -> FloatArray:
        """The images alone."""
        return self.with_targets(rng, images, np.full((len(images), 1, 5), NO_OBJECT, np.float32))[0]

    def with_targets(
        self, rng: np.random.Generator, images: FloatArray, t: npt.NDArray[Any]
    ) -> tuple[FloatArray, npt.NDArray[Any]]:
        """Images (N, C, H, W) and rows of class and corners (N, most, 5), each pair transformed differently."""
        boxes, size, count = t.copy(), np.array(images.shape[2:]), len(images)
        factors, shifts, light = np.empty((count, 2)), np.empty((count, 2)), np.empty(count, np.float32)
        for i, rows in enumerate(boxes):
            factor = np.exp(rng.uniform(-1, 1) * np.log(self.scale))
            mirrored = np.array([self.upside_down, True]) & (rng.random(2) < 0.5)
            factors[i] = np.where(mirrored, -factor, factor)
            shifts[i] = rng.uniform(-1, 1, 2) * self.shift * size
            light[i] = 1 + rng.uniform(-1, 1) * self.light
            self._move(rows, factors[i], size / 2 * (1 - factors[i]) + shifts[i], size)
        return moved(images, factors, shifts) * light[:, None, None, None], boxes

    def _move(
        self, rows: npt.NDArray[Any], factor: npt.NDArray[Any], offset: npt.NDArray[Any], size: npt.NDArray[Any]
    ) -> None:
        """Corners c become factor·c + offset, along (height, width), as far as they are inside `size`."""
        used = rows[:, 0] != NO_OBJECT
        ends = rows[:, 1:].reshape(-1, 2, 2) * factor[::-1] + offset[::-1]
        ends = np.sort(ends, axis=1)
        inside = np.clip(ends, 0, size[::-1])
        areas = np.prod(ends[:, 1] - ends[:, 0], axis=1)
        left = np.prod(inside[:, 1] - inside[:, 0], axis=1)
        rows[used, 1:] = inside.reshape(-1, 4)[used]
        rows[used & (left < self.visible * areas), 0] = CROWD
        rows[used & (left <= 0)] = np.array([NO_OBJECT, 0, 0, 0, 0])
