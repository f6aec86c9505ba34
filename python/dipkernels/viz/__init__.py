"""Pictures of training and of what a network learned. Each function returns a matplotlib Figure."""

from dipkernels.viz.boxes import detections, draw_boxes, photograph, precision_recall
from dipkernels.viz.classification import confusion_matrix, prediction, worst_mistakes
from dipkernels.viz.comparisons import instances, overlaid, samples, side_by_side, tracks
from dipkernels.viz.curves import descent_path, learning_rates, loss_curves
from dipkernels.viz.filters import first_layer_filters
from dipkernels.viz.inputs import augmented_samples, receptive_field_sizes
from dipkernels.viz.maps import feature_maps
from dipkernels.viz.masks import iou_bars, overlay, segmentation
from dipkernels.viz.planes import decision_plane
from dipkernels.viz.saliency import gradient_map, occlusion_map, saliency
from dipkernels.viz.studies import film_strips, forgetting, losses_together, score_bars, score_progress, velocities

__all__ = [
    "augmented_samples",
    "confusion_matrix",
    "decision_plane",
    "descent_path",
    "detections",
    "draw_boxes",
    "feature_maps",
    "film_strips",
    "first_layer_filters",
    "forgetting",
    "gradient_map",
    "instances",
    "iou_bars",
    "learning_rates",
    "loss_curves",
    "losses_together",
    "occlusion_map",
    "overlaid",
    "overlay",
    "photograph",
    "precision_recall",
    "prediction",
    "receptive_field_sizes",
    "saliency",
    "samples",
    "score_bars",
    "score_progress",
    "segmentation",
    "side_by_side",
    "tracks",
    "velocities",
    "worst_mistakes",
]
