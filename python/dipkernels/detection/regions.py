"""Two-stage detection: regions that may show an object, each of which is then classified and moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import cuda, ops
from dipkernels.checks import Kind, checked, listed, positive, shape, whole
from dipkernels.detection.anchors import IGNORED, decode_boxes, encode_boxes, match_boxes
from dipkernels.detection.backbone import backbone
from dipkernels.detection.detections import Detections, best_detections
from dipkernels.detection.losses import BETA, like, rng_of, sampled
from dipkernels.detection.proposals import region_proposals
from dipkernels.models.blocks import Nodes, convolve
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.nn.linear import Linear
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Flatten
from dipkernels.ops.backend import FloatArray, to_host

Targets = npt.NDArray[Any]

OF_DETECTORS: dict[str, Kind] = {
    "classes": whole(1),
    "input_shape": shape("CHW"),
    "channels": listed(whole(1), 1),
    "sizes": listed(positive, 1),
    "proposals": whole(1),
    "regions": whole(1),
    "width": whole(1),
}
"""What all detectors of two stages take."""


class TwoStage(Graph):
    """What all detectors of two stages share: `trunk` nodes that make a feature map of the image, and a `head`, a graph
    of its own, that gets one region of it at a time, pooled by `ops.roi_align`.

    The regions are what `region_proposals` finds, unless a subclass's `propose` says otherwise.
    """

    trains: tuple[str, ...] = ("features", "head")
    """What is trained; the weights of the rest stay as they are."""

    def part_of(self, name: str) -> str:
        """Which part of the trunk a weight belongs to."""
        return "features"

    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int],
        trunk: Nodes,
        outputs: Sequence[str],
        head: Graph,
        *,
        stride: int,
        sizes: Sequence[float],
        proposals: int,
        regions: int,
        overlap: float,
        seed: int,
    ) -> None:
        self.classes, self.head, self.stride = classes, head, stride
        self.sizes, self.proposals = sizes, proposals
        self.regions, self.overlap = regions, overlap
        self._images: FloatArray = np.zeros((0, *input_shape), np.float32)
        super().__init__({"x": input_shape}, trunk, outputs, seed=seed)

    def propose(self, outputs: Sequence[Any]) -> list[FloatArray]:
        """Regions (k, 4) of every image, from the outputs of the trunk."""
        return [_proposals(each, self.sizes, self.proposals) for each in to_host(self._images)]

    def first_loss(self, outputs: Sequence[Any], t: Targets) -> tuple[float, tuple[Any, ...]]:
        """The loss of the outputs behind the feature map, and their gradients."""
        return 0.0, ()

    def more_losses(
        self, features: Any, regions: Sequence[FloatArray], labels: npt.NDArray[Any], targets: FloatArray, t: Targets
    ) -> tuple[float, Any]:
        """What else is to be learned of the sampled regions: a loss, and its gradient of the feature map, or None."""
        return 0.0, None

    def forward(self, *inputs: FloatArray, training: bool = False) -> Any:
        """The outputs of the trunk, the feature map first."""
        self._images = inputs[0]
        return super().forward(*inputs, training=training)

    @property
    def loss(self) -> TwoStageLoss:
        """What `train.fit` takes: the losses of both stages."""
        return TwoStageLoss(self)

    def initialize(self, seed: int, initializer: str = "he_normal") -> None:
        """Draws all weights anew."""
        super().initialize(seed, initializer)
        self.head.initialize(seed + 1, initializer)

    def to_device(self, device: int | None = None) -> None:
        """Moves all weights to the GPU."""
        super().to_device(device)
        self.head.to_device(device)

    def to_host(self) -> None:
        """Moves all weights back."""
        super().to_host()
        self.head.to_host()

    def _of_trunk(self, arrays: dict[str, FloatArray]) -> dict[str, FloatArray]:
        return {name: value for name, value in arrays.items() if self.part_of(name) in self.trains}

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The weights that are trained: the trunk's, and the head's behind "head."."""
        head = self.head.parameters if "head" in self.trains else {}
        return {**self._of_trunk(super().parameters), **{f"head.{name}": value for name, value in head.items()}}

    @property
    def state(self) -> dict[str, FloatArray]:
        """All weights and buffers."""
        trains, self.trains = self.trains, type(self).trains
        try:
            state = super().state
        finally:
            self.trains = trains
        return {**state, **{f"head.{name}": value for name, value in self.head.state.items()}}

    @property
    def gradients(self) -> dict[str, FloatArray]:
        """What the last loss and `backward` set, under the names of `parameters`."""
        head = self.head.gradients if "head" in self.trains else {}
        return {**self._of_trunk(super().gradients), **{f"head.{name}": value for name, value in head.items()}}

    def pooled(self, features: Any, regions: Sequence[FloatArray]) -> tuple[Any, Any, Any]:
        """Regions of every image as the head takes them, and the arrays of corners and images they were pooled by."""
        boxes = np.concatenate(regions) if regions else np.zeros((0, 4), np.float32)
        batch = np.repeat(np.arange(len(regions)), [len(each) for each in regions])
        (shape,) = self.head.inputs.values()
        given = like(boxes, features), like(batch, features)
        return (ops.roi_align(features, *given, shape[1:], 1 / self.stride), *given)

    def detect(self, x: FloatArray, *, score: float = 0.05, iou_threshold: float = 0.5) -> list[Detections]:
        """The objects in images (N, C, H, W), for each a `Detections`. Regions are moved twice: the head looks again at
        where it would have moved them.
        """
        if not len(x):
            return []
        given: Any = cuda.to_device(x) if self.on_device else x
        outputs = self.forward(given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        regions = self.propose(outputs)
        (shape,) = self.inputs.values()
        logits = np.zeros((0, 1 + self.classes), np.float32)
        for _ in range(2):
            logits, moves = (to_host(each) for each in self.head.forward(self.pooled(outputs[0], regions)[0]))
            boxes = decode_boxes(moves, np.concatenate(regions), shape[1:])
            ends = np.cumsum([len(each) for each in regions])[:-1]
            regions = [at_least_a_pixel(each) for each in np.split(boxes, ends)]
        return [
            best_detections(each, probabilities, score=score, iou_threshold=iou_threshold)
            for each, probabilities in zip(regions, np.split(ops.softmax(logits, 1), ends), strict=True)
        ]


def _proposals(image: FloatArray, sizes: Sequence[float], most: int) -> FloatArray:
    """`region_proposals` at a distance of a quarter of the smallest size; the whole image where there are none."""
    found = region_proposals(image, sizes, stride=max(round(min(sizes) / 4), 1), most=most)
    return found if len(found) else np.array([[0, 0, image.shape[2], image.shape[1]]], np.float32)


def at_least_a_pixel(boxes: FloatArray) -> FloatArray:
    """Boxes (k, 4) with a side of one pixel where it was shorter, so that they can be moved again."""
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)], 1)


class TwoStageLoss:
    """The loss of a `TwoStage` model: of its first stage, if that learns, and of what the head says of a sample of the
    regions, a quarter of which show objects where there are so many. It runs the head forward and backward.

    Source: Girshick 2015, multi-task loss.
    """

    can_be_captured = False  # regions are chosen on the host

    def __init__(self, model: TwoStage) -> None:
        self.model = model

    def __call__(self, outputs: Any, t: Any) -> tuple[Any, Any]:
        """The loss, and the gradients of the trunk's outputs."""
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        if self.model.on_device:  # as the head is, also where the outputs were fetched
            several = tuple(cuda.to_device(each) if isinstance(each, np.ndarray) else each for each in several)
        t = to_host(t)
        value, gradients = self.model.first_loss(several, np.ascontiguousarray(t[:, :, :5]))
        if "head" in self.model.trains:
            of_head, gradient = self._head(several, t)
            value += of_head
        else:
            gradient = like(np.zeros(several[0].shape, np.float32), several[0])
        return value, (gradient, *gradients) if isinstance(outputs, tuple) else gradient

    def sample(self, outputs: Sequence[Any], t: Targets) -> tuple[list[FloatArray], npt.NDArray[Any], FloatArray]:
        """For every image a sample of its regions, for all of them together the labels and the corners of the objects;
        the objects themselves are among the regions.
        """
        model, rng = self.model, rng_of(t)
        regions, labels, targets = [], [], []
        for proposed, rows in zip(model.propose(outputs), t, strict=True):
            candidates = np.concatenate([proposed, at_least_a_pixel(rows[rows[:, 0] >= 0, 1:])])
            found, corners = match_boxes(candidates, rows, model.overlap, model.overlap, each_object=False)
            chosen = sampled(rng, found, model.regions, 0.25)
            regions.append(candidates[chosen])
            labels.append(found[chosen])
            targets.append(corners[chosen])
        return regions, np.concatenate(labels), np.concatenate(targets)

    def _head(self, outputs: Sequence[Any], t: Targets) -> tuple[float, Any]:
        model, features = self.model, outputs[0]
        regions, labels, targets = self.sample(outputs, np.ascontiguousarray(t[:, :, :5]))
        if not len(labels):
            return 0.0, like(np.zeros(features.shape, np.float32), features)
        pooled, boxes, batch = model.pooled(features, regions)
        logits, moves = model.head.forward(pooled, training=True)
        value, d_logits = ops.cross_entropy_with_grad(to_host(logits), labels, ignore_index=IGNORED)
        objects = np.flatnonzero(labels > 0)
        d_moves = np.zeros(moves.shape, np.float32)
        if len(objects):
            wanted = encode_boxes(targets[objects], np.concatenate(regions)[objects])
            found = np.ascontiguousarray(to_host(moves)[objects])
            of_moves, own = ops.smooth_l1_loss_with_grad(found, wanted, "sum", BETA)
            d_moves[objects] = own / np.float32(len(labels))
            value += float(of_moves) / len(labels)
        d_pooled = model.head.backward(like(d_logits, pooled), like(d_moves, pooled), input_gradient=True)
        gradient = ops.roi_align_backward(d_pooled, boxes, batch, tuple(features.shape), 1 / model.stride)
        others, more = model.more_losses(features, regions, labels, targets, t)
        return float(value) + others, gradient if more is None else gradient + more


def region_head(classes: int, input_shape: tuple[int, int, int], width: int, seed: int) -> Graph:
    """Two fully connected layers, then the scores of background and classes and the moves of the region."""
    nodes: Nodes = {
        "flat": (Flatten(), ["region"]),
        "hidden1": (Linear(int(np.prod(input_shape)), width, activation="relu"), ["flat"]),
        "hidden2": (Linear(width, width, activation="relu"), ["hidden1"]),
        "scores": (Linear(width, 1 + classes), ["hidden2"]),
        "moves": (Linear(width, 4), ["hidden2"]),
    }
    return Graph({"region": input_shape}, nodes, ["scores", "moves"], seed=seed)


class FastRCNN(TwoStage):
    """Fast R-CNN: the convolutions see the image once, and the head each of its regions in their feature map.

    Parameters
    ----------
    classes
        The number of kinds of objects.
    input_shape
        (colours, height, width) of the images.
    channels
        Of the stages, each of half the size of the one before; the last is the feature map.
    sizes
        Of the windows that `region_proposals` looks at, in pixels; `proposals` are the most it gives.
    regions
        How many of an image are trained on at a time.
    bins, width
        Rows and columns of a pooled region, and neurons of the head's two layers.

    `loss` is what `train.fit` takes, with targets of `data.padded_boxes`; `detect` finds objects. Source: Girshick
    2015; lecture, two-stage detection.
    """

    @checked(**OF_DETECTORS, bins=whole(1))
    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int] = (3, 240, 320),
        *,
        channels: Sequence[int] = (16, 32, 64, 128),
        sizes: Sequence[float] = (18, 34, 46, 60, 90),
        proposals: int = 500,
        regions: int = 64,
        bins: int = 7,
        width: int = 256,
        seed: int = 0,
    ) -> None:
        trunk: Nodes = {}
        features = backbone(trunk, input_shape[0], channels)[-1]
        head = region_head(classes, (channels[-1], bins, bins), width, seed)
        super().__init__(
            classes, input_shape, trunk, [features], head,
            stride=1 << len(channels) - 1, sizes=sizes, proposals=proposals, regions=regions, overlap=0.4, seed=seed,
        )  # fmt: skip


class RCNN(TwoStage):
    """R-CNN: every region is cut out of the image, brought to `size` × `size` pixels, and goes through the whole
    network on its own, which is why it is slow.

    `channels` are those of the network's stages; the other parameters are those of `FastRCNN`. Source: Girshick,
    Donahue, Darrell, Malik 2014; lecture, region proposals.
    """

    @checked(**OF_DETECTORS, size=whole(1))
    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int] = (3, 240, 320),
        *,
        channels: Sequence[int] = (16, 32, 64),
        sizes: Sequence[float] = (18, 34, 46, 60, 90),
        proposals: int = 500,
        regions: int = 32,
        size: int = 32,
        width: int = 128,
        seed: int = 0,
    ) -> None:
        nodes: Nodes = {}
        last, depth, side = "region", input_shape[0], size
        for i, filters in enumerate(channels, 1):
            last = convolve(nodes, f"stage{i}", last, depth, filters)
            nodes[f"pool{i}"] = (MaxPool2d(2, rounding="floor"), [last])
            last, depth, side = f"pool{i}", filters, side // 2
        nodes["hidden"] = (Conv2d(depth, width, side, activation="relu"), [last])
        nodes["flat"] = (Flatten(), ["hidden"])
        nodes["scores"] = (Linear(width, 1 + classes), ["flat"])
        nodes["moves"] = (Linear(width, 4), ["flat"])
        head = Graph({"region": (input_shape[0], size, size)}, nodes, ["scores", "moves"], seed=seed)
        super().__init__(
            classes, input_shape, {"input_norm": (BatchNorm(input_shape[0]), ["x"])}, ["input_norm"], head,
            stride=1, sizes=sizes, proposals=proposals, regions=regions, overlap=0.4, seed=seed,
        )  # fmt: skip
