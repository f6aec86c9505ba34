"""scikit-learn's digits: 1,797 real handwritten digits of 8×8 pixels that need no download.

Alpaydin, Kaynak 1998, "Optical Recognition of Handwritten Digits", CC BY 4.0; the test part of that data set.
"""

from __future__ import annotations

import numpy as np

from dipkernels.data.augmentation import fit_to
from dipkernels.data.dataset import Dataset, Splits, split


def digits(size: tuple[int, int] = (32, 32), *, seed: int = 0) -> Splits:
    """The digits, resampled to `size`, as float32 (N, 1, height, width) from 0 (paper) to 1 (ink), with their labels.

    60 % are for training, 20 % for validation, 20 % for the test, drawn with `seed`. ImportError, with the remedy,
    without scikit-learn.

    >>> parts = digits()
    >>> parts.train.x.shape, len(parts.validation), len(parts.test)
    ((1078, 1, 32, 32), 360, 359)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('digits needs scikit-learn; pip install "dipkernels[train]"') from error
    images, labels = load_digits(return_X_y=True)
    x = images.reshape(-1, 1, 8, 8).astype(np.float32) / np.float32(16)
    return split(Dataset(fit_to(x, size), labels.astype(np.int64)), seed=seed)
