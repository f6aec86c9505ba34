"""Clips of real digits in motion, made by the program: what moves, where to, and how fast is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import choice, integer, limited, numbers
from dipkernels.checks import checked, listed, random_seed, whole
from dipkernels.data.augmentation import resample
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.data.digits import digits
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.backend import FloatArray

DIRECTIONS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
"""The directions by index, 45° apart, as a picture has them: y grows downwards."""


@checked(count=listed(whole(), count=3), seed=random_seed)
def moving_digits(
    targets: Literal["motion", "velocity"] = "motion",
    frames: int = 10,
    size: int | tuple[int, int] = (32, 32),
    count: Sequence[int] = (2400, 400, 800),
    *,
    speed: tuple[float, float] = (0.4, 1.0),
    objects: int = 1,
    noise: float = 0.05,
    seed: int = 0,
) -> Splits:
    """Clips float32 (N, 1, frames, height, width) of digits that move straight on, each part of other writers' digits.

    Where a digit is in the middle frame does not depend on where it goes: no single frame tells that.

    Parameters
    ----------
    targets
        "motion", for one object: t int64 (N, 2), the digit and the direction in `DIRECTIONS`. "velocity": t float32
        (N, 3, height, width), for every pixel of the middle frame, number frames//2, the velocity (v_y, v_x) in pixels
        a frame of the object there, and its number from 1 on, 0 for none.
    count
        How many clips are for training, validation and test.
    speed
        The slowest and the fastest, in pixels a frame.
    objects
        In each clip, at most; they may pass over one another. A single one is half as large as the picture, several a
        third.
    noise
        The deviation of the normal noise on every element.

    The same on every run for the same seed. ImportError, with the remedy, without scikit-learn or scipy; ValueError for
    clips in which the fastest digit would leave the picture.

    >>> parts = moving_digits(count=(2, 1, 1))
    >>> parts.train.x.shape, parts.train.t.shape
    ((2, 1, 10, 32, 32), (2, 2))
    """
    op = "moving_digits"
    choice(op, "targets", targets, ("motion", "velocity"))
    height, width = positive_pair(op, "size", size)
    frames, objects = integer(op, "frames", frames, 1), integer(op, "objects", objects, 1)
    limited(op, "noise", noise)
    slowest, fastest = numbers(op, "speed", speed, 2)
    if not 0 < slowest <= fastest < float("inf"):
        raise ValueError(f"{op}: speed must be the slowest and the fastest, above 0, got {speed}")
    if targets == "motion" and objects != 1:
        raise ValueError(f'{op}: targets="motion" is for one object, got objects {objects}')
    side = min(height, width) // (2 if objects == 1 else 3)
    margin = fastest * max(frames // 2, frames - 1 - frames // 2)
    if side < 8 or min(height, width) - side < 2 * margin:
        raise ValueError(
            f"{op}: size must give a digit 8 × 8 pixels, and leave the fastest digit room, got {height} × {width} for "
            f"{frames} frames at {fastest:g} pixels each"
        )
    small = digits((8, 8), seed=seed)
    parts = []
    for number, (each, source) in enumerate(zip(count, (small.train, small.validation, small.test), strict=True)):
        rng = np.random.default_rng([seed, number])
        n = integer(op, "count", each, 0)
        x = rng.normal(0, noise, (n, 1, frames, height, width)).astype(np.float32)
        t = np.zeros((n, 3, height, width), np.float32)
        motions = np.zeros((n, 2), np.int64)
        for i in range(n):
            for one in range(objects if objects == 1 else int(rng.integers(1, objects + 1))):
                chosen, direction = int(rng.integers(len(source))), int(rng.integers(len(DIRECTIONS)))
                angle, pace = direction * np.pi / 4, rng.uniform(slowest, fastest)
                velocity = pace * np.array([np.sin(angle), np.cos(angle)])
                room = np.array([height, width]) - side
                middle = margin + rng.random(2) * (room - 2 * margin)
                ink = _ink(source.x[chosen], side)
                _draw(x[i, 0], ink, middle, velocity)
                _mark(t[i], ink, middle, velocity, one + 1)
                motions[i] = source.t[chosen], direction
        parts.append(Dataset(np.clip(x, 0, 1, out=x), motions if targets == "motion" else t))
    return Splits(*parts)


def _ink(digit: FloatArray, side: int) -> FloatArray:
    """A digit (1, 8, 8) as (side, side), with an edge of nothing all around."""
    ink = np.clip(1.5 * resample(digit[None], side - 2, "bicubic")[0, 0], 0, 1)
    return np.pad(ink, 1).astype(np.float32)


def _placed(ink: FloatArray, place: npt.NDArray[Any]) -> tuple[FloatArray, int, int]:
    """The digit at a place between pixels, by bilinear interpolation, and the pixel at its corner."""
    corner = np.floor(place).astype(int)
    down, right = (place - corner).astype(np.float32)
    large = np.pad(ink, ((0, 1), (0, 1)))
    rows = (1 - down) * large + down * np.roll(large, 1, 0)
    return (1 - right) * rows + right * np.roll(rows, 1, 1), int(corner[0]), int(corner[1])


def _draw(clip: FloatArray, ink: FloatArray, middle: npt.NDArray[Any], velocity: npt.NDArray[Any]) -> None:
    """Adds a digit to all frames; where two meet, the darker one is seen."""
    for number, frame in enumerate(clip):
        moved, top, left = _placed(ink, middle + (number - len(clip) // 2) * velocity)
        part = frame[top : top + len(moved), left : left + len(moved)]
        np.maximum(part, part * (1 - moved) + moved, out=part)


def _mark(t: FloatArray, ink: FloatArray, middle: npt.NDArray[Any], velocity: npt.NDArray[Any], number: int) -> None:
    """Writes velocity and number to where the digit is in the middle frame."""
    moved, top, left = _placed(ink, middle)
    part = t[:, top : top + len(moved), left : left + len(moved)]
    inside = moved[: part.shape[1], : part.shape[2]] > 0.3
    for channel, value in zip(part, (*velocity, number), strict=True):
        channel[inside] = value
