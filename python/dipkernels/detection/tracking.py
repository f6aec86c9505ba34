"""Tracking by detection: which detections of the frames of a film are the same object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.arguments import integer, limited
from dipkernels.checks import checked, instance, listed
from dipkernels.detection.detections import Detections
from dipkernels.ops.backend import FloatArray


@dataclass
class _Track:
    number: int
    label: int
    box: FloatArray
    velocity: FloatArray = field(default_factory=lambda: np.zeros(4, np.float32))
    missed: int = 0

    def expected(self) -> FloatArray:
        """Where it should be in the next frame."""
        return self.box + (self.missed + 1) * self.velocity


def assigned(gain: npt.NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """Pairs (row, column), each row and column once at most, whose gains are largest together; none below `least`."""
    from scipy.optimize import linear_sum_assignment

    allowed = np.where(gain >= least, gain, -1e6)
    rows, columns = linear_sum_assignment(-allowed)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if gain[r, c] >= least]


@checked(frames=listed(instance(Detections)))
def track(
    frames: Sequence[Detections], *, iou_threshold: float = 0.3, most_missed: int = 3
) -> list[npt.NDArray[np.int64]]:
    """For each frame the numbers, from 0, of the objects that its detections are.

    A detection goes on with the track of its class whose box, moved on by how it moved last, has the largest IoU with
    it, all of a frame together by the best assignment; where none has `iou_threshold` it begins another. A track ends
    that `most_missed` frames in a row do not show.

    ImportError, with the remedy, without scipy. Source: lecture, tracking; Bewley, Ge, Ott, Ramos, Upcroft 2016,
    "SORT", here with a constant velocity in place of its Kalman filter.

    >>> frame = Detections(np.float32([[0, 0, 4, 4]]), np.float32([1]), np.int64([0]))
    >>> moved = Detections(np.float32([[1, 0, 5, 4]]), np.float32([1]), np.int64([0]))
    >>> track([frame, moved])
    [array([0]), array([0])]
    """
    limited("track", "iou_threshold", iou_threshold, 1.0)
    integer("track", "most_missed", most_missed, 0)
    try:
        import scipy.optimize  # noqa: F401
    except ImportError as error:
        raise ImportError('track needs scipy; pip install "dipkernels[train]"') from error
    tracks: list[_Track] = []
    numbers: list[npt.NDArray[np.int64]] = []
    begun = 0
    for found in frames:
        own = np.full(len(found), -1, np.int64)
        if tracks and len(found):
            expected = np.stack([each.expected() for each in tracks])
            gain = ops.box_iou(expected, found.boxes).astype(np.float64)
            gain[np.array([each.label for each in tracks])[:, None] != found.classes] = 0
            for i, j in assigned(gain, max(iou_threshold, 1e-9)):
                each = tracks[i]
                each.velocity = (found.boxes[j] - each.box) / np.float32(each.missed + 1)
                each.box, each.missed, own[j] = found.boxes[j], -1, each.number
        for each in tracks:
            each.missed += 1
        tracks = [each for each in tracks if each.missed <= most_missed]
        for j in np.flatnonzero(own < 0).tolist():
            tracks.append(_Track(begun, int(found.classes[j]), found.boxes[j]))
            own[j] = begun
            begun += 1
        numbers.append(own)
    return numbers
