"""Training on digits: one class for each image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dipkernels import ops, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import Task, bar, save_pictures
from dipkernels.data import AffineAugmentation, Splits, digits, mnist
from dipkernels.data.augmentation import Augmentation
from dipkernels.data.folders import SUFFIXES
from dipkernels.data.pictures import digit_of, extent_of, read_picture
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray
from dipkernels.train import evaluate, predict
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History


_SURE = 0.6
"""A probability below which a guess is said to be unsure."""


class Digits(Task):
    """LeNet-5 and its kin."""

    default_data = "digits"

    def epochs(self, data: str) -> int:
        return 40 if data == "digits" else 12

    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        size = preset.shape[1], preset.shape[2]
        if data == "digits":
            return digits(size, seed=seed, validation=validation)
        if data == "mnist":
            root = Path.home() / ".cache" / "dipkernels" / "mnist"
            return mnist(root, download=True, size=size, seed=seed, validation=validation)
        if not Path(data).is_dir():
            raise FileNotFoundError(
                f"--data must be digits, mnist or a folder with MNIST's four idx files, got {data!r}"
            )
        return mnist(data, size=size, seed=seed, validation=validation)

    def build(self, preset: Preset, seed: int, metadata: dict[str, str]) -> Graph:
        return preset.build(seed, preset.shape, preset.classes)

    def metadata(self, splits: Splits) -> dict[str, str]:
        return {"extent": str(extent_of(splits.train.x))}

    def loss(self, model: Graph, splits: Splits) -> Loss:
        return ops.cross_entropy_with_grad

    def augmentation(self, data: str) -> Augmentation:
        return AffineAugmentation()

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        test = splits.test
        result = evaluate(model, test)
        history.settings.update(test_loss=result.loss, test_accuracy=result.accuracy)
        probabilities = ops.softmax(predict(model, test.x), 1)
        pictures = {
            "loss.png": viz.loss_curves(history),
            "confusion.png": viz.confusion_matrix(test.t, probabilities.argmax(1), probabilities.shape[1]),
            "mistakes.png": viz.worst_mistakes(test.x, test.t, probabilities),
        }
        first = next(iter(model.parameters.values()))
        if first.ndim == 4:
            pictures["filters.png"] = viz.first_layer_filters(first)
        save_pictures(out, pictures)
        return f"test accuracy {result.accuracy:.2%} on {len(test):,} digits it never saw"

    def evaluate(self, model: Graph, splits: Splits) -> str:
        result = evaluate(model, splits.test)
        return f"loss {result.loss:.4f}, accuracy {result.accuracy:.2%}"

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        if not image.is_dir():
            probabilities = _seen(model, metadata, image)[1]
            for guess in np.argsort(-probabilities, kind="stable")[:3]:
                length = round(40 * float(probabilities[guess]))
                print(f"{guess}  {probabilities[guess]:7.2%}  {bar() * length}".rstrip())
            if probabilities.max() < _SURE:
                print(f"It is unsure: no digit has {_SURE:.0%}.")
            return
        pictures = sorted(p for p in image.iterdir() if p.suffix.lower() in SUFFIXES)
        if not pictures:
            raise FileNotFoundError(f"there are no pictures ({', '.join(SUFFIXES)}) in {image}")
        for path in pictures:
            try:
                probabilities = _seen(model, metadata, path)[1]
            except ValueError as error:
                print(f"-  {path.name}: {error}")
                continue
            first, second = np.argsort(-probabilities, kind="stable")[:2]
            unsure = ", unsure" if probabilities.max() < _SURE else ""
            print(f"{first} {probabilities[first]:7.2%}, {second} {probabilities[second]:7.2%}  {path.name}{unsure}")

    def show(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        if image.is_dir():
            raise ValueError(f"--show draws one picture, and {image} is a folder")
        save_pictures(out.parent, {out.name: viz.prediction(*_seen(model, metadata, image))})
        print(f"{out}: what it saw")


def _seen(model: Graph, metadata: dict[str, str], path: Path) -> tuple[FloatArray, FloatArray]:
    """What the network gets of a picture, (C, H, W), and the probabilities it gives the classes."""
    (shape,) = model.inputs.values()
    size = shape[1], shape[2]
    digit = digit_of(read_picture(path), size, float(metadata.get("extent", 0.7 * min(size))))
    return digit[0], ops.softmax(model.forward(digit), 1)[0]
