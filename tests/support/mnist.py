"""Where the tests find MNIST, if anywhere: DIPKERNELS_MNIST, or the folder shared/data/mnist beside the checkout."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

MNIST = Path(os.environ.get("DIPKERNELS_MNIST", Path(__file__).parents[3] / "shared" / "data" / "mnist"))
HAVE_MNIST = (MNIST / "train-images-idx3-ubyte.gz").is_file()
REASON = "MNIST is not here; DIPKERNELS_MNIST can name its folder. The digits of scikit-learn are tested instead"


def idx(array: Any, *, magic: int | None = None, shape: tuple[int, ...] | None = None) -> bytes:
    shape = array.shape if shape is None else shape
    head = struct.pack(">I", 0x0800 + array.ndim if magic is None else magic)
    return head + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def write_mnist(folder: Path, images: Any, labels: Any) -> None:
    for prefix in ("train", "t10k"):
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
