"""scikit-learn's digits: 1,797 real handwritten digits of 8×8 pixels that need no download.

Alpaydin, Kaynak 1998, "Optical Recognition of Handwritten Digits", CC BY 4.0; the test part of that data set.
"""

from __future__ import annotations

import numpy as np

from dipkernels.arguments import integer
from dipkernels.checks import checked, random_seed
from dipkernels.data.augmentation import fit_to
from dipkernels.data.dataset import Dataset, Splits, split
from dipkernels.nn.windows import positive_pair


@checked(seed=random_seed)
def digits(size: int | tuple[int, int] = (32, 32), *, seed: int = 0, validation: int | None = None) -> Splits:
    """The digits, resampled to `size`, as float32 (N, 1, height, width) from 0 (paper) to 1 (ink), with their labels.

    60 % are for training, 20 % for validation, or so many as `validation` says, 20 % for the test, drawn with `seed`.
    ImportError, with the remedy, without scikit-learn.

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
    whole = Dataset(fit_to(x, positive_pair("digits", "size", size)), labels.astype(np.int64))
    if validation is None:
        return split(whole, seed=seed)
    rest = len(x) - round(0.2 * len(x))
    if not 0 <= integer("digits", "validation", validation) < rest:
        raise ValueError(f"digits: validation must be from 0 to {rest - 1}, got {validation}")
    return split(whole, validation / len(x), seed=seed)
