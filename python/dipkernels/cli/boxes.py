"""Training on boxes: where which objects are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from dipkernels import metrics, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import PhotographTask, in_batches, save_picture, save_pictures
from dipkernels.data import SCENE_OBJECTS, BoxAugmentation, Dataset, Splits, scenes, voc
from dipkernels.data.augmentation import Augmentation
from dipkernels.data.pictures import read_pixels, resized
from dipkernels.detection import Detections, Detector
from dipkernels.nn.graph import Graph
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History

_SURE = 0.5  # what is worth showing
VOC_SIZE = (240, 320)


class Boxes(PhotographTask):
    """Detectors of one and two stages."""

    default_data = "scenes"

    def epochs(self, data: str) -> int:
        return 20 if data == "scenes" else 80

    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        self.check_validation(data, validation)
        if data == "scenes":
            self.names = SCENE_OBJECTS
            return scenes("boxes", preset.shape[1:], seed=seed)
        if not Path(data).is_dir():
            raise FileNotFoundError(f"--data must be scenes or a folder in the VOC layout, got {data!r}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is left out is said below
            found = voc(data, VOC_SIZE, self.names or None)
        self.names = found.classes
        self.say_left_out(found.problems)
        return found.splits

    def loss(self, model: Graph, splits: Splits) -> Loss:
        return cast(Detector, model).loss

    def augmentation(self, data: str) -> Augmentation:
        return BoxAugmentation() if data == "scenes" else BoxAugmentation(scale=1.3, upside_down=True)

    def _found(self, model: Graph, test: Dataset) -> list[Detections]:
        """What the model finds in every image."""
        return in_batches(cast(Detector, model).detect, test.x)

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        test = splits.test
        found = self._found(model, test)
        scores = metrics.average_precision(found, test.t, len(self.names))
        history.settings.update(
            test_ap_50=scores.at(0.5),
            test_ap_50_95=scores.mean,
            test_ap_50_by_class=dict(zip(self.names, scores.by_class[0].tolist(), strict=True)),
        )
        shown = np.linspace(0, len(test) - 1, min(len(test), 6)).astype(int)
        save_pictures(
            out,
            {
                "loss.png": viz.loss_curves(history),
                "precision.png": viz.precision_recall(scores, self.names),
                "detections.png": viz.detections(
                    test.x[shown], [found[i] for i in shown], self.names, test.t[shown], score=_SURE
                ),
            },
        )
        return (
            f"average precision {scores.at(0.5):.3f} at IoU 0.5, {scores.mean:.3f} at 0.5:0.95, "
            f"on {len(test):,} images it never saw"
        )

    def evaluate(self, model: Graph, splits: Splits) -> str:
        scores = metrics.average_precision(self._found(model, splits.test), splits.test.t, len(self.names))
        rows = [f"average precision {scores.at(0.5):.3f} at IoU 0.5, {scores.mean:.3f} at 0.5:0.95"]
        rows += [f"  {name:12} {value:.3f}" for name, value in zip(self.names, scores.by_class[0], strict=True)]
        return "\n".join(rows)

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        (shape,) = model.inputs.values()
        pixels = read_pixels(image, "RGB")
        height, width = pixels.shape[:2]
        (found,) = cast(Detector, model).detect(resized(pixels, (shape[1], shape[2]))[None])
        found = found.above(_SURE)
        scale = np.array([width / shape[2], height / shape[1]] * 2, np.float32)
        found = Detections(found.boxes * scale, found.scores, found.classes)
        save_picture(out, viz.photograph(pixels, found, self.names))
        for (x1, y1, x2, y2), score, label in zip(found.boxes, found.scores, found.classes, strict=True):
            print(f"{self.names[label]:12} {score:7.2%}  from ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})")
        if not len(found):
            print(f"nothing of which it is {_SURE:.0%} sure")
        print(f"the picture is {out.resolve()}")
