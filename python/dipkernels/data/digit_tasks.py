"""Real digits with three tasks at once: which digit it is, how it slants, and what it looks like."""

from __future__ import annotations

import numpy as np

from dipkernels.checks import array, checked
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.data.digits import digits
from dipkernels.ops.backend import FloatArray


@checked(images=array("NCHW"))
def slant(images: FloatArray) -> FloatArray:
    """By how many columns each row of a digit (N, 1, H, W) lies to the left of the row below: μ₁₁/μ₂₀ of its ink, (N,).

    0 for an upright stroke, above 0 for one that leans to the right; 0 for an empty image.

    >>> leaning = np.eye(4, dtype=np.float32)[::-1].reshape(1, 1, 4, 4)  # a stroke from the lower left
    >>> slant(leaning)
    array([1.], dtype=float32)
    """
    ink = images[:, 0].astype(np.float64)
    rows, columns = np.arange(ink.shape[1], dtype=np.float64), np.arange(ink.shape[2], dtype=np.float64)
    mass = np.maximum(ink.sum((1, 2)), 1e-12)
    y = (ink.sum(2) @ rows) / mass
    x = (ink.sum(1) @ columns) / mass
    dy, dx = rows[None, :, None] - y[:, None, None], columns[None, None, :] - x[:, None, None]
    spread = (ink * dy * dy).sum((1, 2))
    return np.where(spread > 0, -(ink * dy * dx).sum((1, 2)) / np.maximum(spread, 1e-12), 0).astype(np.float32)


def digit_tasks(size: int | tuple[int, int] = (16, 16), *, seed: int = 0) -> Splits:
    """The built-in digits, float32 (N, 1, height, width), with t float32 (N, 2 + height·width): the class, the `slant`
    in standard deviations of the training data, and the image itself.

    Raises as `data.digits`.

    >>> digit_tasks().train.t.shape
    (1078, 258)
    """
    parts = digits(size, seed=seed)
    leaning = slant(parts.train.x)
    mean, deviation = leaning.mean(), leaning.std()

    def tasks(part: Dataset) -> Dataset:
        columns = [part.t[:, None], (slant(part.x)[:, None] - mean) / deviation, part.x.reshape(len(part), -1)]
        return Dataset(part.x, np.concatenate(columns, 1).astype(np.float32))

    return Splits(tasks(parts.train), tasks(parts.validation), tasks(parts.test))
