"""Object detection: sliding window, region proposals, two stages, one stage."""

from dipkernels.detection.anchors import anchors, clip_boxes, decode_boxes, encode_boxes, match_boxes
from dipkernels.detection.detections import Detections, best_detections
from dipkernels.detection.losses import AnchorLoss
from dipkernels.detection.retinanet import RetinaNet

__all__ = [
    "AnchorLoss",
    "Detections",
    "RetinaNet",
    "anchors",
    "best_detections",
    "clip_boxes",
    "decode_boxes",
    "encode_boxes",
    "match_boxes",
]
