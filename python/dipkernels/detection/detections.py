"""What a detector finds in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.checks import array, as_many, check_fields, checked, real, whole
from dipkernels.ops.backend import FloatArray


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, the surest first.

    boxes : float32 (n, 4), corners in pixels
    scores : float32 (n,), from 0 to 1
    classes : int64 (n,)
    """

    boxes: FloatArray
    scores: FloatArray
    classes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        check_fields(self, boxes=array("N4"), scores=array("N"), classes=array("N"))
        as_many("Detections", boxes=self.boxes, scores=self.scores, classes=self.classes)

    def __len__(self) -> int:
        return len(self.scores)

    @checked(score=real())
    def above(self, score: float) -> Detections:
        """Those that are at least so sure."""
        sure = self.scores >= score
        return Detections(self.boxes[sure], self.scores[sure], self.classes[sure])


class Detector(Protocol):
    """A network that finds objects: `loss` is what `train.fit` takes, with targets of `data.padded_boxes`."""

    @property
    def loss(self) -> Any:
        """(outputs, targets) → (loss, gradients of the outputs)."""

    def detect(self, x: FloatArray, *, score: float = 0.05, iou_threshold: float = 0.5) -> list[Detections]:
        """What is in images (N, C, H, W): of each class what is at least `score` sure, after suppression."""


@checked(boxes=array("N4"), probabilities=array("NK"), score=real(), most=whole(0))
def best_detections(
    boxes: FloatArray,
    probabilities: FloatArray,
    *,
    score: float = 0.05,
    iou_threshold: float = 0.5,
    most: int = 100,
) -> Detections:
    """What is left of boxes (M, 4) with probabilities (M, 1 + classes), background first: every class that is at least
    `score` sure, without those that `ops.batched_nms` suppresses, the `most` best.
    """
    as_many("best_detections", boxes=boxes, probabilities=probabilities)
    sure = probabilities[:, 1:] >= score
    which, classes = np.nonzero(sure)
    scores = probabilities[:, 1:][sure]
    if len(scores) > 2000:  # the best, in their order
        best = np.sort(np.argsort(-scores, kind="stable")[:2000])
        which, classes, scores = which[best], classes[best], scores[best]
    corners = np.ascontiguousarray(boxes[which])
    kept = ops.batched_nms(corners, scores, classes, iou_threshold)[:most]
    return Detections(corners[kept], scores[kept], classes[kept].astype(np.int64))
