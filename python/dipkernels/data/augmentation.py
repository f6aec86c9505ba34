"""Affine transforms of images: more training data from what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.arguments import choice, limited
from dipkernels.checks import array, check_fields, checked, instance, one_of, whole
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.backend import FloatArray

Augmentation: TypeAlias = Callable[[np.random.Generator, FloatArray], FloatArray]
"""Makes other images (N, C, H, W) of a batch. Where it changes the targets as well, as when masks move with their
images, it has a method `with_targets(rng, images, t)` that returns both."""

Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic"]
_spline_order = {"nearest": 0, "bilinear": 1, "bicubic": 3}


def ndimage() -> Any:
    """scipy.ndimage; ImportError, with the remedy, without scipy."""
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ImportError('resampling needs scipy; pip install "dipkernels[train]"') from error
    return ndimage


def moved(
    images: FloatArray, factors: npt.NDArray[Any], shifts: npt.NDArray[Any], interpolation: Interpolation = "bilinear"
) -> FloatArray:
    """Images (N, C, H, W) as they look when every point p goes to factor·p + shift, counted from the middle.

    `factors` and `shifts` are (N, 2), along (height, width), the shifts in pixels; what comes from outside is 0.
    """
    matrices = np.zeros((len(images), 2, 3), np.float32)
    backwards = 1 / factors[:, ::-1]
    matrices[:, [0, 1], [0, 1]] = backwards
    matrices[:, :, 2] = -backwards * shifts[:, ::-1]
    return ops.warp(np.ascontiguousarray(images), ops.affine_flow(matrices, images.shape[2:]), interpolation)


def _check_images(op: str, images: Any) -> None:
    if np.ndim(images) != 4:
        raise ValueError(
            f"{op}: images must have 4 dimensions (N, C, H, W), got shape {np.shape(images)}; one image is images[None]"
        )


@checked(matrices=array("*"))
def affine(images: FloatArray, matrices: npt.ArrayLike, interpolation: Interpolation = "bilinear") -> FloatArray:
    """Moves every point (x, y) of an image to A·[x y 1]ᵀ; what comes from outside is 0.

    Parameters
    ----------
    images : float32 (N, C, H, W)
    matrices : (2, 3), or (N, 2, 3) with one for each image
        In pixels, x to the right and y down, the origin in the middle of the image.
    interpolation
        "nearest", "bilinear" or "bicubic" (cubic splines).

    Raises ValueError for a matrix of another shape or one that cannot be inverted.

    Source: lecture, data augmentation by affine transforms.

    >>> image = np.float32([[[[1, 2, 3]]]])
    >>> affine(image, [[1, 0, 1], [0, 1, 0]])
    array([[[[0., 1., 2.]]]], dtype=float32)
    """
    _check_images("affine", images)
    choice("affine", "interpolation", interpolation, _spline_order)
    given = np.asarray(matrices, np.float64)
    if given.shape not in ((2, 3), (len(images), 2, 3)):
        raise ValueError(f"affine: matrices must have shape (2, 3) or ({len(images)}, 2, 3), got {given.shape}")
    matrices = np.broadcast_to(given, (len(images), 2, 3))
    linear, shift = matrices[:, :, :2], matrices[:, :, 2]
    if (np.abs(np.linalg.det(linear)) < 1e-12).any():
        raise ValueError("affine: a matrix cannot be inverted: it maps the image onto a line")
    # The sampling runs backwards, and over (row, column) instead of (x, y).
    inverse = np.linalg.inv(linear)
    backward = inverse[:, ::-1, ::-1]
    centre = (np.array(images.shape[2:]) - 1) / 2
    offsets = centre - np.einsum("nij,nj->ni", backward, centre + shift[:, ::-1])
    transform, order = ndimage().affine_transform, _spline_order[interpolation]
    result = np.empty_like(images)
    for image, matrix, offset, out in zip(images, backward, offsets, result, strict=True):
        for channel, target in zip(image, out, strict=True):
            transform(channel, matrix, offset, output=target, order=order)
    return result


@checked(rng=instance(np.random.Generator), count=whole(), degrees=limited, scale=limited, shear=limited, shift=limited)
def random_affine(
    rng: np.random.Generator,
    count: int,
    *,
    degrees: float = 10.0,
    scale: float = 0.1,
    shear: float = 0.1,
    shift: float = 2.0,
) -> npt.NDArray[np.float64]:
    """`count` matrices (2, 3): rotation up to ±degrees, scaling by 1 ± scale, shear ±shear, and ±shift pixels.

    >>> random_affine(np.random.default_rng(0), 5).shape
    (5, 2, 3)
    """
    angle = np.deg2rad(rng.uniform(-degrees, degrees, count))
    size, slant = 1 + rng.uniform(-scale, scale, count), rng.uniform(-shear, shear, count)
    cosine, sine = np.cos(angle) * size, np.sin(angle) * size
    x, y = rng.uniform(-shift, shift, (2, count))
    rows = [[cosine, cosine * slant - sine, x], [sine, sine * slant + cosine, y]]
    return np.moveaxis(np.array(rows), 2, 0)


@dataclass(frozen=True)
class AffineAugmentation:
    """Random affine transforms of every batch, as `train.fit` takes them; the fields are those of `random_affine`."""

    degrees: float = 10.0
    scale: float = 0.1
    shear: float = 0.1
    shift: float = 2.0
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        check_fields(
            self, degrees=limited, scale=limited, shear=limited, shift=limited, interpolation=one_of(_spline_order)
        )

    def __call__(self, rng: np.random.Generator, images: FloatArray) -> FloatArray:
        """The images (N, C, H, W), each transformed differently."""
        limits = {"degrees": self.degrees, "scale": self.scale, "shear": self.shear, "shift": self.shift}
        return affine(images, random_affine(rng, len(images), **limits), self.interpolation)


def resample(images: FloatArray, size: int | tuple[int, int], interpolation: Interpolation = "bilinear") -> FloatArray:
    """Images (N, C, H, W) in another (height, width).

    >>> resample(np.float32([[[[0, 1]]]]), (1, 4))
    array([[[[0.  , 0.25, 0.75, 1.  ]]]], dtype=float32)
    """
    _check_images("resample", images)
    choice("resample", "interpolation", interpolation, _spline_order)
    size = positive_pair("resample", "size", size)
    factors = (size[0] / images.shape[2], size[1] / images.shape[3])
    zoom, order = ndimage().zoom, _spline_order[interpolation]
    result = np.empty((*images.shape[:2], *size), np.float32)
    for image, out in zip(images, result, strict=True):
        for channel, target in zip(image, out, strict=True):
            zoom(channel, factors, output=target, order=order, mode="nearest", grid_mode=True)
    return result


def fit_to(images: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Images in another size: a margin of zeros of up to a quarter, else resampled.

    MNIST's digits stand in 28×28, and LeNet-5 wants 32×32 so that their ends come to the middle of a filter.
    """
    margin = [wanted - have for wanted, have in zip(size, images.shape[2:], strict=True)]
    if margin == [0, 0]:
        return images
    if all(0 <= m <= have // 4 for m, have in zip(margin, images.shape[2:], strict=True)):
        return np.pad(images, ((0, 0), (0, 0), *((m // 2, m - m // 2) for m in margin)))
    return np.clip(resample(images, size, "bicubic"), 0, 1)


def augmented(
    augment: Augmentation | None, rng: np.random.Generator, x: FloatArray, t: npt.NDArray[Any]
) -> tuple[FloatArray, npt.NDArray[Any]]:
    """A batch and its targets as `augment` makes them."""
    if augment is None:
        return x, t
    if hasattr(augment, "with_targets"):
        images, targets = augment.with_targets(rng, x, t)
        return images, targets
    return augment(rng, x), t
