"""Images with a class for every pixel: road scenes in SegNet's layout, their augmentation and class weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import limited
from dipkernels.checks import array, check_fields, checked, positive, whole
from dipkernels.data.augmentation import moved
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.data.pictures import read_pixels
from dipkernels.ops.backend import FloatArray

CAMVID_CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
"""CamVid's, by index, as SegNet groups them."""

UNLABELLED = 11
"""The label of pixels that are of none of `CAMVID_CLASSES`, and are not scored."""


def camvid(root: str | Path) -> Splits:
    """CamVid in the layout of the SegNet tutorial: folders train, val and test of images, and trainannot, valannot and
    testannot of PNGs with a class index for every pixel.

    x float32 (N, 3, H, W) from 0 to 1, t uint8 (N, H, W). FileNotFoundError where something is missing, ValueError for
    an image whose mask has another size, or a mask with an unknown class. Source: Brostow et al. 2009;
    Badrinarayanan et al. 2017.
    """
    parts = [_part(Path(root) / name, Path(root) / f"{name}annot") for name in ("train", "val", "test")]
    return Splits(*parts)


def _part(images: Path, masks: Path) -> Dataset:
    for folder in (images, masks):
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; CamVid has train, trainannot, val, valannot, "
                                    "test and testannot")  # fmt: skip
    x, t = [], []
    for path in sorted(images.iterdir()):
        mask = masks / f"{path.stem}.png"
        x.append(np.moveaxis(read_pixels(path, "RGB"), -1, 0))
        t.append(read_pixels(mask, None))
        if t[-1].shape != x[-1].shape[1:]:
            raise ValueError(f"{mask} must be of the size of its image, {x[-1].shape[1:]}, with one number a pixel, "
                             f"got shape {t[-1].shape}")  # fmt: skip
        if t[-1].max() > UNLABELLED:
            raise ValueError(f"{mask} has the class {t[-1].max()}; classes are from 0 to {UNLABELLED}")
        if x[-1].shape != x[0].shape:
            raise ValueError(f"{path} is of another size than the others: {x[-1].shape[1:]}, not {x[0].shape[1:]}")
    if not x:
        raise FileNotFoundError(f"there are no images in {images}")
    return Dataset(np.stack(x).astype(np.float32) / np.float32(255), np.stack(t))


@checked(t=array("*"), classes=whole(1), most=positive)
def class_weights(t: npt.NDArray[Any], classes: int, most: float = 10.0) -> FloatArray:
    """float32 (classes,): what the median class's share of all pixels is over each one's, at most `most`.

    Rare classes count for more, so that the road does not drown the pedestrians; a class that is nowhere gets `most`.
    Labels beyond the classes are left out. Source: Eigen, Fergus 2015, median frequency balancing.

    >>> class_weights(np.array([0, 0, 0, 0, 1, 1, 2]), 3).tolist()
    [0.5, 1.0, 2.0]
    """
    counts = np.bincount(t[t < classes].ravel(), minlength=classes).astype(np.float64)
    there = counts > 0
    weights = np.full(classes, most)
    weights[there] = np.minimum(np.median(counts[there]) / counts[there], most)
    return weights.astype(np.float32)


@dataclass(frozen=True)
class MaskAugmentation:
    """Random mirroring, scaling, shifting and brightness; the masks move with their images, as `train.fit` takes it.

    scale : images grow or shrink by up to this factor, above 1
    shift : and move by up to this part of their size
    light : and are multiplied by up to 1 ± light
    outside : the label of what comes in from outside
    """

    scale: float = 1.3
    shift: float = 0.1
    light: float = 0.2
    outside: int = UNLABELLED

    def __post_init__(self) -> None:
        check_fields(self, scale=positive, shift=limited, light=limited, outside=whole())

    def __call__(self, rng: np.random.Generator, images: FloatArray) -> FloatArray:
        """The images alone."""
        return self.with_targets(rng, images, np.zeros((len(images), *images.shape[2:]), np.uint8))[0]

    def with_targets(
        self, rng: np.random.Generator, images: FloatArray, t: npt.NDArray[Any]
    ) -> tuple[FloatArray, npt.NDArray[Any]]:
        """Images (N, C, H, W) and masks (N, H, W), each pair transformed differently."""
        size, count = np.array(images.shape[2:]), len(images)
        factors, shifts, light = np.empty((count, 2)), np.empty((count, 2)), np.empty(count, np.float32)
        for i in range(count):
            factors[i] = np.exp(rng.uniform(-1, 1) * np.log(self.scale))
            factors[i, 1] *= 1 if rng.random() < 0.5 else -1
            shifts[i] = rng.uniform(-1, 1, 2) * self.shift * size
            light[i] = 1 + rng.uniform(-1, 1) * self.light
        x = moved(images, factors, shifts) * light[:, None, None, None]
        # What comes from outside is 0 there, and is to be `outside` here.
        masks = moved(t[:, None].astype(np.float32) - self.outside, factors, shifts, "nearest")[:, 0] + self.outside
        return x, masks.astype(t.dtype)
