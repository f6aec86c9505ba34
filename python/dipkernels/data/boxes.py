"""Boxes of objects as targets: rows of class and corners, as many for every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

NO_OBJECT = -1
"""The class of a row that is not used."""

CROWD = -2
"""The class of a row whose object is neither to be found nor a mistake, such as one that is marked as difficult."""


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
    for row, each in zip(t, boxes, strict=True):
        row[: len(each)] = each
    return t


def boxes_of(t: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The classes (count,) and corners (count, 4) of one image's rows that are used."""
    used = t[t[:, 0] != NO_OBJECT]
    return used[:, 0].astype(np.int64), used[:, 1:]
