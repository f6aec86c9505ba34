"""How well a model does: the scores of each field."""

from dipkernels.metrics.segmentation import SegmentationScores, confusion_matrix, segmentation_scores

__all__ = ["SegmentationScores", "confusion_matrix", "segmentation_scores"]
