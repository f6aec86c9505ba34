"""Images with labels, and their three splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import described
from dipkernels.checks import checked, instance, random_seed, real
from dipkernels.ops.backend import FloatArray


@dataclass(frozen=True)
class Dataset:
    """Inputs with their targets.

    x : float32 (N, ...), images as (N, C, H, W) from 0 to 1; lists and other floats are converted
    t : class indices of any integer dtype (N,), or float32 targets (N, ...)

    TypeError for x of integers or of no numbers, ValueError where the lengths differ.
    """

    x: FloatArray
    t: npt.NDArray[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", _inputs(self.x))
        object.__setattr__(self, "t", _targets(self.t))
        if not (self.x.ndim and self.t.ndim):
            raise ValueError(
                f"Dataset: x and t must have an axis of examples, got shapes {self.x.shape}, {self.t.shape}"
            )
        if len(self.x) != len(self.t):
            raise ValueError(f"Dataset: {len(self.x)} inputs, but {len(self.t)} targets")

    def __len__(self) -> int:
        return len(self.x)

    def _repr_png_(self) -> bytes | None:
        """In a notebook: a sheet of the first images, where these are some and matplotlib is there."""
        if self.x.ndim != 4 or not len(self):
            return None
        try:
            from dipkernels import viz
            from dipkernels.viz.figure import png_of

            return png_of(viz.samples(self.x, self.t))
        except ImportError:
            return None

    def subset(self, indices: Any) -> Dataset:
        """The examples with these indices, copied."""
        return Dataset(self.x[indices], self.t[indices])


def _inputs(x: Any) -> FloatArray:
    if isinstance(x, np.ndarray):
        if x.dtype.kind != "f":
            raise TypeError(
                f"Dataset: x must be float32, got {x.dtype}; images of bytes become so by x.astype(np.float32) / 255"
            )
        return x.astype(np.float32, copy=False)
    return _array("x", x, np.float32)


def _targets(t: Any) -> npt.NDArray[Any]:
    array = t if isinstance(t, np.ndarray) else _array("t", t, None)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind != "f":
        raise TypeError(f"Dataset: t must be class indices or float32 targets, got {array.dtype}")
    return array.astype(np.float32, copy=False)


def _array(name: str, values: Any, dtype: Any) -> npt.NDArray[Any]:
    try:
        return np.array(values, dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Dataset: {name} must be an array or a list of numbers, got {described(values)}") from error


def as_dataset(op: str, data: Any, t: Any) -> Dataset:
    """A data set as it is, or from inputs and targets; TypeError, in the name of `op`, for anything else."""
    if isinstance(data, Dataset) and t is None:
        return data
    if isinstance(data, (np.ndarray, list, tuple)) and t is not None:
        return Dataset(data, t)  # type: ignore[arg-type]
    raise TypeError(f"{op}: data must be a Dataset, or arrays x and t, got {described(data)} and {described(t)}")


@dataclass(frozen=True)
class Splits:
    """Training data, validation data, which show overfitting, and test data, which training never sees."""

    train: Dataset
    validation: Dataset
    test: Dataset


@checked(data=instance(Dataset), validation=real(), test=real(), seed=random_seed)
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
