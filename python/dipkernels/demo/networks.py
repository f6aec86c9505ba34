"""The networks of the page: trained once, kept in the user's cache."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dipkernels import models, nn, train
from dipkernels.data import AffineAugmentation, Dataset, digits, mnist
from dipkernels.data.pictures import extent_of
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray

NAMES = {"lenet5": "LeNet-5", "mlp": "MLP 784-300-100-10"}
_SIZES = {"lenet5": (32, 32), "mlp": (28, 28)}
_RATES = {"lenet5": 0.002, "mlp": 0.001}
_EPOCHS = {"digits": 60, "mnist": 6}


def cache() -> Path:
    """Where trained networks are kept."""
    return Path.home() / ".cache" / "dipkernels" / "demo"


def pens(rng: np.random.Generator, images: FloatArray) -> FloatArray:
    """Other slants and sizes, thinner and thicker strokes: the page's users draw with what they have."""
    moved = np.clip(AffineAugmentation(degrees=20, scale=0.25, shear=0.35, shift=3)(rng, images), 0, 1)
    thickness = np.exp(rng.uniform(-1, 1, (len(images), 1, 1, 1))).astype(np.float32)
    return moved**thickness


@dataclass
class Network:
    """One of the page's networks. `model` is None until it is trained; `progress`, from 0 to 1, says how far it is."""

    name: str
    model: Graph | None = None
    extent: float = 0.0  # of a digit's longer side, in pixels, as the training data have it
    progress: float = 0.0
    error: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)  # a model remembers its last input

    @property
    def size(self) -> tuple[int, int]:
        """The height and width of its input."""
        return _SIZES[self.name]


class Networks:
    """Both networks, read from `folder` or trained there in a thread of their own, on the built-in digits or on MNIST
    from a folder.
    """

    def __init__(self, data: str = "digits", folder: Path | None = None) -> None:
        self.data, self.folder = data, folder or cache()
        self.all = {name: Network(name) for name in NAMES}
        self._thread = threading.Thread(target=self._prepare, daemon=True)

    def start(self) -> None:
        """Begins to read or train them."""
        self._thread.start()

    def wait(self) -> None:
        """Until both are there, or are known not to come."""
        self._thread.join()

    def __getitem__(self, name: str) -> Network:
        """ValueError for a name that is none."""
        if name not in self.all:
            raise ValueError(f"network must be one of {', '.join(self.all)}, got {name!r}")
        return self.all[name]

    def _prepare(self) -> None:
        for network in self.all.values():
            try:
                self._load_or_train(network)
            except Exception as error:  # the page says it, and goes on with the other network
                network.error = str(error)

    def _file(self, network: Network) -> Path:
        source = self.data if self.data == "digits" else "mnist"
        return self.folder / f"{network.name}-{source}.safetensors"

    def _load_or_train(self, network: Network) -> None:
        path = self._file(network)
        model = models.lenet5(seed=0) if network.name == "lenet5" else models.mlp(input_shape=(1, 28, 28), seed=0)
        if path.is_file():
            with contextlib.suppress(ValueError, KeyError):  # a damaged file is written anew
                network.extent = float(nn.load_state(model, path)["extent"])
                network.model, network.progress = model, 1.0
                return
        examples = self._examples(network.size)
        extent, rate = extent_of(examples.x), _RATES[network.name]
        epochs = _EPOCHS["digits" if self.data == "digits" else "mnist"]

        def schedule(epoch: int) -> float:
            network.progress = (epoch - 1) / epochs
            return rate * (0.5 + 0.5 * math.cos(math.pi * (epoch - 1) / epochs))

        train.fit(model, examples, optimizer=nn.Adam(rate), epochs=epochs, batch_size=64, augment=pens,
                  schedule=schedule, keep="last", progress=False)  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        nn.save_state(model, path, {"model": network.name, "extent": str(extent)})
        network.extent, network.model = extent, model
        network.progress = 1.0

    def _examples(self, size: tuple[int, int]) -> Dataset:
        splits: Any = digits(size) if self.data == "digits" else mnist(self.data, size=size)
        if self.data != "digits":
            return splits.train
        both = (splits.train, splits.validation)
        return Dataset(np.concatenate([part.x for part in both]), np.concatenate([part.t for part in both]))
