"""Detectors: anchors and their matching, losses with gradients, both stages, training and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, metrics, models, nn, ops, train
from dipkernels.cli import main
from dipkernels.detection import (
    RCNN,
    AnchorLoss,
    FasterRCNN,
    FastRCNN,
    RetinaNet,
    anchors,
    best_detections,
    decode_boxes,
    encode_boxes,
    fit_alternately,
    match_boxes,
    region_proposals,
    sliding_window,
    window_scores,
)
from support.device_ops import DEVICE

SIZE = (3, 32, 32)
SMALL: dict[str, Any] = {"channels": (4, 6), "seed": 3}
TWO_STAGE: dict[str, Any] = {"sizes": (8, 14), "proposals": 20, "regions": 12, **SMALL}
BUILD: dict[str, Any] = {
    "retinanet": lambda: RetinaNet(4, SIZE, levels=2, width=6, size=4.0, **SMALL),
    "fast_rcnn": lambda: FastRCNN(4, SIZE, bins=3, width=8, **TWO_STAGE),
    "faster_rcnn": lambda: FasterRCNN(4, SIZE, bins=3, width=8, **TWO_STAGE),
    "rcnn": lambda: RCNN(4, SIZE, size=8, width=8, **TWO_STAGE),
}


def scenes() -> data.Splits:
    return data.scenes("boxes", 32, (16, 4, 4))


def test_anchors_are_in_the_order_of_a_convolutions_results() -> None:
    shapes, height, width = 4, 3, 5
    boxes = anchors((height, width), 8, [16, 20], [0.5, 2.0]).reshape(shapes, height, width, 4)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    np.testing.assert_allclose(centres[2, 1, 4], [4.5 * 8, 1.5 * 8])
    sides = boxes[..., 2:] - boxes[..., :2]
    np.testing.assert_allclose(sides.prod(-1)[:, 0, 0], [256, 256, 400, 400], rtol=1e-5)
    np.testing.assert_allclose((sides[..., 1] / sides[..., 0])[:, 0, 0], [0.5, 2, 0.5, 2], rtol=1e-5)
    with pytest.raises(ValueError, match=r"anchors: sizes\[0\] must be above 0 and finite, got -1.0"):
        anchors((1, 1), 8, [-1.0])


def test_boxes_are_moved_there_and_back() -> None:
    rng = np.random.default_rng(0)
    start, boxes = (np.sort(rng.uniform(0, 90, (40, 2, 2)), 1).reshape(40, 4).astype(np.float32) for _ in range(2))
    for each in (start, boxes):
        each[:, 2:] += 1
    moves = encode_boxes(boxes, start)
    np.testing.assert_allclose(decode_boxes(moves, start), boxes, atol=1e-3)
    inside = decode_boxes(moves, start, (50, 60))
    assert inside.min() >= 0
    assert (inside <= [60, 50, 60, 50]).all()
    assert np.isfinite(decode_boxes(np.full((40, 4), 1e3, np.float32), start)).all()


def test_matching() -> None:
    start = np.float32([[0, 0, 10, 10], [0, 0, 10, 6], [40, 40, 50, 50], [20, 20, 30, 30], [70, 70, 80, 80]])
    rows = np.float32([[2, 0, 0, 10, 10], [0, 38, 38, 50, 44], [data.CROWD, 68, 68, 82, 82], [-1, 0, 0, 0, 0]])
    labels, corners = match_boxes(start, rows, 0.4, 0.7)
    assert labels.tolist() == [3, -1, 1, 0, -1]  # found, between, the nearest of its object, background, a crowd
    np.testing.assert_array_equal(corners[[0, 2]], rows[:2, 1:])
    np.testing.assert_array_equal(corners[[1, 3]], start[[1, 3]])
    labels, _ = match_boxes(start, rows, 0.4, 0.7, each_object=False)
    assert labels.tolist() == [3, -1, 0, 0, -1]
    labels, _ = match_boxes(start, np.float32([[-1, 0, 0, 0, 0]]), 0.4, 0.5)
    assert not labels.any()


def test_detections_are_suppressed_by_class() -> None:
    boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10]])
    probabilities = np.float32([[0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.3, 0.01, 0.69]])
    found = best_detections(boxes, probabilities)
    assert found.classes.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [0.9, 0.69])
    assert len(found.above(0.7)) == 1
    nothing = best_detections(np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32))
    assert len(nothing) == 0


@pytest.mark.parametrize("kind", ["focal", "sampled"])
def test_gradient_of_the_anchor_loss(kind: Any) -> None:
    """Of images with objects, one with none, and one with a crowd; the losses are sums of exact gradients."""
    levels = [anchors((4, 4), 8, [8, 12], [1.0]), anchors((2, 2), 16, [16], [1.0])]
    loss = AnchorLoss(levels, kind, 0.3, 0.5, count=12)
    t = data.padded_boxes(
        [np.array([[1, 3, 4, 13, 12], [0, 14, 14, 31, 30]]), np.zeros((0, 5)), np.array([[data.CROWD, 0, 0, 16, 16]])]
    )
    outputs = [normal(3, filters, n, n, seed=filters) for filters, n in ((6, 4), (8, 4), (3, 2), (4, 2))]
    value, gradients = loss(outputs, t)
    assert value > 0
    for i, gradient in enumerate(gradients):
        assert gradient.shape == outputs[i].shape
        for at in [tuple(each) for each in np.argwhere(np.ones(gradient.shape))[:: max(gradient.size // 12, 1)]]:
            sides = []
            for step in (1e-2, -1e-2):
                moved = [each.copy() for each in outputs]
                moved[i][at] += step
                sides.append(loss(moved, t)[0])
            assert (sides[0] - sides[1]) / 2e-2 == pytest.approx(gradient[at], abs=2e-3)
    assert gradients[1].any()
    assert not gradients[1][1:].any()


@pytest.mark.parametrize("name", ["fast_rcnn", "faster_rcnn", "rcnn"])
def test_gradients_of_the_second_stage(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the feature map, and of the head's weights, where the regions stay."""
    model, parts = BUILD[name](), scenes()
    x, t = parts.train.x[:2], parts.train.t[:2]
    outputs = model.forward(x, training=True)
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    regions = model.propose(several)
    monkeypatch.setattr(model, "propose", lambda outputs: regions)
    monkeypatch.setattr(model, "first_loss", lambda outputs, t: (0.0, tuple(np.zeros_like(o) for o in outputs[1:])))
    _, gradient = model.loss(outputs, t)
    gradient = gradient[0] if isinstance(gradient, tuple) else gradient
    features = several[0]

    def value(changed: Any) -> float:
        found, _ = model.loss((changed, *several[1:]) if isinstance(outputs, tuple) else changed, t)
        return float(found)

    weights = {name: each.copy() for name, each in model.head.gradients.items() if "stage" not in name}
    biggest = np.argsort(-abs(gradient).ravel(), kind="stable")[:6]
    for at in [np.unravel_index(i, gradient.shape) for i in biggest]:
        sides = []
        for step in (3e-3, -3e-3):
            moved = features.copy()
            moved[at] += step
            sides.append(value(moved))
        assert (sides[0] - sides[1]) / 6e-3 == pytest.approx(gradient[at], abs=2e-3, rel=0.05)
    for key, slope in weights.items():
        weight = model.head.parameters[key]
        at = np.unravel_index(abs(slope).argmax(), slope.shape)
        before, sides = weight[at].copy(), []
        for step in (3e-3, -3e-3):
            weight[at] = before + step
            sides.append(value(features))
        weight[at] = before
        assert (sides[0] - sides[1]) / 6e-3 == pytest.approx(slope[at], abs=2e-3, rel=0.05), key


@pytest.mark.parametrize("name", BUILD)
def test_every_weight_learns_and_the_loss_falls(name: str) -> None:
    model, parts = BUILD[name](), scenes()
    before = {key: value.copy() for key, value in model.state.items()}
    history = train.fit(model, parts, loss=model.loss, optimizer=nn.Adam(0.01), epochs=6, batch_size=8, progress=False)
    assert history.epochs[-1].train_loss < 0.8 * history.epochs[0].train_loss
    for key, value in model.state.items():
        assert (value != before[key]).any(), key
    found = model.detect(parts.test.x)
    assert len(found) == 4
    for each in found:
        assert each.boxes.shape == (len(each), 4)
        assert (np.diff(each.scores) <= 0).all()
        assert ((each.boxes >= 0) & (each.boxes <= 33)).all()
    assert model.detect(parts.test.x[:0]) == []


@pytest.mark.parametrize("name", BUILD)
def test_images_without_objects_are_background(name: str) -> None:
    model, parts = BUILD[name](), scenes()
    nothing = data.Dataset(parts.train.x, data.padded_boxes([np.zeros((0, 5))] * 16))
    history = train.fit(model, nothing, loss=model.loss, optimizer="adam", epochs=2, batch_size=8, progress=False)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    flat = np.full((2, *SIZE), 0.5, np.float32)
    assert len(model.detect(flat)) == 2


@pytest.mark.parametrize("name", BUILD)
def test_training_that_goes_on_has_the_same_bits(name: str, tmp_path: Path) -> None:
    parts, states = scenes(), []
    for stops in ([2], [1, 2]):
        model = BUILD[name]()
        for epochs in stops:
            train.fit(
                model, parts, loss=model.loss, epochs=epochs, batch_size=8, progress=False,
                augment=data.BoxAugmentation(), checkpoint=tmp_path / f"{stops}",
            )  # fmt: skip
        states.append(model.state)
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key], err_msg=key)


@pytest.mark.parametrize("trains", [("head",), ("rpn",), ("features", "rpn"), ("features", "head")])
def test_what_is_not_trained_stays(trains: tuple[str, ...]) -> None:
    model, parts = BUILD["faster_rcnn"](), scenes()

    def part_of(name: str) -> str:
        return "head" if name.startswith("head.") else model.part_of(name)

    model.trains = trains
    before = {key: value.copy() for key, value in model.state.items()}
    assert {part_of(key) for key in model.parameters} == set(trains)
    train.fit(model, parts, loss=model.loss, epochs=2, batch_size=8, progress=False)
    averages = ("running_mean", "running_var")  # these see every batch
    changed = {key for key, value in model.state.items() if (value != before[key]).any()}
    assert {part_of(key) for key in changed if not key.endswith(averages)} == set(trains)


def test_alternating_training() -> None:
    model, parts = BUILD["faster_rcnn"](), scenes()
    before = train.evaluate(model, parts.validation, loss=model.loss).loss
    histories = fit_alternately(model, parts, optimizer=nn.Adam(0.005), epochs=2, batch_size=8, progress=False)
    assert len(histories) == 4
    assert model.trains == ("features", "rpn", "head")
    assert train.evaluate(model, parts.validation, loss=model.loss).loss < before


@pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")
@pytest.mark.parametrize("name", BUILD)
def test_on_the_gpu_as_on_the_cpu(name: str) -> None:
    parts, losses = data.scenes("boxes", 32, (8, 4, 0)), []
    for device in ("cpu", "cuda"):
        model = BUILD[name]()
        history = train.fit(
            model, parts, loss=model.loss, epochs=2, batch_size=4, progress=False, device=device  # type: ignore[arg-type]
        )  # fmt: skip
        losses.append([epoch.train_loss for epoch in history.epochs])
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)


def test_proposals() -> None:
    image = np.zeros((3, 60, 80), np.float32)
    image[:, 10:24, 20:40] = 0.8
    image[1:, 35:50, 50:64] = 0.4
    found = region_proposals(image, [14, 18], stride=2, most=40)
    truth = np.float32([[20, 10, 40, 24], [50, 35, 64, 50]])
    assert (ops.box_iou(truth, found).max(1) > 0.6).all()
    assert len(region_proposals(np.zeros((1, 20, 20), np.float32), [50])) == 0


@pytest.mark.parametrize("model", BUILD)
def test_the_command(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from PIL import Image

    small = data.scenes("boxes", count=(16, 4, 4))
    monkeypatch.setattr("dipkernels.cli.boxes.scenes", lambda *a, **k: small)
    out = tmp_path / "run"
    assert main(["train", model, "--epochs", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "16 images for training, 4 for validation, 4 for the test" in said
    assert "average precision" in said
    assert {"precision.png", "loss.png", "detections.png"} <= {path.name for path in out.iterdir()}
    assert main(["train", model, "--epochs", "2", "--out", str(out), "--resume"]) == 0
    assert "epoch   2/2" in capsys.readouterr().out
    assert main(["eval", "--weights", str(out)]) == 0
    said = capsys.readouterr().out
    assert "triangle" in said
    assert "at 0.5:0.95" in said
    Image.new("RGB", (90, 50), (200, 30, 30)).save(tmp_path / "photo.jpg")
    picture = tmp_path / "seen.png"
    assert main(["predict", str(tmp_path / "photo.jpg"), "--weights", str(out), "--out", str(picture)]) == 0
    assert "the picture is" in capsys.readouterr().out
    with Image.open(picture) as file:
        assert min(file.size) > 100
    for arguments, message in [
        (["train", model, "--data", "nowhere"], "--data must be scenes or a folder in the VOC layout"),
        (["train", model, "--validation", "3"], "--validation is for digits"),
    ]:
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


def test_a_classifier_finds_digits_on_a_canvas() -> None:
    parts = data.digits()
    canvas = {name: data.canvases(getattr(parts, name), 80, count) for name, count in (("train", 120), ("test", 15))}
    model = models.lenet5(11)
    train.fit(model, data.windows(canvas["train"], 32), epochs=6, progress=False)
    found = [sliding_window(model, image, background=data.BACKGROUND) for image in canvas["test"].x]
    assert metrics.average_precision(found, canvas["test"].t, 10).at(0.5) > 0.85
    image = canvas["test"].x[0]
    scores, step = window_scores(model, image)
    assert step == 4
    crops = np.stack([image[:, i : i + 32, j : j + 32] for i in range(0, 49, 4) for j in range(0, 49, 4)])
    np.testing.assert_allclose(scores.reshape(11, -1).T, model.forward(crops), atol=1e-4)
    twice = data.resample(image[None], 160)[0]
    larger = sliding_window(model, twice, scales=(0.1, 0.5), background=data.BACKGROUND)
    sure = larger.above(0.9).boxes / 2
    assert len(sure) >= 3
    assert (ops.box_iou(sure, found[0].boxes).max(1) > 0.7).all()
    assert len(sliding_window(model, image, scales=(0.2,))) == 0


def test_canvases_and_windows() -> None:
    parts = data.digits((8, 8))
    drawn = data.canvases(parts.train, (20, 30), 6, seed=1)
    for image, rows in zip(drawn.x[:, 0], drawn.t, strict=True):
        classes, corners = data.boxes_of(rows)
        assert len(classes) >= 1
        outside = image.copy()
        for left, top, right, bottom in corners.astype(int):
            assert (right - left, bottom - top) == (8, 8)
            outside[top:bottom, left:right] = 0
        assert not outside.any()
        overlaps = ops.box_iou(corners, corners)
        assert (overlaps - np.eye(len(corners)) < 0.5).all()
    cut = data.windows(drawn, 8, 30)
    assert cut.x.shape[1:] == (1, 8, 8)
    assert {data.BACKGROUND} < set(cut.t.tolist()) <= set(range(11))
    with pytest.raises(ValueError, match="canvases: size must be at least that of the digits, 8 × 8"):
        data.canvases(parts.train, 7)
    assert len(data.canvases(parts.train, 16, 0)) == 0
