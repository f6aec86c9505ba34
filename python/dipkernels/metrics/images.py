"""How near images are to what they should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, checked, positive
from dipkernels.data.augmentation import ndimage


def _pair(op: str, x: Any, target: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    a, b = np.asarray(x, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"{op}: x and target must have one shape (N, C, H, W), got {a.shape} and {b.shape}")
    return a, b


@checked(x=array("N*"), target=array("N*"), extent=positive)
def psnr(x: Any, target: Any, extent: float = 1.0) -> npt.NDArray[np.float64]:
    """10·log₁₀(extent²/mean squared error) of each image, (N,), in decibels; infinite where they are equal.

    x, target : (N, C, H, W); extent : what white is above black

    >>> psnr(np.full((1, 1, 2, 2), 0.6), np.full((1, 1, 2, 2), 0.5)).round(1)
    array([20.])
    """
    a, b = _pair("psnr", x, target)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(extent**2 / ((a - b) ** 2).mean((1, 2, 3)))


@checked(x=array("N*"), target=array("N*"), extent=positive)
def ssim(x: Any, target: Any, extent: float = 1.0) -> npt.NDArray[np.float64]:
    """The structural similarity of each image, (N,), at most 1: the mean over all places and channels of how alike two
    windows are in brightness, contrast and structure. Windows are weighted by a Gaussian of σ = 1.5 elements.

    x, target : (N, C, H, W), at least 11 × 11, whose windows all lie within the image; extent : as for `psnr`

    Source: Wang, Bovik, Sheikh, Simoncelli 2004.

    >>> image = np.random.default_rng(0).random((1, 1, 16, 16))
    >>> ssim(image, image)
    array([1.])
    """
    a, b = _pair("ssim", x, target)
    if min(a.shape[2:]) < 11:
        raise ValueError(f"ssim: images must be at least 11 × 11, got {a.shape[2]} × {a.shape[3]}")

    def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        smooth = ndimage().gaussian_filter(values, (0, 0, 1.5, 1.5), truncate=3.5)
        inside: npt.NDArray[np.float64] = smooth[:, :, 5:-5, 5:-5]
        return inside

    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, covariance = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    alike = (2 * ma * mb + c1) * (2 * covariance + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return alike.mean((1, 2, 3))
