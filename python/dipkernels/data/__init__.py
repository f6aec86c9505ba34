"""Data sets, their splits, and augmentation."""

from dipkernels.data.augmentation import AffineAugmentation, affine, random_affine, resample
from dipkernels.data.dataset import Dataset, Splits, split
from dipkernels.data.digits import digits
from dipkernels.data.idx import read_idx
from dipkernels.data.mnist import mnist

__all__ = [
    "AffineAugmentation",
    "Dataset",
    "Splits",
    "affine",
    "digits",
    "mnist",
    "random_affine",
    "read_idx",
    "resample",
    "split",
]
