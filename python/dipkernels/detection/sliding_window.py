"""Detection by a classifier that looks at every place of an image, and of smaller and larger ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipkernels import ops
from dipkernels.checks import array, checked, listed, network, positive, whole
from dipkernels.data.augmentation import resample
from dipkernels.detection.detections import Detections, best_detections
from dipkernels.models.convolutionalize import convolutionalize
from dipkernels.nn.graph import Graph, Sequential
from dipkernels.ops.backend import FloatArray


@checked(classifier=network, image=array("CHW"))
def window_scores(classifier: Graph, image: FloatArray) -> tuple[FloatArray, int]:
    """The logits of a classifier at every place of an image (C, H, W), (classes, rows, columns), and how many pixels
    lie between the places: of the convolutionalized classifier, which computes once what windows share.
    """
    network = convolutionalize(classifier, (image.shape[1], image.shape[2]))
    return network.forward(image[None])[0], _step(network)


def _step(network: Sequential) -> int:
    jumps = [1, 1]
    for name in network.order:
        _, jumps = network.layers[name].receptive_field([1, 1], jumps)
    return max(jumps)


@checked(classifier=network, image=array("CHW"), scales=listed(positive), background=whole())
def sliding_window(
    classifier: Graph,
    image: FloatArray,
    *,
    scales: Sequence[float] = (1.0,),
    background: int | None = None,
    score: float = 0.5,
    iou_threshold: float = 0.3,
) -> Detections:
    """The objects of an image (C, H, W) of any size, as a sliding window over an image pyramid finds them.

    Parameters
    ----------
    classifier
        A trained sequence of layers, whose input is the window; `models.convolutionalize` says which.
    scales
        The image is looked at in each of these sizes, so that an object may have the window's size over any of them.
    background
        The class of windows that show nothing; None where the classifier knows none.
    score, iou_threshold
        As `detection.best_detections` takes them.

    A scale at which the image is smaller than the window has none. Source: lecture, sliding window over an image
    pyramid; Sermanet et al. 2014.
    """
    (shape,) = classifier.inputs.values()
    boxes, probabilities = [np.zeros((0, 4), np.float32)], []
    for scale in scales:
        size = round(image.shape[1] * scale), round(image.shape[2] * scale)
        if size[0] < shape[1] or size[1] < shape[2]:
            continue
        scaled = image if size == image.shape[1:] else resample(image[None], size)[0]
        logits, step = window_scores(classifier, scaled)
        classes, rows, columns = logits.shape
        top, left = np.divmod(np.arange(rows * columns), columns)
        corners = np.stack([left * step, top * step, left * step + shape[2], top * step + shape[1]], 1)
        factor = image.shape[2] / size[1], image.shape[1] / size[0]
        boxes.append((corners * np.array([*factor, *factor])).astype(np.float32))
        probabilities.append(ops.softmax(np.ascontiguousarray(logits.reshape(classes, -1).T), 1))
    if not probabilities:
        return best_detections(boxes[0], np.zeros((0, 2), np.float32))
    every = np.concatenate(probabilities)
    nothing = np.zeros((len(every), 1), np.float32) if background is None else every[:, background : background + 1]
    objects = every if background is None else np.delete(every, background, 1)
    found = np.concatenate([nothing, objects], 1)
    return best_detections(np.concatenate(boxes), found, score=score, iou_threshold=iou_threshold)
