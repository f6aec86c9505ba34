"""One-stage detection: every anchor of a feature pyramid is classified and moved at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipkernels import ops
from dipkernels.checks import checked, listed, positive, shape, whole
from dipkernels.detection.anchors import anchors, by_anchor, decode_boxes
from dipkernels.detection.backbone import backbone
from dipkernels.detection.detections import Detections, best_detections
from dipkernels.detection.losses import AnchorLoss
from dipkernels.models.blocks import Nodes, convolve
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.nn.merge import Add
from dipkernels.nn.upsampling import UpsampleNearest2d
from dipkernels.ops.backend import FloatArray
from dipkernels.train.evaluation import outputs_on_host

_PRIOR = 0.01  # of an anchor showing an object, before anything was learned


class RetinaNet(Graph):
    """A feature pyramid with one head for all levels, trained by the focal loss.

    Parameters
    ----------
    classes
        The number of kinds of objects.
    input_shape
        (colours, height, width) of the images.
    channels
        Of the stages, each of half the size of the one before.
    levels
        How many of the last stages are levels of the pyramid; each takes in the next coarser one.
    size, aspect_ratios
        Of the anchors: `size` strides of the level and √2 times that.
    width
        Channels of pyramid and head.

    `loss` is what `train.fit` takes, with targets of `data.padded_boxes`; `detect` finds objects. Background is a class
    of its own, with a softmax over all, where the paper has a sigmoid for each class. Source: Lin, Goyal, Girshick, He,
    Dollár 2017, "Focal loss for dense object detection"; lecture, one-stage detection.
    """

    @checked(
        classes=whole(1),
        input_shape=shape("CHW"),
        channels=listed(whole(1), 1),
        levels=whole(1),
        width=whole(1),
        size=positive,
        aspect_ratios=listed(positive, 1),
    )
    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int] = (3, 240, 320),
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 128),
        levels: int = 3,
        size: float = 2.5,
        aspect_ratios: Sequence[float] = (0.7, 1.4),
        width: int = 64,
        seed: int = 0,
    ) -> None:
        self.classes = classes
        if levels > len(channels):
            raise ValueError(f"RetinaNet: levels must be at most the stages of channels, {len(channels)}, got {levels}")
        nodes: Nodes = {}
        stages = backbone(nodes, input_shape[0], channels)
        sizes = [(input_shape[1] >> i, input_shape[2] >> i) for i in range(len(channels))]
        shapes = 2 * len(aspect_ratios)
        tower = Conv2d(width, width, 3, padding=1, activation="relu")
        head = Conv2d(width, shapes * (1 + self.classes), 3, padding=1), Conv2d(width, shapes * 4, 3, padding=1)
        outputs: list[str] = []
        coarser = ""
        for i in range(len(channels) - 1, len(channels) - levels - 1, -1):
            name = f"level{i + 1}"
            nodes[name] = (Conv2d(channels[i], width, 1), [stages[i]])
            if coarser:
                nodes[f"{name}_up"] = (UpsampleNearest2d(size=sizes[i]), [coarser])
                nodes[f"{name}_sum"] = (Add(), [name, f"{name}_up"])
                name = f"{name}_sum"
            coarser = name
            smooth = convolve(nodes, f"smooth{i + 1}", name, width, width)
            nodes[f"tower{i + 1}"] = (tower, [smooth])
            nodes[f"scores{i + 1}"] = (head[0], [f"tower{i + 1}"])
            nodes[f"moves{i + 1}"] = (head[1], [f"tower{i + 1}"])
            outputs = [f"scores{i + 1}", f"moves{i + 1}", *outputs]
        self.anchors = [
            anchors(sizes[i], 1 << i, [size * (1 << i), 2**0.5 * size * (1 << i)], aspect_ratios)
            for i in range(len(channels) - levels, len(channels))
        ]
        super().__init__({"x": input_shape}, nodes, outputs, seed=seed)
        bias = head[0].parameters["bias"].reshape(shapes, 1 + self.classes)
        bias[:, 0] = np.log(self.classes * (1 - _PRIOR) / _PRIOR)

    @property
    def loss(self) -> AnchorLoss:
        """The focal loss of the classes and the smooth L1 loss of the boxes."""
        return AnchorLoss(self.anchors, "focal", 0.4, 0.5)

    def detect(self, x: FloatArray, *, score: float = 0.05, iou_threshold: float = 0.5) -> list[Detections]:
        """The objects in images (N, C, H, W), for each a `Detections`."""
        if not len(x):
            return []
        outputs = outputs_on_host(self, x)
        everything = np.concatenate(self.anchors)
        scores, moves = (
            np.concatenate(
                [by_anchor(each, len(own)) for each, own in zip(outputs[i::2], self.anchors, strict=True)], 1
            )
            for i in (0, 1)
        )
        (shape,) = self.inputs.values()
        return [
            best_detections(
                decode_boxes(moved, everything, shape[1:]),
                ops.softmax(np.ascontiguousarray(logits), 1),
                score=score,
                iou_threshold=iou_threshold,
            )
            for logits, moved in zip(scores, moves, strict=True)
        ]
