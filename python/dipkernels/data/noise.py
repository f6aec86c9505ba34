"""Images with noise added, and what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import limited
from dipkernels.checks import array, check_fields, checked, random_seed
from dipkernels.data.dataset import Dataset
from dipkernels.ops.backend import FloatArray


@checked(images=array("NCHW"), seed=random_seed)
def noisy(images: FloatArray, sigma: float = 0.1, *, seed: int = 0) -> Dataset:
    """x: images (N, C, H, W) with normal noise of deviation `sigma` on every element; t: the images themselves.

    >>> parts = noisy(np.zeros((2, 1, 8, 8), np.float32))
    >>> abs(parts.x).max() > 0, abs(parts.t).max()
    (np.True_, np.float32(0.0))
    """
    limited("noisy", "sigma", sigma)
    clean = np.asarray(images, np.float32)
    noise = np.random.default_rng(seed).standard_normal(clean.shape, np.float32)
    return Dataset(clean + np.float32(sigma) * noise, clean)


@dataclass(frozen=True)
class NoiseAugmentation:
    """Other noise for every batch, as `train.fit` takes it: what was x is what t is with new noise."""

    sigma: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, sigma=limited)

    def __call__(self, rng: np.random.Generator, images: FloatArray) -> FloatArray:
        """Images with noise."""
        return images + np.float32(self.sigma) * rng.standard_normal(images.shape, np.float32)

    def with_targets(
        self, rng: np.random.Generator, images: FloatArray, t: npt.NDArray[Any]
    ) -> tuple[FloatArray, npt.NDArray[Any]]:
        """The targets with noise, and the targets."""
        return self(rng, t), t
