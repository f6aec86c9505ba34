"""Training on photographs: one class for each image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dipkernels import metrics, ops, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import PhotographTask, bar, save_pictures
from dipkernels.data import MaskAugmentation, Splits, image_folders
from dipkernels.data.augmentation import Augmentation
from dipkernels.data.pictures import read_image
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray
from dipkernels.train import evaluate, predict
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History


def _moved(rng: np.random.Generator, images: FloatArray) -> FloatArray:
    """Mirrored, scaled, shifted, lighter or darker: as for masks, without any."""
    return MaskAugmentation(scale=1.15)(rng, images)


class Images(PhotographTask):
    """AlexNet."""

    default_data = "images"

    def epochs(self, data: str) -> int:
        return 20

    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        self.check_validation(data, validation)
        if not Path(data).is_dir():
            got = "none was given" if data == self.default_data else f"got {data!r}"
            raise FileNotFoundError(f"--data must be a folder with a folder of pictures for each class; {got}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is left out is said below
            found = image_folders(data, (preset.shape[1], preset.shape[2]), seed=seed)
        if self.names and found.classes != self.names:
            raise ValueError(f"{data} has the classes {', '.join(found.classes)}, not {', '.join(self.names)}")
        self.names = found.classes
        self.say_left_out(found.problems)
        return found.splits

    def loss(self, model: Graph, splits: Splits) -> Loss:
        return ops.cross_entropy_with_grad

    def augmentation(self, data: str) -> Augmentation:
        return _moved

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        test = splits.test
        result = evaluate(model, test)
        history.settings.update(test_loss=result.loss, test_accuracy=result.accuracy)
        assert result.predictions is not None
        save_pictures(
            out,
            {
                "loss.png": viz.loss_curves(history),
                "confusion.png": viz.confusion_matrix(test.t, result.predictions, len(self.names), self.names),
                "filters.png": viz.first_layer_filters(next(iter(model.parameters.values()))),
            },
        )
        return f"test accuracy {result.accuracy:.2%} on {len(test):,} images it never saw"

    def evaluate(self, model: Graph, splits: Splits) -> str:
        result = evaluate(model, splits.test)
        assert result.predictions is not None
        confusion = metrics.confusion_matrix(splits.test.t, result.predictions, len(self.names))
        rows = [f"loss {result.loss:.4f}, accuracy {result.accuracy:.2%}"]
        for name, row, right in zip(self.names, confusion, np.diag(confusion), strict=True):
            rows.append(f"  {name:12} {right:4} of {row.sum():4} right")
        return "\n".join(rows)

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        (shape,) = model.inputs.values()
        probabilities = ops.softmax(predict(model, read_image(image, (shape[1], shape[2]))[None]), 1)[0]
        for guess in np.argsort(-probabilities, kind="stable")[:3]:
            length = round(40 * float(probabilities[guess]))
            print(f"{self.names[guess]:12} {probabilities[guess]:7.2%}  {bar() * length}".rstrip())
