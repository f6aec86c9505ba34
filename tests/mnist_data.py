"""Where the tests find MNIST, if anywhere: DIPKERNELS_MNIST, or the folder shared/data/mnist beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

MNIST = Path(os.environ.get("DIPKERNELS_MNIST", Path(__file__).parents[2] / "shared" / "data" / "mnist"))
HAVE_MNIST = (MNIST / "train-images-idx3-ubyte.gz").is_file()
REASON = "MNIST is not here; DIPKERNELS_MNIST can name its folder. The digits of scikit-learn are tested instead"
