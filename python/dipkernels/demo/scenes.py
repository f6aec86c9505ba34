"""The page's scenes: the class of every pixel, and how two stages find objects, step by step."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dipkernels import models, nn, ops, precision, train
from dipkernels.data import SCENE_CLASSES, SCENE_OBJECTS, BoxAugmentation, scenes
from dipkernels.data.scenes import digit_splits, shape_of
from dipkernels.demo.layers import packed
from dipkernels.demo.lessons import number, whole
from dipkernels.demo.networks import cache
from dipkernels.detection import FasterRCNN
from dipkernels.detection.anchors import decode_boxes
from dipkernels.detection.detections import best_detections
from dipkernels.detection.regions import at_least_a_pixel
from dipkernels.ops.backend import FloatArray

SIDE = 64
_SCENES, _MOST_OBJECTS = 60, 8
_EPOCHS = {"masks": 12, "boxes": 20}
_RATES = {"masks": 0.003, "boxes": 0.001}


class SceneNetworks:
    """A fully convolutional network and Faster R-CNN, read from `folder` or trained there in a thread of their own as
    soon as somebody asks for them.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache()
        self.masks = models.fcn(len(SCENE_CLASSES), (3, SIDE, SIDE), channels=(16, 32, 64), seed=0)
        self.boxes = FasterRCNN(
            len(SCENE_OBJECTS), (3, SIDE, SIDE), channels=(16, 32, 64), sizes=(13, 17, 21), aspect_ratios=(0.7, 1.0),
            proposals=40, seed=0,
        )  # fmt: skip
        self.progress, self.error = 0.0, ""
        self.images: FloatArray | None = None  # of the test part
        self.lock = threading.Lock()  # a model remembers its last input
        self._thread: threading.Thread | None = None

    def ask(self) -> bool:
        """Whether they are there; the first time, begins to read or train them. ValueError where that went wrong."""
        with self.lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._prepare, daemon=True)
                self._thread.start()
        if self.error:
            raise ValueError(self.error)
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Until they are there, or are known not to come."""
        self.ask()
        assert self._thread is not None
        self._thread.join()

    def _prepare(self) -> None:
        try:
            parts: dict[str, Any] = {"masks": scenes("masks", SIDE), "boxes": scenes("boxes", SIDE)}
            total = sum(_EPOCHS.values())
            done = 0
            for kind, model in (("masks", self.masks), ("boxes", self.boxes)):
                path = self.folder / f"scenes-{kind}.safetensors"
                loaded = False
                if path.is_file():
                    with contextlib.suppress(ValueError, KeyError):  # a damaged file is written anew
                        nn.load_state(model, path)
                        loaded = True
                if not loaded:
                    self._train(kind, model, parts[kind].train, done, total)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    nn.save_state(model, path, {"model": f"scenes-{kind}"})
                done += _EPOCHS[kind]
                self.progress = done / total
            self.images = parts["masks"].test.x[:_SCENES]
        except Exception as error:  # the page says it
            self.error = str(error)

    def _train(self, kind: str, model: Any, data: Any, done: int, total: int) -> None:
        epochs, rate = _EPOCHS[kind], _RATES[kind]

        def schedule(epoch: int) -> float:
            self.progress = (done + epoch - 1) / total
            return rate * (0.5 + 0.5 * math.cos(math.pi * (epoch - 1) / epochs))

        loss = ops.cross_entropy_with_grad if kind == "masks" else model.loss
        with precision("high"):
            train.fit(
                model, data, loss=loss, optimizer=nn.Adam(rate), epochs=epochs, batch_size=8 if kind == "masks" else 16,
                augment=BoxAugmentation() if kind == "boxes" else None, schedule=schedule, keep="last", progress=False,
            )  # fmt: skip


def drawn(objects: Any) -> FloatArray:
    """A canvas (3, 64, 64) with these objects, [{"kind", "x", "y", "side", "hue"}, …], as `data.scenes` draws them:
    kind in SCENE_OBJECTS, the middle x, y and the side in pixels, the hue from 0 to 1. ValueError for what is none.
    """
    if not isinstance(objects, list) or len(objects) > _MOST_OBJECTS:
        raise ValueError(f"objects must be a list of up to {_MOST_OBJECTS}")
    image = np.full((3, SIDE, SIDE), 0.5)
    source = digit_splits(0)[2]
    for i, each in enumerate(objects):
        if not isinstance(each, Mapping) or each.get("kind") not in SCENE_OBJECTS:
            raise ValueError(f"objects[{i}] must have a kind of {', '.join(SCENE_OBJECTS)}")
        side = whole(each, "side", 8, 28)
        x, y, hue = number(each, "x", 0, SIDE), number(each, "y", 0, SIDE), number(each, "hue", 0, 1)
        rng = np.random.default_rng(i)
        shape = shape_of(rng, SCENE_OBJECTS.index(each["kind"]), side, source)
        colour = 0.5 + 0.45 * np.cos(2 * np.pi * (hue - np.array([0, 1, 2]) / 3))
        top, left = (int(np.clip(round(at - side / 2), 0, SIDE - side)) for at in (y, x))
        place = image[:, top : top + side, left : left + side]
        place += shape * (colour[:, None, None] - place)
    image += np.random.default_rng(0).normal(0, 0.03, image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def _listed(boxes: Any, **columns: Any) -> list[dict[str, Any]]:
    """Boxes as the page draws them, with what belongs to each."""
    rows = []
    for i, box in enumerate(np.asarray(boxes)):
        row: dict[str, Any] = {"box": [round(float(v), 2) for v in box]}
        row |= {name: values[i].item() for name, values in columns.items()}
        rows.append(row)
    return rows


def scene(networks: SceneNetworks, given: Mapping[str, Any]) -> dict[str, Any]:
    """What both networks see in a scene of the test part, or in drawn objects: {"ready": False, "progress"} while they
    are trained; then the image, the mask, the anchors of the middle place, the proposals, and the boxes before and
    after suppression. ValueError for settings that are none.
    """
    which = whole(given, "scene", 0, _SCENES - 1)
    score, overlap = number(given, "score", 0, 1), number(given, "overlap", 0, 1)
    objects = given.get("objects")
    mine = None if objects is None else drawn(objects)
    if not networks.ask():
        return {"ready": False, "progress": networks.progress}
    assert networks.images is not None
    image = networks.images[which] if mine is None else mine
    model = networks.boxes
    with networks.lock:
        mask = networks.masks.forward(image[None])[0].argmax(0)
        outputs = model.forward(image[None])
        regions = model.propose(outputs)
        objectness = outputs[1]
        proposals = regions[0]
        for _ in range(2):  # as `FasterRCNN.detect` does
            logits, moves = model.head.forward(model.pooled(outputs[0], regions)[0])
            boxes = at_least_a_pixel(decode_boxes(moves, np.concatenate(regions), (SIDE, SIDE)))
            regions = [boxes]
    probabilities = ops.softmax(np.ascontiguousarray(logits), 1)
    best = probabilities[:, 1:].argmax(1)
    sure = probabilities[:, 1:].max(1) >= score
    found = best_detections(boxes, probabilities, score=score, iou_threshold=overlap)
    rows, columns = objectness.shape[2:]
    shapes = len(model.anchors) // (rows * columns)
    middle = (rows // 2 * columns + columns // 2) * shapes
    return {
        "ready": True,
        "image": packed(image),
        "mask": mask.ravel().tolist(),
        "classes": list(SCENE_CLASSES),
        "anchors": _listed(model.anchors[middle : middle + shapes]),
        "all_anchors": len(model.anchors),
        "proposals": _listed(proposals),
        "before": _listed(boxes[sure], kind=best[sure], score=probabilities[:, 1:].max(1)[sure]),
        "after": _listed(found.boxes, kind=found.classes, score=found.scores),
    }
