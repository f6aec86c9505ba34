"""Every function of the library outside `ops`, with every wrong kind of argument: the message names function or class,
argument, what it got and what it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, detection, metrics, models, nn, train, viz

ONE = np.zeros((1, 8, 8), np.float32)
SOME = np.zeros((2, 1, 8, 8), np.float32)
COLOURED = np.zeros((2, 3, 8, 8), np.float32)
BOXES = np.array([[1, 1, 5, 5], [2, 2, 8, 8]], np.float32)
LABELLED = data.Dataset(SOME, np.array([0, 1]))
FOUND = detection.Detections(BOXES, np.array([0.9, 0.8], np.float32), np.array([0, 0]))
MATRICES = np.ones((1, 2, 3), np.float32)
OBJECTS = data.padded_boxes([np.array([[0, 1, 1, 5, 5]])])
PLANES = np.zeros((2, 8, 8), np.int64)
TASK = train.HeadTask("digit", "cross_entropy", lambda t: t)
HISTORY = train.History([train.Epoch(1, 0.1, 1.0, 0.5, None, None, 0.1, 10.0)], 1)


def network() -> nn.Sequential:
    return nn.Sequential((1, 8, 8), nn.Flatten(), nn.Linear(64, 3))


# Of each function arguments that are right; all of these are spoiled in turn.
GOOD: dict[Callable[..., Any], dict[str, Any]] = {
    nn.summary: {"model": network()},
    nn.fold_batch_norm: {"model": network()},
    nn.save_state: {"model": network(), "path": "weights.safetensors", "metadata": {"a": "b"}},
    nn.load_state: {"model": network(), "path": "weights.safetensors"},
    nn.read_metadata: {"path": "weights.safetensors"},
    nn.Graph: {"inputs": {"x": (4,)}, "nodes": {"f": (nn.Linear(4, 2), ["x"])}, "outputs": ["f"], "seed": 0},
    nn.Linear: {"in_features": 2, "out_features": 2, "bias": True},
    nn.Weights: {"count": 2, "start": 0.0},
    train.evaluate: {"model": network(), "data": LABELLED, "batch_size": 2},
    train.predict: {"model": network(), "x": SOME, "batch_size": 2},
    train.predict_heads: {"model": network(), "x": SOME, "batch_size": 2},
    train.task_scores: {"model": network(), "data": LABELLED, "tasks": [TASK]},
    train.MultiTaskLoss: {"tasks": [TASK], "weighting": "static"},
    train.AutomatedFocalLoss: {"start": 0.1, "momentum": 0.9, "weight": np.ones(3), "ignore_index": -1},
    train.gradient_descent: {"start": [1.0], "f": np.max, "grad": np.ones_like, "lr": 0.1, "max_steps": 1},
    data.split: {"data": LABELLED, "validation": 0.0, "test": 0.0, "seed": 0},
    data.canvases: {"digits": LABELLED, "size": 16, "count": 1, "seed": 0},
    data.windows: {"data": data.canvases(LABELLED, 32, 1), "size": 8, "each": 2, "seed": 0},
    data.noisy: {"images": SOME, "sigma": 0.1, "seed": 0},
    data.slant: {"images": SOME},
    data.affine: {"images": SOME, "matrices": np.eye(2, 3), "interpolation": "bilinear"},
    data.random_affine: {"rng": np.random.default_rng(0), "count": 1, "degrees": 1.0, "scale": 0.1, "shift": 1.0},
    data.moved_pairs: {"images": SOME, "augmentation": data.PairAugmentation(), "seed": 0},
    data.class_weights: {"t": PLANES, "classes": 3, "most": 2.0},
    data.padded_boxes: {"boxes": [np.zeros((1, 5))], "most": 2},
    data.toy_points: {"name": "xor", "count": 2, "noise": 0.1, "seed": 0},
    data.AffineAugmentation: {"degrees": 1.0, "scale": 0.1, "shear": 0.1, "shift": 1.0, "interpolation": "nearest"},
    data.PairAugmentation: {"degrees": 1.0, "scale": 0.1, "shear": 0.1, "shift": 1.0},
    data.MaskAugmentation: {"scale": 1.2, "shift": 0.1, "light": 0.1, "outside": 3},
    data.BoxAugmentation: {"scale": 1.2, "shift": 0.1, "light": 0.1, "upside_down": True, "visible": 0.5},
    data.NoiseAugmentation: {"sigma": 0.1},
    train.HeadTask: {"name": "a", "loss": "mse", "targets": abs, "weight": 1.0},
    viz.feature_maps: {"model": network(), "image": ONE, "node": "input", "most": 2},
    viz.gradient_map: {"model": network(), "image": ONE, "target": 0},
    viz.occlusion_map: {"model": network(), "image": ONE, "target": 0, "size": 4, "stride": 4, "fill": 0.0},
    viz.receptive_field_sizes: {"model": network(), "image": ONE},
    viz.augmented_samples: {"x": SOME, "augment": lambda rng, x: x, "times": 1, "rows": 1, "seed": 0},
    viz.samples: {"x": SOME, "rows": 1, "columns": 2},
    viz.prediction: {"image": ONE, "probabilities": np.ones(3)},
    viz.worst_mistakes: {"x": SOME, "t": PLANES[:, 0, 0], "probabilities": np.ones((2, 2)), "rows": 1, "columns": 1},
    viz.overlay: {"image": ONE, "labels": PLANES[0], "classes": 2, "strength": 0.5},
    viz.segmentation: {"x": COLOURED, "predictions": PLANES, "names": ["a", "b"], "most": 1},
    viz.iou_bars: {"iou": np.ones(2), "names": ["a", "b"]},
    viz.side_by_side: {"images": {"a": SOME}},
    viz.film_strips: {"clips": np.zeros((1, 1, 2, 8, 8)), "labels": ["a"]},
    viz.overlaid: {"first": SOME, "second": SOME},
    viz.score_bars: {"scores": {"a": [0.5]}, "names": ["b"]},
    viz.score_progress: {"steps": [1], "curves": {"a": np.ones(1)}, "label": "rate", "wanted": 0.5},
    viz.detections: {"x": COLOURED[:1], "found": [FOUND], "names": ["a"], "score": 0.5, "most": 1},
    viz.tracks: {"x": COLOURED[:1], "found": [FOUND], "numbers": [np.arange(2)], "most": 1},
    viz.photograph: {"pixels": np.zeros((8, 8, 3), np.uint8), "found": FOUND, "names": ["a"]},
    viz.loss_curves: {"history": HISTORY},
    viz.learning_rates: {"history": HISTORY},
    viz.losses_together: {"histories": {"a": HISTORY}},
    detection.anchors: {"map_size": (2, 2), "stride": 8, "sizes": [8], "aspect_ratios": [1.0]},
    detection.clip_boxes: {"boxes": BOXES, "image_size": (8, 8)},
    detection.encode_boxes: {"boxes": BOXES, "start": BOXES},
    detection.decode_boxes: {"moves": BOXES, "start": BOXES, "image_size": (8, 8)},
    detection.match_boxes: {"start": BOXES, "t": np.zeros((1, 5)), "low": 0.3, "high": 0.5, "each_object": True},
    detection.Detections: {"boxes": BOXES, "scores": np.ones(2, np.float32), "classes": np.zeros(2, np.int64)},
    detection.best_detections: {"boxes": BOXES, "probabilities": np.ones((2, 2), np.float32), "score": 0.1, "most": 1},
    detection.region_proposals: {"image": ONE, "sizes": [4], "aspect_ratios": [1.0], "stride": 4, "most": 2},
    detection.track: {"frames": [FOUND], "iou_threshold": 0.3, "most_missed": 1},
    detection.sliding_window: {"classifier": network(), "image": ONE, "scales": [1.0], "background": 0},
    detection.RetinaNet: {"classes": 1, "input_shape": (3, 64, 64), "channels": [2, 2, 2], "levels": 2, "size": 2.0},
    detection.RCNN: {"classes": 1, "input_shape": (3, 32, 32), "channels": [2, 2], "sizes": [8.0], "width": 4},
    detection.FastRCNN: {"classes": 1, "input_shape": (3, 32, 32), "channels": [2, 2], "sizes": [8.0], "width": 4},
    detection.FasterRCNN: {"classes": 1, "input_shape": (3, 32, 32), "channels": [2, 2], "sizes": [8.0], "width": 4},
    models.lenet5: {"classes": 2},
    models.mlp: {"sizes": [4, 2], "activation": "relu", "input_shape": (4,)},
    models.convnet: {"input_shape": (1, 8, 8), "channels": 2, "hidden": 4, "classes": 2, "pool": True},
    models.dncnn: {"input_shape": (1, 8, 8), "depth": 3, "width": 2},
    models.fcn: {"classes": 2, "input_shape": (3, 32, 32), "channels": [2, 2, 2, 2], "upsampling": "bilinear"},
    models.segnet: {"classes": 2, "input_shape": (3, 32, 32), "channels": [2, 2, 2, 2], "upsampling": "max_unpool"},
    models.multi_head: {"heads": {"a": 2}, "input_shape": (1, 16, 16), "channels": [2, 2], "hidden": 4},
    models.single_frame: {"classes": 2, "input_shape": (1, 10, 32, 32), "channels": [2, 2, 2], "hidden": 4},
    models.early_fusion: {"classes": 2, "input_shape": (1, 10, 32, 32), "channels": [2, 2, 2], "hidden": 4},
    models.late_fusion: {"classes": 2, "input_shape": (1, 10, 32, 32), "channels": [2, 2, 2], "hidden": 4},
    models.slow_fusion: {"classes": 2, "input_shape": (1, 10, 32, 32), "channels": [2, 2, 2], "hidden": 4},
    models.c3d: {"classes": 2, "input_shape": (1, 8, 32, 32), "channels": [[2], [2]], "hidden": 4, "dropout": 0.5},
    models.MotionNet: {"input_shape": (1, 4, 16, 16), "width": 4, "seed": 0},
    models.RegistrationNet: {"input_shape": (1, 64, 64), "margin": 8, "width": 4},
    models.NeuronGraph: {"inputs": ["a"], "connections": [("a", "b")], "outputs": ["b"], "seed": 0},
    models.convolutionalize: {"model": network(), "input_size": (8, 8)},
    models.compose: {"first": MATRICES, "second": MATRICES},
    models.corner_error: {"found": MATRICES, "true": MATRICES, "size": (8, 8)},
    metrics.average_precision: {"detections": [FOUND], "t": OBJECTS, "classes": 1, "thresholds": [0.5], "most": 10},
    metrics.confusion_matrix: {"t": PLANES, "predictions": PLANES, "classes": 2, "ignore_index": 5},
    metrics.segmentation_scores: {"confusion": np.eye(2, dtype=np.int64)},
    metrics.mask_iou: {"masks1": PLANES.astype(bool), "masks2": PLANES.astype(bool)},
    metrics.psnr: {"x": SOME, "target": SOME, "extent": 1.0},
    metrics.ssim: {"x": np.zeros((1, 1, 16, 16)), "target": np.zeros((1, 1, 16, 16)), "extent": 1.0},
    metrics.tracking_scores: {
        "boxes": [BOXES],
        "numbers": [np.arange(2)],
        "true_boxes": [BOXES],
        "true_numbers": [np.arange(2)],
    },
}
WRONG: list[Any] = [object(), "x", -1, float("nan"), {3: 4}, [object()], np.zeros((1, 2, 1, 2, 1, 2, 1)), 10**30]


@pytest.fixture(autouse=True)
def _in_a_folder_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nn.save_state(network(), "weights.safetensors")


@pytest.mark.parametrize("function", GOOD, ids=lambda each: str(each.__name__))
def test_wrong_argument(function: Callable[..., Any]) -> None:
    pytest.importorskip("matplotlib")
    good = GOOD[function]
    function(**good)
    for name in good:
        refused = 0
        for value in WRONG:
            try:
                function(**{**good, name: value})
            except FileNotFoundError as error:
                text = str(error)
                assert str(value) in text
            except (TypeError, ValueError) as error:
                refused += 1
                text = str(error)
                # Of a network, a target or a batch that does not fit, what computes it speaks.
                assert re.match(rf"{function.__name__}: |Graph: |forward: ", text) or name in text, (name, value, text)
        assert refused, f"{function.__name__} takes anything for {name}"
        with pytest.raises((TypeError, ValueError), match=rf"{name}|path"):
            function(**{**good, name: WRONG[0]})
