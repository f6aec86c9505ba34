"""How well a model does: the scores of each field."""

from dipkernels.metrics.average_precision import DetectionScores, average_precision, mask_iou
from dipkernels.metrics.images import psnr, ssim
from dipkernels.metrics.motion import velocity_errors
from dipkernels.metrics.segmentation import SegmentationScores, confusion_matrix, segmentation_scores
from dipkernels.metrics.tracking import TrackingScores, tracking_scores

__all__ = [
    "DetectionScores",
    "SegmentationScores",
    "TrackingScores",
    "average_precision",
    "confusion_matrix",
    "mask_iou",
    "psnr",
    "segmentation_scores",
    "ssim",
    "tracking_scores",
    "velocity_errors",
]
