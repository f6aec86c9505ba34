"""Training on instances: where which objects are, and which pixels are theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from dipkernels import metrics, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import SceneTask, in_batches, save_picture, save_pictures
from dipkernels.data import SCENE_OBJECTS, Dataset, Splits, boxes_of, scenes
from dipkernels.data.pictures import read_image
from dipkernels.detection import Instances, MaskRCNN
from dipkernels.detection.mask_rcnn import MASK_SIZE, paste
from dipkernels.nn.graph import Graph
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History

_SURE = 0.5  # what is worth showing


class InstanceMasks(SceneTask):
    """Mask R-CNN."""

    names = SCENE_OBJECTS

    def epochs(self, data: str) -> int:
        return 20

    def scenes(self, preset: Preset, seed: int) -> Splits:
        return scenes("instances", preset.shape[1:], seed=seed)

    def loss(self, model: Graph, splits: Splits) -> Loss:
        return cast(MaskRCNN, model).loss

    def _scores(
        self, model: Graph, test: Dataset
    ) -> tuple[list[Instances], metrics.DetectionScores, metrics.DetectionScores]:
        """What the model finds, and the scores of its boxes and of its masks."""
        found: list[Instances] = in_batches(cast(MaskRCNN, model).segment, test.x)
        rows = np.ascontiguousarray(test.t[:, :, :5])
        overlaps = []
        for each, t in zip(found, test.t, strict=True):
            corners = boxes_of(t[:, :5])[1]
            masks = t[t[:, 0] >= 0, 5:].reshape(-1, MASK_SIZE, MASK_SIZE)
            overlaps.append(metrics.mask_iou(each.masks, paste(masks, corners, test.x.shape[2:])))
        boxes = [each.found for each in found]
        return (
            found,
            metrics.average_precision(boxes, rows, len(self.names)),
            metrics.average_precision(boxes, rows, len(self.names), overlaps=overlaps),
        )

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        found, boxes, masks = self._scores(model, splits.test)
        history.settings.update(test_box_ap_50=boxes.at(0.5), test_mask_ap_50=masks.at(0.5), test_mask_ap=masks.mean)
        picture = viz.instances(splits.test.x[:6], found[:6], self.names, score=_SURE)
        save_pictures(out, {"loss.png": viz.loss_curves(history), "instances.png": picture})
        return (
            f"average precision of masks {masks.at(0.5):.3f} at IoU 0.5, {masks.mean:.3f} at 0.5:0.95, of boxes "
            f"{boxes.at(0.5):.3f}, on {len(found):,} images it never saw"
        )

    def evaluate(self, model: Graph, splits: Splits) -> str:
        _, boxes, masks = self._scores(model, splits.test)
        rows = [f"average precision of masks {masks.at(0.5):.3f} at IoU 0.5, {masks.mean:.3f} at 0.5:0.95"]
        rows += [f"of boxes {boxes.at(0.5):.3f} and {boxes.mean:.3f}"]
        rows += [f"  {name:12} {value:.3f}" for name, value in zip(self.names, masks.by_class[0], strict=True)]
        return "\n".join(rows)

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        (shape,) = model.inputs.values()
        x = read_image(image, (shape[1], shape[2]))[None]
        found = cast(MaskRCNN, model).segment(x)
        save_picture(out, viz.instances(x, found, self.names, score=_SURE))
        sure = found[0].found.above(_SURE)
        for label, score, mask in zip(sure.classes, sure.scores, found[0].masks, strict=False):
            print(f"{self.names[label]:12} {score:7.2%}  {mask.sum():,} pixels")
        if not len(sure):
            print(f"nothing of which it is {_SURE:.0%} sure")
        print(f"the picture is {out.resolve()}")
