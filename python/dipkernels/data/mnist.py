"""MNIST: 70,000 handwritten digits. LeCun, Cortes, Burges; CC BY-SA 3.0."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dipkernels.arguments import integer
from dipkernels.data.augmentation import fit_to
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.data.idx import read_idx
from dipkernels.nn.windows import positive_pair

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def _fetch(root: Path) -> None:
    try:
        import pooch
    except ImportError as error:
        raise ImportError('downloading needs pooch; pip install "dipkernels[train]"') from error
    for name, md5 in MD5.items():
        try:
            pooch.retrieve(MIRROR + name, known_hash=f"md5:{md5}", fname=name, path=root, progressbar=False)
        except Exception as error:  # of the network, in as many classes as there are layers below
            raise OSError(
                f"mnist: {name} cannot be downloaded ({type(error).__name__}); put the four idx files into {root}, "
                "or train on digits, which need no download"
            ) from error


def _read_pair(root: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = []
    for kind in ("images-idx3", "labels-idx1"):
        name = f"{prefix}-{kind}-ubyte"
        # 7-Zip writes the last hyphen as a dot; an interrupted download leaves an empty file beside a good one.
        names = [name + ".gz", name, name.replace("-idx", ".idx") + ".gz", name.replace("-idx", ".idx")]
        found = [root / each for each in names if (root / each).is_file()]
        if not found:
            raise FileNotFoundError(
                f"mnist: there is neither {names[0]} nor {names[1]} in {root}; "
                "put the four idx files there, or pass download=True, as `--data mnist` does"
            )
        arrays.append(read_idx(next((path for path in found if path.stat().st_size), found[0])))
    images, labels = arrays
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"mnist: {prefix} images have shape {images.shape}, labels {labels.shape}")
    if labels.size and labels.max() > 9:
        raise ValueError(f"mnist: {prefix} labels hold {labels.max()}; digits are 0 to 9")
    return images, labels


def mnist(
    root: str | Path,
    download: bool = False,
    *,
    size: int | tuple[int, int] = (28, 28),
    validation: int | None = None,
    seed: int = 0,
) -> Splits:
    """The digits as float32 (N, 1, height, width), 0 (paper) to 1 (ink), with their labels.

    Parameters
    ----------
    root
        The folder with the four idx files, gzip or not.
    download
        Fetches missing files into `root` and checks their MD5 sums.
    size
        (height, width); larger than 28×28 is a margin of paper, as LeNet-5's 32×32.
    validation
        So many of the training digits, drawn with `seed`, become the validation split; by default 5,000 of the 60,000,
        and of fewer a twelfth.

    Raises FileNotFoundError or ValueError, naming the file, where one is missing or damaged.
    """
    root, size = Path(root), positive_pair("mnist", "size", size)
    if download:
        _fetch(root)
    parts = []
    for prefix in ("train", "t10k"):
        images, labels = _read_pair(root, prefix)
        x = images[:, None].astype(np.float32) / np.float32(255)
        parts.append(Dataset(fit_to(x, size), labels.astype(np.int64)))
    training, test = parts
    validation = len(training) // 12 if validation is None else integer("mnist", "validation", validation)
    if not 0 <= validation < len(training):
        raise ValueError(f"mnist: validation must be from 0 to {len(training) - 1}, got {validation}")
    order = np.random.default_rng(seed).permutation(len(training))
    return Splits(training.subset(order[validation:]), training.subset(order[:validation]), test)
