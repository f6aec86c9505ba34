"""Instance segmentation: Faster R-CNN with a head that draws the mask of every object it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.detection.detections import Detections
from dipkernels.detection.faster_rcnn import FasterRCNN
from dipkernels.detection.losses import like
from dipkernels.detection.regions import Targets
from dipkernels.models.blocks import Nodes
from dipkernels.nn.conv_transpose import ConvTranspose2d
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray, to_host

MASK_SIZE = 28
"""Rows and columns of a mask, in the box of its object or region."""

_BINS = MASK_SIZE // 2  # of a pooled region, which the mask head doubles


@dataclass(frozen=True)
class Instances:
    """`found`, and for each of these detections its pixels: bool (n, H, W)."""

    found: Detections
    masks: npt.NDArray[np.bool_]


class MaskRCNN(FasterRCNN):
    """Faster R-CNN and, beside its head, a small fully convolutional network that tells object from background in each
    region, whatever the object's class. Parameters as for `FasterRCNN`.

    Targets are rows of class, corners and mask, (N, most, 5 + 28·28), as `data.scenes("instances")` makes them. Source:
    He, Gkioxari, Dollár, Girshick 2017, "Mask R-CNN", whose masks are one for each class; lecture, instance
    segmentation.
    """

    def __init__(self, classes: int, input_shape: tuple[int, int, int] = (3, 240, 320), **options: Any) -> None:
        channels = options.get("channels", (16, 32, 64, 128))
        depth, width = channels[-1], 32
        nodes: Nodes = {
            "conv1": (Conv2d(depth, width, 3, padding=1, activation="relu"), ["region"]),
            "conv2": (Conv2d(width, width, 3, padding=1, activation="relu"), ["conv1"]),
            "up": (ConvTranspose2d(width, width, 2, stride=2, activation="relu"), ["conv2"]),
            "mask": (Conv2d(width, 2, 1), ["up"]),
        }
        self.mask_head = Graph({"region": (depth, _BINS, _BINS)}, nodes, ["mask"], seed=options.get("seed", 0) + 2)
        super().__init__(classes, input_shape, **options)

    def to_device(self, device: int | None = None) -> None:
        """Moves all weights to the GPU."""
        super().to_device(device)
        self.mask_head.to_device(device)

    def to_host(self) -> None:
        """Moves all weights back."""
        super().to_host()
        self.mask_head.to_host()

    def _with_masks(self, arrays: dict[str, FloatArray], own: dict[str, FloatArray]) -> dict[str, FloatArray]:
        return {**arrays, **{f"mask_head.{name}": value for name, value in own.items()}}

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The weights, the mask head's behind "mask_head."."""
        return self._with_masks(super().parameters, self.mask_head.parameters if "head" in self.trains else {})

    @property
    def state(self) -> dict[str, FloatArray]:
        """All weights and buffers."""
        return self._with_masks(super().state, self.mask_head.state)

    @property
    def gradients(self) -> dict[str, FloatArray]:
        """Under the names of `parameters`."""
        return self._with_masks(super().gradients, self.mask_head.gradients if "head" in self.trains else {})

    def mask_logits(self, features: Any, boxes: Sequence[FloatArray], training: bool = False) -> tuple[Any, Any, Any]:
        """(K, 2, 28, 28), background and object, for the boxes of every image, and the arrays they were pooled by."""
        batch = np.repeat(np.arange(len(boxes)), [len(each) for each in boxes])
        given = like(np.concatenate(boxes), features), like(batch, features)
        pooled = ops.roi_align(features, *given, _BINS, 1 / self.stride)
        return (self.mask_head.forward(pooled, training=training), *given)

    def more_losses(
        self, features: Any, regions: Sequence[FloatArray], labels: npt.NDArray[Any], targets: FloatArray, t: Targets
    ) -> tuple[float, Any]:
        """The cross-entropy of all pixels of the masks of regions that show an object. What a mask should be is its
        object's, as far as it lies in the region.
        """
        ends = np.cumsum([len(each) for each in regions])[:-1]
        of_image = [np.flatnonzero(each > 0) for each in np.split(labels, ends)]
        chosen = [each[objects] for each, objects in zip(regions, of_image, strict=True)]
        if not sum(len(each) for each in chosen):
            return 0.0, None
        wanted = np.concatenate(
            [
                _masks_in(boxes, corners[objects], rows)
                for boxes, corners, objects, rows in zip(chosen, np.split(targets, ends), of_image, t, strict=True)
            ]
        )
        logits, boxes, batch = self.mask_logits(features, chosen, training=True)
        value, gradient = ops.cross_entropy_with_grad(to_host(logits), wanted)
        d_pooled = self.mask_head.backward(like(gradient, logits), input_gradient=True)
        return float(value), ops.roi_align_backward(d_pooled, boxes, batch, tuple(features.shape), 1 / self.stride)

    def segment(self, x: FloatArray, *, score: float = 0.05, iou_threshold: float = 0.5) -> list[Instances]:
        """The objects in images (N, C, H, W) and their pixels, for each image `Instances`."""
        found = self.detect(x, score=score, iou_threshold=iou_threshold)
        if not found:
            return []
        features = self.value(self.outputs[0])  # of the forward pass that found them
        logits, _, _ = self.mask_logits(features, [each.boxes for each in found])
        masks = np.split(ops.softmax(to_host(logits), 1)[:, 1], np.cumsum([len(each) for each in found])[:-1])
        (shape,) = self.inputs.values()
        return [Instances(each, paste(mask, each.boxes, shape[1:])) for each, mask in zip(found, masks, strict=True)]


def _masks_in(regions: FloatArray, corners: FloatArray, rows: Targets) -> npt.NDArray[np.int64]:
    """What is seen in regions (k, 4) of one image of the masks of their objects, which `corners` (k, 4) are of: 0 or 1,
    (k, 28, 28).
    """
    which = (corners[:, None] == rows[None, :, 1:5]).all(2).argmax(1)
    masks = np.ascontiguousarray(rows[:, 5:].reshape(-1, 1, MASK_SIZE, MASK_SIZE))
    start, side = np.tile(corners[:, :2], 2), np.tile(corners[:, 2:] - corners[:, :2], 2)
    in_mask = ((regions - start) / side * np.float32(MASK_SIZE)).astype(np.float32)
    seen = ops.roi_align(masks, in_mask, which, MASK_SIZE, sampling_ratio=1)[:, 0]
    return (seen > 0.5).astype(np.int64)


def paste(masks: FloatArray, boxes: FloatArray, size: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Masks (n, 28, 28) of probabilities, stretched to their boxes (n, 4) in images of `size`, (height, width).

    bool (n, height, width), true where the probability at a pixel's centre is above ½.
    """
    height, width = size
    result = np.zeros((len(masks), height, width), bool)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    for mask, (x1, y1, x2, y2), out in zip(masks, boxes, result, strict=True):
        if x2 <= x1 or y2 <= y1:
            continue
        y, x = (rows - y1) / (y2 - y1) * MASK_SIZE - 0.5, (columns - x1) / (x2 - x1) * MASK_SIZE - 0.5
        flow = np.stack(np.broadcast_arrays(x[None, :] - np.arange(width), (y - np.arange(height))[:, None]))
        out[...] = ops.warp(mask[None, None], flow[None].astype(np.float32))[0, 0] > 0.5
    return result
