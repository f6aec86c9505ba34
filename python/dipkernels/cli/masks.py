"""Training on masks: one class for each pixel."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels import metrics, ops, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import PhotographTask, save_picture, save_pictures
from dipkernels.data import CAMVID_CLASSES, SCENE_CLASSES, MaskAugmentation, Splits, camvid, class_weights, scenes
from dipkernels.data.augmentation import Augmentation
from dipkernels.data.pictures import read_image
from dipkernels.nn.graph import Graph
from dipkernels.train.evaluation import outputs_on_host
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History

_BATCH = 8


class Masks(PhotographTask):
    """SegNet and fully convolutional networks."""

    default_data = "scenes"

    def epochs(self, data: str) -> int:
        return 40 if data == "scenes" else 120

    @property
    def unlabelled(self) -> int:
        """The label of pixels that do not count: the one behind the classes."""
        return len(self.names)

    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        self.check_validation(data, validation)
        if data == "scenes":
            self.names = SCENE_CLASSES
            return scenes("masks", preset.shape[1:], seed=seed)
        if not Path(data).is_dir():
            raise FileNotFoundError(f"--data must be scenes or a folder with CamVid's images and masks, got {data!r}")
        self.names = CAMVID_CLASSES
        return camvid(data)

    def loss(self, model: Graph, splits: Splits) -> Loss:
        # The root of the balancing weights: wholly balanced, the rare classes spill over their neighbours.
        weight = np.sqrt(class_weights(splits.train.t, len(self.names)))
        return functools.partial(ops.cross_entropy_with_grad, weight=weight, ignore_index=self.unlabelled)

    def augmentation(self, data: str) -> Augmentation:
        return MaskAugmentation(outside=self.unlabelled)

    def _predictions(self, model: Graph, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The most probable class of every pixel."""
        parts = [outputs_on_host(model, x[i : i + _BATCH]).argmax(1) for i in range(0, len(x), _BATCH)]
        return np.concatenate(parts).astype(np.uint8)

    def _scores(self, predictions: npt.NDArray[Any], t: npt.NDArray[Any]) -> metrics.SegmentationScores:
        confusion = metrics.confusion_matrix(t, predictions, len(self.names), self.unlabelled)
        return metrics.segmentation_scores(confusion)

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        test = splits.test
        predictions = self._predictions(model, test.x)
        scores = self._scores(predictions, test.t)
        history.settings.update(
            test_mean_iou=scores.mean_iou,
            test_pixel_accuracy=scores.pixel_accuracy,
            test_iou=dict(zip(self.names, scores.iou.tolist(), strict=True)),
        )
        shown = np.linspace(0, len(test) - 1, min(len(test), 5)).astype(int)
        save_pictures(
            out,
            {
                "loss.png": viz.loss_curves(history),
                "iou.png": viz.iou_bars(scores.iou, self.names),
                "segmentation.png": viz.segmentation(
                    test.x[shown], predictions[shown], self.names, test.t[shown], ignore_index=self.unlabelled
                ),
            },
        )
        return (
            f"mean IoU {scores.mean_iou:.3f}, {scores.pixel_accuracy:.2%} of the pixels right, "
            f"on {len(test):,} images it never saw"
        )

    def evaluate(self, model: Graph, splits: Splits) -> str:
        scores = self._scores(self._predictions(model, splits.test.x), splits.test.t)
        rows = [f"mean IoU {scores.mean_iou:.3f}, pixel accuracy {scores.pixel_accuracy:.2%}"]
        rows += [f"  {name:12} {value:.3f}" for name, value in zip(self.names, scores.iou, strict=True)]
        return "\n".join(rows)

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        (shape,) = model.inputs.values()
        x = read_image(image, (shape[1], shape[2]))[None]
        mask = self._predictions(model, x)[0]
        figure = viz.segmentation(x, mask[None], self.names)
        save_picture(out, figure)
        counts = np.bincount(mask.ravel(), minlength=len(self.names)) / mask.size
        for i in np.argsort(-counts, kind="stable"):
            if counts[i] > 0:
                print(f"{self.names[i]:12} {counts[i]:7.2%}")
        print(f"the picture is {out.resolve()}")
