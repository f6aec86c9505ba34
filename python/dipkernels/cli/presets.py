"""The models the command knows by name, and how each is trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dipkernels import models
from dipkernels.nn.graph import Graph


@dataclass(frozen=True)
class Preset:
    """`build(seed)` makes the model; `size` is the (height, width) of its digits, None where it takes none."""

    build: Callable[[int], Graph]
    size: tuple[int, int] | None
    lr: float = 0.002

    @property
    def trainable(self) -> bool:
        """Whether `dipkernels train` offers it."""
        return self.size is not None

    def schedule(self, epochs: int, lr: float) -> Callable[[int], float]:
        """Half a cosine from `lr` to nearly zero, where it stays for epochs beyond those that were planned."""
        return lambda epoch: lr * (0.5 + 0.5 * math.cos(math.pi * (min(epoch, epochs) - 1) / epochs))


PRESETS = {
    "lenet5": Preset(lambda seed: models.lenet5(seed=seed), (32, 32)),
    "mlp": Preset(lambda seed: models.mlp(input_shape=(1, 28, 28), seed=seed), (28, 28), lr=0.001),
    "convnet": Preset(lambda seed: models.convnet(seed=seed), (32, 32)),
    "alexnet": Preset(lambda seed: models.alexnet(seed=seed), None),
}
