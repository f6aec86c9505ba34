"""How well a model does: the scores of each field."""

from dipkernels.metrics.average_precision import DetectionScores, average_precision
from dipkernels.metrics.segmentation import SegmentationScores, confusion_matrix, segmentation_scores

__all__ = ["DetectionScores", "SegmentationScores", "average_precision", "confusion_matrix", "segmentation_scores"]
