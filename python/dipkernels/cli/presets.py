"""The models the command knows by name, and how each is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dipkernels import models
from dipkernels.data import SCENE_CLASSES, SCENE_OBJECTS
from dipkernels.detection import RCNN, FasterRCNN, FastRCNN, MaskRCNN, RetinaNet
from dipkernels.nn.graph import Graph
from dipkernels.ops.precision import Precision

Shape = Any  # (C, H, W), or of clips (C, D, H, W)
TaskName = Literal["digits", "images", "masks", "boxes", "instances", "noise", "pairs", "clips"]


@dataclass(frozen=True)
class Preset:
    """`build(seed, shape, classes)` makes the model for images of this shape (C, H, W) and so many classes; `shape` and
    `classes` are what it is for where nothing else is said. `task` names what it learns, None where `dipkernels train`
    does not offer it.
    """

    build: Callable[[int, Shape, int], Graph]
    task: TaskName | None
    shape: Shape
    classes: int = 10
    lr: float = 0.002
    batch_size: int = 64
    precision: Precision = "highest"

    def build_clips(self, seed: int, shape: Shape, classes: dict[str, int]) -> Graph:
        """A network of clips, with a head for each of these."""
        build: Callable[..., Graph] = self.build
        return build(seed, shape, classes)

    def schedule(self, epochs: int, lr: float) -> Callable[[int], float]:
        """Half a cosine from `lr` to nearly zero, where it stays for epochs beyond those that were planned."""
        return lambda epoch: lr * (0.5 + 0.5 * math.cos(math.pi * (min(epoch, epochs) - 1) / epochs))


def _stages(shape: Shape) -> Sequence[int]:
    """Wider where there is more to see."""
    return (24, 48, 96) if max(shape[1:]) <= 96 else (32, 64, 128, 192)


def _pixels(build: Callable[..., Graph]) -> Preset:
    return Preset(
        lambda seed, shape, classes: build(classes, shape, channels=_stages(shape), seed=seed),
        "masks",
        (3, 64, 64),
        len(SCENE_CLASSES),
        lr=0.003,
        batch_size=8,
        precision="high",
    )


def _boxes(build: Callable[..., Graph], small: dict[str, Any], lr: float = 0.001, task: TaskName = "boxes") -> Preset:
    """`small` are the settings for images of up to 96 pixels, where objects have 12 to 21; the others are the model's
    own.
    """
    return Preset(
        lambda seed, shape, classes: build(classes, shape, seed=seed, **(small if max(shape[1:]) <= 96 else {})),
        task,
        (3, 64, 64),
        len(SCENE_OBJECTS),
        lr=lr,
        batch_size=16,
        precision="high",
    )


def _clips(build: Callable[..., Graph]) -> Preset:
    return Preset(lambda seed, shape, classes: build(classes, shape, seed=seed), "clips", (1, 10, 32, 32))


def _small_c3d(classes: Any, shape: Shape, seed: int) -> Graph:
    """A tenth of the paper's channels for clips of up to 64 pixels, and its own for larger ones."""
    if max(shape[2:]) > 64:
        return models.c3d(classes, shape, seed=seed)
    return models.c3d(classes, shape, channels=((16,), (32,), (64,)), hidden=64, dropout=0.2, seed=seed)


_SMALL_WINDOWS = {"sizes": (13, 17, 21), "proposals": 100}
_SMALL_TRUNK = {"sizes": (13, 17, 21), "channels": (16, 32, 64)}

PRESETS = {
    "lenet5": Preset(lambda seed, shape, classes: models.lenet5(classes, seed=seed), "digits", (1, 32, 32)),
    "mlp": Preset(
        lambda seed, shape, classes: models.mlp(input_shape=shape, seed=seed), "digits", (1, 28, 28), lr=0.001
    ),
    "convnet": Preset(
        lambda seed, shape, classes: models.convnet(input_shape=shape, classes=classes, seed=seed),
        "digits",
        (1, 32, 32),
    ),
    "alexnet": Preset(
        lambda seed, shape, classes: models.alexnet(classes, seed=seed),
        "images",
        (3, 227, 227),
        classes=1000,
        lr=0.0002,
        batch_size=32,
        precision="high",
    ),
    "fcn": _pixels(models.fcn),
    "segnet": _pixels(models.segnet),
    "rcnn": _boxes(RCNN, {**_SMALL_WINDOWS, "size": 24}),
    "fast_rcnn": _boxes(FastRCNN, {**_SMALL_WINDOWS, **_SMALL_TRUNK}),
    "faster_rcnn": _boxes(FasterRCNN, {**_SMALL_TRUNK, "aspect_ratios": (0.7, 1.0), "proposals": 50}),
    "mask_rcnn": _boxes(MaskRCNN, {**_SMALL_TRUNK, "aspect_ratios": (0.7, 1.0), "proposals": 50}, task="instances"),
    "dncnn": Preset(
        lambda seed, shape, classes: models.dncnn(shape, seed=seed),
        "noise",
        (3, 64, 64),
        lr=0.003,
        batch_size=16,
        precision="high",
    ),
    "registration": Preset(
        lambda seed, shape, classes: models.RegistrationNet((1, *shape[1:]), seed=seed),
        "pairs",
        (1, 96, 96),
        lr=0.002,
        batch_size=16,
        precision="high",
    ),
    "single_frame": _clips(models.single_frame),
    "late_fusion": _clips(models.late_fusion),
    "early_fusion": _clips(models.early_fusion),
    "slow_fusion": _clips(models.slow_fusion),
    "c3d": _clips(_small_c3d),
    "retinanet": _boxes(RetinaNet, {"channels": (16, 32, 64, 96), "levels": 2, "size": 3.0, "width": 48}, lr=0.002),
}
