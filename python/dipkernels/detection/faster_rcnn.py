"""Faster R-CNN: a network proposes the regions, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels import ops
from dipkernels.checks import checked, listed, positive, whole
from dipkernels.detection.anchors import anchors, by_anchor, decode_boxes
from dipkernels.detection.backbone import backbone
from dipkernels.detection.losses import AnchorLoss, like
from dipkernels.detection.regions import OF_DETECTORS, Targets, TwoStage, at_least_a_pixel, region_head
from dipkernels.models.blocks import Nodes
from dipkernels.nn.convolution import Conv2d
from dipkernels.ops.backend import FloatArray, to_host
from dipkernels.train.history import History
from dipkernels.train.loop import fit

_BEFORE = 1000  # proposals of an image that suppression sees


class FasterRCNN(TwoStage):
    """Faster R-CNN: the region proposal network says at every anchor of the feature map whether it shows an object and
    how it should move; the best of these are the regions that the head classifies and moves again.

    Parameters
    ----------
    sizes, aspect_ratios
        Of the anchors, in pixels.
    proposals
        How many regions of an image are left of the anchors after non-maximum suppression.

    The others are those of `FastRCNN`. `train.fit` trains all parts jointly, `fit_alternately` some of them at a time.
    Source: Ren, He, Girshick, Sun 2015; lecture, Faster R-CNN.
    """

    trains: tuple[str, ...] = ("features", "rpn", "head")

    def part_of(self, name: str) -> str:
        """The region proposal network is part of the trunk."""
        return "rpn" if name.startswith("rpn") else "features"

    @checked(**OF_DETECTORS, bins=whole(1), aspect_ratios=listed(positive, 1))
    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int] = (3, 240, 320),
        *,
        channels: Sequence[int] = (16, 32, 64, 128),
        sizes: Sequence[float] = (18, 34, 46, 60, 90),
        aspect_ratios: Sequence[float] = (0.7, 1.4),
        proposals: int = 100,
        regions: int = 64,
        bins: int = 7,
        width: int = 256,
        seed: int = 0,
    ) -> None:
        trunk: Nodes = {}
        features, depth, stride = backbone(trunk, input_shape[0], channels)[-1], channels[-1], 1 << len(channels) - 1
        shapes = len(sizes) * len(aspect_ratios)
        trunk["rpn"] = (Conv2d(depth, depth, 3, padding=1, activation="relu"), [features])
        trunk["rpn_scores"] = (Conv2d(depth, 2 * shapes, 1), ["rpn"])
        trunk["rpn_moves"] = (Conv2d(depth, 4 * shapes, 1), ["rpn"])
        map_size = input_shape[1] // stride, input_shape[2] // stride
        self.anchors = anchors(map_size, stride, sizes, aspect_ratios)
        head = region_head(classes, (depth, bins, bins), width, seed)
        super().__init__(
            classes, input_shape, trunk, [features, "rpn_scores", "rpn_moves"], head,
            stride=stride, sizes=sizes, proposals=proposals, regions=regions, overlap=0.5, seed=seed,
        )  # fmt: skip

    def propose(self, outputs: Sequence[Any]) -> list[FloatArray]:
        """The anchors that look most like an object, moved, without those that are nearly the same."""
        (shape,) = self.inputs.values()
        logits, moves = (by_anchor(to_host(each), len(self.anchors)) for each in outputs[1:])
        scores = logits[:, :, 1] - logits[:, :, 0]
        regions = []
        for score, move in zip(scores, moves, strict=True):
            best = np.argsort(-score, kind="stable")[:_BEFORE]
            boxes = at_least_a_pixel(decode_boxes(move[best], self.anchors[best], shape[1:]))
            regions.append(boxes[ops.nms(boxes, score[best], 0.7)[: self.proposals]])
        return regions

    def first_loss(self, outputs: Sequence[Any], t: Targets) -> tuple[float, tuple[Any, ...]]:
        """Of the region proposal network, on a sample of the anchors."""
        if "rpn" not in self.trains:
            return 0.0, tuple(like(np.zeros(each.shape, np.float32), each) for each in outputs[1:])
        loss = AnchorLoss([self.anchors], "sampled", 0.3, 0.6, classes_matter=False)
        return loss(outputs[1:], t)


def fit_alternately(model: FasterRCNN, *data: Any, **options: Any) -> list[History]:
    """Trains in the four steps of the paper, each with `train.fit` and these data and options, and returns their
    histories: features and proposals; features and head, on what was proposed; then, with features that stay, the
    proposals; and the head.

    In the paper the second step begins with features that were trained for something else, here with those of the
    first.
    """
    histories = []
    for trains in (("features", "rpn"), ("features", "head"), ("rpn",), ("head",)):
        model.trains = trains
        try:
            histories.append(fit(model, *data, loss=model.loss, **options))
        finally:
            model.trains = type(model).trains
    return histories
