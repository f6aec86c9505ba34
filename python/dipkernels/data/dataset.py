"""Images with labels, and their three splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.ops.backend import FloatArray


@dataclass(frozen=True)
class Dataset:
    """Inputs with their targets.

    x : float32 (N, ...), images as (N, C, H, W) from 0 to 1
    t : class indices int64 (N,), or float32 targets (N, ...)
    """

    x: FloatArray
    t: npt.NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.t):
            raise ValueError(f"Dataset: {len(self.x)} inputs, but {len(self.t)} targets")

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, indices: Any) -> Dataset:
        """The examples with these indices, copied."""
        return Dataset(self.x[indices], self.t[indices])


@dataclass(frozen=True)
class Splits:
    """Training data, validation data, which show overfitting, and test data, which training never sees."""

    train: Dataset
    validation: Dataset
    test: Dataset


def split(data: Dataset, validation: float = 0.2, test: float = 0.2, *, seed: int = 0) -> Splits:
    """Shuffles with `seed` and cuts off these fractions.

    Raises ValueError where they leave nothing to train on.

    >>> parts = split(Dataset(np.zeros((10, 1), np.float32), np.arange(10)))
    >>> len(parts.train), len(parts.validation), len(parts.test)
    (6, 2, 2)
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ValueError(
            f"split: validation and test must be at least 0 and below 1 together, got {validation}, {test}"
        )
    order = np.random.default_rng(seed).permutation(len(data))
    first, second = round(test * len(data)), round((test + validation) * len(data))
    return Splits(data.subset(order[second:]), data.subset(order[first:second]), data.subset(order[:first]))
