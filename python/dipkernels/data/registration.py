"""Pairs of images of which one was moved, for registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.arguments import limited
from dipkernels.checks import array, check_fields, checked, instance, random_seed
from dipkernels.data.augmentation import random_affine
from dipkernels.ops.backend import FloatArray


@dataclass(frozen=True)
class PairAugmentation:
    """Another random affine map for every pair and batch, as `train.fit` takes it, with the fields of `random_affine`.

    Pairs are (N, 2·C, H, W): the moved image, and the one that stays.
    """

    degrees: float = 12.0
    scale: float = 0.1
    shear: float = 0.05
    shift: float = 6.0

    def __post_init__(self) -> None:
        check_fields(self, degrees=limited, scale=limited, shear=limited, shift=limited)

    def maps(self, rng: np.random.Generator, count: int) -> FloatArray:
        """`count` random maps (count, 2, 3), as `ops.affine_flow` takes them."""
        limits = {"degrees": self.degrees, "scale": self.scale, "shear": self.shear, "shift": self.shift}
        return random_affine(rng, count, **limits).astype(np.float32)

    def __call__(self, rng: np.random.Generator, images: FloatArray) -> FloatArray:
        """Pairs whose first image is the second, moved anew."""
        fixed = np.ascontiguousarray(images[:, images.shape[1] // 2 :])
        moved = ops.warp(fixed, ops.affine_flow(self.maps(rng, len(fixed)), fixed.shape[2:]))
        return np.concatenate([moved, fixed], 1)

    def with_targets(
        self, rng: np.random.Generator, images: FloatArray, t: npt.NDArray[Any]
    ) -> tuple[FloatArray, npt.NDArray[Any]]:
        """The pairs, which are their own targets."""
        pairs = self(rng, images)
        return pairs, pairs


@checked(images=array("NCHW"), augmentation=instance(PairAugmentation), seed=random_seed)
def moved_pairs(
    images: FloatArray, augmentation: PairAugmentation | None = None, *, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """For each image (N, C, H, W) the pair (N, 2·C, H, W) of what a random map makes of it and itself, and the maps
    (N, 2, 3), those of an `augmentation` of your own where one is given.
    """
    maps = (augmentation or PairAugmentation()).maps(np.random.default_rng(seed), len(images))
    return np.concatenate([ops.warp(images, ops.affine_flow(maps, images.shape[2:])), images], 1), maps
