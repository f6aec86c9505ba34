"""The study of two tasks on one encoder: the class of every pixel, and a property of the whole scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels import metrics, models, nn, precision, viz
from dipkernels.cli.studies import Findings, Settings, percent
from dipkernels.data import CAMVID_CLASSES, SCENE_CLASSES, Dataset, Splits, camvid, scenes
from dipkernels.nn.graph import Graph
from dipkernels.train import HeadTask, fit_tasks, predict_heads

_IGNORED = -100


def _halved(part: Dataset) -> Dataset:
    """Every second row and column."""
    return Dataset(np.ascontiguousarray(part.x[:, :, ::2, ::2]), np.ascontiguousarray(part.t[:, ::2, ::2]))


def _with_property(part: Dataset, classes: Sequence[int], unlabelled: int) -> Dataset:
    """Masks with one more row below: whether a pixel of these classes is in the image."""
    t = part.t.astype(np.int64)
    t[t == unlabelled] = _IGNORED
    seen = np.isin(t, classes).reshape(len(t), -1).sum(1) >= 20
    row = np.broadcast_to(seen[:, None, None], (len(t), 1, t.shape[2]))
    return Dataset(part.x, np.concatenate([t, row.astype(np.int64)], 1))


def _network(classes: int, shape: tuple[int, int, int], tasks: Sequence[str], seed: int) -> Graph:
    """A fully convolutional network, and a head on its smallest map for the scene."""
    segmentation = models.fcn(classes, shape, channels=(16, 32, 64), seed=seed)
    nodes = {name: (segmentation.layers[name], segmentation.predecessors[name]) for name in segmentation.order}
    nodes["means"] = (nn.GlobalAvgPool2d(), ["pool3"])
    nodes["scene"] = (nn.Linear(64, 2), ["means"])
    if "scene" not in tasks:
        del nodes["means"], nodes["scene"]
    if "pixels" not in tasks:
        keep, wanted = {}, ["scene"]
        while wanted:  # what the scene's head needs
            name = wanted.pop()
            if name in nodes and name not in keep:
                keep[name] = nodes[name]
                wanted += nodes[name][1]
        nodes = {name: node for name, node in nodes.items() if name in keep}
    outputs = [{"pixels": "scores", "scene": "scene"}[task] for task in tasks]
    return Graph({"x": shape}, nodes, outputs, seed=seed)


def study(settings: Settings) -> Findings:
    """Trains one network for each task, and one for both."""
    epochs = settings.epochs or 20
    names: tuple[str, ...] = SCENE_CLASSES
    wanted: tuple[str, ...] = ("triangle",)
    question = "a triangle?"
    if settings.data is None:
        whole = scenes(seed=settings.seed)
    else:
        large = camvid(settings.data)
        whole = Splits(*(_halved(part) for part in (large.train, large.validation, large.test)))
        names = CAMVID_CLASSES
        wanted, question = ("bicyclist",), "a bicyclist?"
    indices = [i for i, name in enumerate(names) if name.lower() in wanted]
    parts = Splits(*(_with_property(part, indices, len(names)) for part in (whole.train, whole.validation, whole.test)))
    shape = whole.train.x.shape[1:]
    tasks = {
        "pixels": HeadTask("pixels", "cross_entropy", lambda t: np.ascontiguousarray(t[:, :-1])),
        "scene": HeadTask("scene", "cross_entropy", lambda t: np.ascontiguousarray(t[:, -1, 0]), weight=0.3),
    }
    rows = []
    shown: Any = None
    with precision("high"):
        ways = {"pixels alone": ["pixels"], "the scene alone": ["scene"], "both": ["pixels", "scene"]}
        for label, chosen in ways.items():
            model = _network(len(names), shape, chosen, settings.seed)
            fit_tasks(
                model, parts, [tasks[name] for name in chosen], optimizer=lambda: nn.Adam(0.003), epochs=epochs,
                batch_size=8, seed=settings.seed,
            )  # fmt: skip
            heads = dict(zip(chosen, predict_heads(model, parts.test.x), strict=True))
            cells = ["", ""]
            if "pixels" in heads:
                shown, truth = heads["pixels"].argmax(1), parts.test.t[:, :-1]
                confusion = metrics.confusion_matrix(truth, shown, len(names), ignore_index=_IGNORED)
                cells[0] = f"{metrics.segmentation_scores(confusion).mean_iou:.3f}"
            if "scene" in heads:
                cells[1] = percent(float((heads["scene"].argmax(1) == parts.test.t[:, -1, 0]).mean()))
            rows.append((label, f"{model.parameter_count:,}", *cells))
    often = float(parts.test.t[:, -1, 0].mean())
    says = f"{percent(often)} of the test images hold {question.removesuffix('?')}."
    picture = viz.segmentation(whole.test.x[:3], shown[:3], names, parts.test.t[:3, :-1], ignore_index=_IGNORED)
    return Findings(("learned", "parameters", "mean IoU", question), rows, says, {"scenes.png": picture})
