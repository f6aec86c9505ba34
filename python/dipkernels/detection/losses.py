"""What detectors are trained by: their losses of classes and of boxes, with gradients."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipkernels import cuda, ops
from dipkernels.detection.anchors import IGNORED, encode_boxes, match_boxes
from dipkernels.ops.backend import FloatArray, to_host

BETA = 1 / 9
"""Where the smooth L1 loss of boxes becomes linear, in the units of `encode_boxes`."""


def like(array: npt.NDArray[Any], given: Any) -> Any:
    """A NumPy array where `given` lives."""
    return array if isinstance(given, np.ndarray) else cuda.to_device(np.ascontiguousarray(array))


def sampled(rng: np.random.Generator, labels: npt.NDArray[np.int64], count: int, share: float) -> npt.NDArray[np.int64]:
    """The indices, in order, of up to `count` labels that are not `IGNORED`: up to `share` of them objects, the rest
    background.
    """
    objects, background = np.flatnonzero(labels > 0), np.flatnonzero(labels == 0)
    objects = rng.permutation(objects)[: int(count * share)]
    background = rng.permutation(background)[: count - len(objects)]
    return np.sort(np.concatenate([objects, background]))


def rng_of(t: npt.NDArray[Any]) -> np.random.Generator:
    """Random numbers that depend on a batch's targets alone, so that a training that goes on draws the same."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(t).data.cast("B") if t.size else b""))


@dataclass(frozen=True, eq=False)
class AnchorLoss:
    """The loss of a network that says at every anchor which class it shows and how it should move.

    Parameters
    ----------
    anchors
        For each level of the network float32 (A·H·W, 4), as `detection.anchors` makes them.
    kind
        "focal" takes all anchors, with γ = 2 and background as a class of its own, and divides by the number that show
        an object; "sampled" takes `count` of each image, half of them objects where there are so many, with plain
        cross-entropy, and divides by how many these are.
    low, high
        As `detection.match_boxes` takes them.
    classes_matter
        False where all objects are one class.

    It is called with outputs and targets (N, most, 5). For each level the outputs are logits (N, A·(1 + classes), H, W)
    and moves (N, A·4, H, W); it returns the loss and as many gradients. Sources: Lin, Goyal, Girshick, He, Dollár 2017;
    Ren, He, Girshick, Sun 2015; Girshick 2015 for the smooth L1 loss of the moves.
    """

    anchors: Sequence[FloatArray]
    kind: Literal["focal", "sampled"]
    low: float
    high: float
    classes_matter: bool = True
    count: int = 128
    can_be_captured = False  # objects are matched on the host

    def __call__(self, outputs: Sequence[Any], t: Any) -> tuple[float, tuple[Any, ...]]:
        """The loss, and the gradient of every output."""
        t = to_host(t)
        labels, targets = self.labels(t)
        objects = labels > 0
        total = int(objects.sum() if self.kind == "focal" else (labels != IGNORED).sum())
        gradients: list[Any] = []
        share, value, first = 1.0 / max(total, 1), 0.0, 0
        for level, anchors in enumerate(self.anchors):
            part = slice(first, first + len(anchors))
            first += len(anchors)
            logits, moves = outputs[2 * level], outputs[2 * level + 1]
            of_classes, d_logits = self._classes(to_host(logits), labels[:, part], share, anchors)
            of_moves, d_moves = self._moves(to_host(moves), targets[:, part], objects[:, part], share, anchors)
            value += of_classes + of_moves
            gradients += [like(d_logits, logits), like(d_moves, moves)]
        return value, tuple(gradients)

    def labels(self, t: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """For every anchor of every image its label (N, M), and the corners of its object (N, M, 4)."""
        everything = np.concatenate(self.anchors)
        matched = [match_boxes(everything, each, self.low, self.high) for each in t]
        labels = np.stack([each for each, _ in matched]) if matched else np.zeros((0, len(everything)), np.int64)
        if not self.classes_matter:
            labels = np.minimum(labels, 1)
        if self.kind == "sampled":
            rng = rng_of(t)
            for each in labels:
                kept = sampled(rng, each, self.count, 0.5)
                left_out = np.ones(len(each), bool)
                left_out[kept] = False
                each[left_out] = IGNORED
        targets = np.stack([each for _, each in matched]) if matched else np.zeros((0, len(everything), 4), np.float32)
        return labels, targets

    def _classes(
        self, logits: FloatArray, labels: npt.NDArray[np.int64], share: float, anchors: FloatArray
    ) -> tuple[float, FloatArray]:
        N, filters, H, W = logits.shape
        shapes = len(anchors) // (H * W)
        classes = filters // shapes
        weight = np.full(classes, share, np.float32)
        loss = ops.focal_loss_with_grad if self.kind == "focal" else ops.cross_entropy_with_grad
        value, gradient = loss(
            logits.reshape(N * shapes, classes, H * W),
            np.ascontiguousarray(labels).reshape(N * shapes, H * W),
            weight=weight,
            ignore_index=IGNORED,
            reduction="sum",
        )
        return float(value), gradient.reshape(logits.shape)

    def _moves(
        self, moves: FloatArray, targets: FloatArray, objects: Any, share: float, anchors: FloatArray
    ) -> tuple[float, FloatArray]:
        N, filters, H, W = moves.shape
        images, which = np.nonzero(objects)
        gradient = np.zeros((N, filters // 4, 4, H * W), np.float32)
        if not len(images):
            return 0.0, gradient.reshape(moves.shape)
        shapes, places = np.divmod(which, H * W)
        found = moves.reshape(gradient.shape)[images, shapes, :, places]
        wanted = encode_boxes(np.ascontiguousarray(targets[images, which]), anchors[which])
        value, own = ops.smooth_l1_loss_with_grad(found, wanted, "sum", BETA)
        gradient[images, shapes, :, places] = own * np.float32(share)
        return float(value) * share, gradient.reshape(moves.shape)
