"""Object detection: sliding window, region proposals, two stages, one stage."""

from dipkernels.detection.anchors import anchors, clip_boxes, decode_boxes, encode_boxes, match_boxes
from dipkernels.detection.detections import Detections, Detector, best_detections
from dipkernels.detection.faster_rcnn import FasterRCNN, fit_alternately
from dipkernels.detection.losses import AnchorLoss
from dipkernels.detection.mask_rcnn import Instances, MaskRCNN
from dipkernels.detection.proposals import region_proposals
from dipkernels.detection.regions import RCNN, FastRCNN, TwoStage, TwoStageLoss
from dipkernels.detection.retinanet import RetinaNet
from dipkernels.detection.sliding_window import sliding_window, window_scores
from dipkernels.detection.tracking import track

__all__ = [
    "RCNN",
    "AnchorLoss",
    "Detections",
    "Detector",
    "FastRCNN",
    "FasterRCNN",
    "Instances",
    "MaskRCNN",
    "RetinaNet",
    "TwoStage",
    "TwoStageLoss",
    "anchors",
    "best_detections",
    "clip_boxes",
    "decode_boxes",
    "encode_boxes",
    "fit_alternately",
    "match_boxes",
    "region_proposals",
    "sliding_window",
    "track",
    "window_scores",
]
