"""Denoising, registration, tracking and instance segmentation: small models, their data and their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, metrics, models, nn, ops, train, viz
from dipkernels.cli import main
from dipkernels.detection import Detections, MaskRCNN, track
from dipkernels.detection.mask_rcnn import paste
from support.device_ops import DEVICE


def test_psnr_and_ssim() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((3, 2, 20, 24))
    assert np.isinf(metrics.psnr(image, image)).all()
    np.testing.assert_allclose(metrics.psnr(image + 0.01, image), 40)
    np.testing.assert_allclose(metrics.psnr(255 * image + 2.55, 255 * image, 255), 40)
    np.testing.assert_allclose(metrics.ssim(image, image), 1)
    worse = [metrics.ssim(image + s * rng.standard_normal(image.shape), image).mean() for s in (0.05, 0.2, 0.8)]
    assert 1 > worse[0] > worse[1] > worse[2] > 0
    assert metrics.ssim(1 - image, image).max() < 0
    for wrong in ((image, image[:1]), (image[0], image[0])):
        with pytest.raises(ValueError, match="x and target must have one shape"):
            metrics.psnr(*wrong)
    with pytest.raises(ValueError, match="at least 11 × 11, got 5 × 24"):
        metrics.ssim(image[:, :, :5], image[:, :, :5])


def test_ssim_is_that_of_skimage() -> None:
    skimage = pytest.importorskip("skimage.metrics")
    a, b = np.random.default_rng(1).random((2, 40, 30))
    expected = skimage.structural_similarity(
        a, b, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    np.testing.assert_allclose(metrics.ssim(a[None, None], b[None, None]), expected, rtol=1e-6)


def test_a_denoiser_learns() -> None:
    parts = data.scenes(size=32, count=(64, 8, 16), noise=0)
    noisy, test = data.noisy(parts.train.x), data.noisy(parts.test.x, seed=2)
    np.testing.assert_allclose(metrics.psnr(test.x, test.t).mean(), 20, atol=0.2)
    model = models.dncnn((3, 32, 32), depth=4, width=12)
    train.fit(
        model, noisy, loss="mse", optimizer=nn.Adam(0.003), epochs=40, batch_size=16, progress=False,
        augment=data.NoiseAugmentation(),
    )  # fmt: skip
    clean = train.predict(model, test.x)
    assert metrics.psnr(clean, test.t).mean() > 24
    assert (metrics.ssim(clean, test.t) > metrics.ssim(test.x, test.t)).all()
    with pytest.raises(ValueError, match="dncnn: depth must be at least 2, got 1"):
        models.dncnn(depth=1)


def waves(count: int, height: int, width: int) -> Any:
    """Smooth images (count, 1, height, width)."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([np.sin(x / 5 + k) + np.cos(y / 4 - k * x / 20) for k in range(count)])[:, None].astype(np.float32)


def test_maps_are_composed_and_undone() -> None:
    rng = np.random.default_rng(0)
    a, b = (data.random_affine(rng, 3).astype(np.float32) for _ in range(2))
    smooth = waves(3, 40, 40)
    twice = ops.warp(ops.warp(smooth, ops.affine_flow(a, (40, 40))), ops.affine_flow(b, (40, 40)))
    once = ops.warp(smooth, ops.affine_flow(models.compose(a, b), (40, 40)))
    np.testing.assert_allclose(twice[:, :, 10:30, 10:30], once[:, :, 10:30, 10:30], atol=0.03)
    other = ops.warp(smooth, ops.affine_flow(models.compose(b, a), (40, 40)))
    assert abs(twice - other)[:, :, 10:30, 10:30].max() > 0.05
    inverse = np.linalg.inv(np.concatenate([a, np.tile(np.float32([[[0, 0, 1]]]), (3, 1, 1))], 1))[:, :2]
    np.testing.assert_allclose(models.corner_error(inverse, a, (40, 40)), 0, atol=1e-4)
    shift = np.float32([[[1, 0, 3], [0, 1, 4]]])
    identity = np.eye(2, 3, dtype=np.float32)[None]
    np.testing.assert_allclose(models.corner_error(identity, shift, (9, 9)), 5)


def test_gradient_of_the_registration_loss() -> None:
    model = models.RegistrationNet((1, 40, 36), margin=8, width=2)
    images = waves(3, 40, 36)
    pairs = np.concatenate([0.7 * images[1:], images[:2]], 1)
    outputs = 0.3 * normal(2, 6)
    _, gradient = model.loss(outputs, pairs)
    for at in np.ndindex(2, 6):
        sides = []
        for step in (3e-3, -3e-3):
            moved = outputs.copy()
            moved[at] += step
            sides.append(model.loss(moved, pairs)[0])
        assert (sides[0] - sides[1]) / 6e-3 == pytest.approx(gradient[at], abs=5e-4, rel=0.02)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_registration_learns_without_being_told(device: Any) -> None:
    if device == "cuda" and DEVICE == "cpu":
        pytest.skip("runs where DIPKERNELS_DEVICE is cuda or emulated")
    small = data.PairAugmentation(degrees=5, shift=3)
    shifted = [
        ops.warp(waves(8, 64, 64), ops.affine_flow(small.maps(np.random.default_rng(k), 8), (64, 64))) for k in range(6)
    ]
    pairs, _ = data.moved_pairs(np.concatenate(shifted), small)
    model = models.RegistrationNet((1, 64, 64), margin=16, width=6)
    epochs, size = (30, 12) if device == "cpu" else (1, 24)
    history = train.fit(
        model, pairs, pairs, loss=model.loss, optimizer=nn.Adam(0.003), epochs=epochs, batch_size=size,
        augment=small, device=device, progress=False,
    )  # fmt: skip
    assert np.isfinite(history.epochs[-1].train_loss)
    if device != "cpu":
        return
    test, maps = data.moved_pairs(np.concatenate(shifted), small, seed=1)
    identity = np.broadcast_to(np.eye(2, 3, dtype=np.float32), maps.shape)
    before, after = (models.corner_error(each, maps, (32, 32)).mean() for each in (identity, model.align(test)))
    assert after < 0.6 * before
    with pytest.raises(ValueError, match="margin must leave at least 16 × 16"):
        models.RegistrationNet((1, 30, 64), margin=8)


def detections(boxes: Any, classes: Any = None) -> Detections:
    array = np.float32(boxes).reshape(-1, 4)
    labels = np.zeros(len(array), np.int64) if classes is None else np.int64(classes)
    return Detections(array, np.ones(len(array), np.float32), labels)


def test_tracks_cross_and_are_lost_for_a_while() -> None:
    """Two boxes of one class pass each other; a third of another class comes with one of them, and is hidden twice."""
    frames, expected = [], []
    for i in range(12):
        boxes = [[4 * i, 0, 4 * i + 12, 10], [44 - 4 * i, 3, 56 - 4 * i, 13], [4 * i, 1, 4 * i + 12, 11]]
        seen = [0, 1] if i in (5, 6) else [0, 1, 2]
        frames.append(detections([boxes[k] for k in seen], [[0, 0, 1][k] for k in seen]))
        expected.append(seen)
    assert [each.tolist() for each in track(frames)] == expected
    late = track([frames[0], *[detections([])] * 5, frames[0]])
    assert late[-1].tolist() == [3, 4, 5]  # gone for too long
    assert track([]) == []


def test_tracking_scores() -> None:
    boxes = [np.float32([[0, 0, 10, 10], [20, 20, 30, 30]])] * 4
    true = [np.int64([7, 8])] * 4
    perfect = metrics.tracking_scores(boxes, [np.int64([0, 1])] * 4, boxes, true)
    assert (perfect.mota, perfect.idf1, perfect.switches) == (1.0, 1.0, 0)
    switched = metrics.tracking_scores(boxes, [np.int64(n) for n in ([0, 1], [0, 1], [1, 0], [1, 0])], boxes, true)
    assert (switched.switches, switched.missed, switched.wrong) == (2, 0, 0)
    assert switched.mota == pytest.approx(1 - 2 / 8)
    assert switched.idf1 == pytest.approx(4 / 8)
    half = metrics.tracking_scores([each[:1] for each in boxes], [np.int64([0])] * 4, boxes, true)
    assert (half.missed, half.mota, half.idf1) == (4, 0.5, pytest.approx(2 * 4 / 12))
    far = metrics.tracking_scores([each + 100 for each in boxes], true, boxes, true)
    assert (far.missed, far.wrong, far.mota, far.idf1) == (8, 8, -1.0, 0.0)
    nothing = metrics.tracking_scores([], [], [], [])
    assert np.isnan([nothing.mota, nothing.idf1]).all()
    with pytest.raises(ValueError, match="as many frames, got 1, 0, 0 and 0"):
        metrics.tracking_scores(boxes[:1], [], [], [])


def test_films_have_boxes_that_move_steadily() -> None:
    drawn, again = data.film(20, objects=2, seed=3), data.film(20, objects=2, seed=3)
    np.testing.assert_array_equal(drawn.x, again.x)
    assert drawn.x.shape == (20, 3, 64, 64)
    steps = np.diff(np.stack(drawn.boxes), axis=0)
    assert (abs(steps) <= 3).all()
    assert (abs(steps) > 0).any((0, 2)).all()
    found = track([Detections(b, np.ones(2, np.float32), c) for b, c in zip(drawn.boxes, drawn.classes, strict=True)])
    scores = metrics.tracking_scores(drawn.boxes, found, drawn.boxes, drawn.numbers)
    assert scores.mota == 1.0


def mask_model() -> MaskRCNN:
    return MaskRCNN(4, (3, 32, 32), channels=(4, 6), sizes=(8, 14), proposals=20, regions=12, bins=3, width=8, seed=3)


def test_masks_are_pasted_where_they_belong() -> None:
    parts = data.scenes("instances", 48, (6, 0, 0)).train
    masks = data.scenes("masks", 48, (6, 0, 0)).train.t
    for rows, mask in zip(parts.t, masks, strict=True):
        classes, corners = data.boxes_of(rows[:, :5])
        pasted = paste(rows[: len(classes), 5:].reshape(-1, 28, 28), corners, (48, 48))
        exact = np.zeros_like(pasted)
        for own, label, (x1, y1, x2, y2) in zip(exact, classes, corners.astype(int), strict=True):
            own[y1:y2, x1:x2] = mask[y1:y2, x1:x2] == label + 1
        assert (np.diag(metrics.mask_iou(pasted, exact)) > 0.85).all()
    assert not paste(np.ones((1, 28, 28), np.float32), np.float32([[5, 5, 5, 9]]), (10, 10)).any()
    assert metrics.mask_iou(np.zeros((0, 3, 3), bool), np.zeros((2, 3, 3), bool)).shape == (0, 2)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_mask_head_learns(device: Any) -> None:
    if device == "cuda" and DEVICE == "cpu":
        pytest.skip("runs where DIPKERNELS_DEVICE is cuda or emulated")
    parts = data.scenes("instances", 32, (16, 4, 4))
    model = mask_model()
    before = {key: value.copy() for key, value in model.state.items()}
    epochs, size = (6, 8) if device == "cpu" else (1, 16)
    history = train.fit(
        model, parts, loss=model.loss, optimizer=nn.Adam(0.01), epochs=epochs, batch_size=size, device=device,
        progress=False,
    )  # fmt: skip
    if device == "cpu":
        assert history.epochs[-1].train_loss < 0.8 * history.epochs[0].train_loss
    for key, value in model.state.items():
        assert (value != before[key]).any(), key
    found = model.segment(parts.test.x)
    assert [each.masks.shape for each in found] == [(len(each.found), 32, 32) for each in found]
    assert model.segment(parts.test.x[:0]) == []


def test_gradient_of_the_mask_head(monkeypatch: pytest.MonkeyPatch) -> None:
    model, parts = mask_model(), data.scenes("instances", 32, (2, 0, 0))
    outputs = model.forward(parts.train.x, training=True)
    regions = model.propose(outputs)
    labels = [data.boxes_of(rows[:, :5])[1] for rows in parts.train.t]
    chosen = [np.concatenate([own, own + np.float32(0.7)]) for own in labels]  # the objects, and a little beside
    arguments = np.ones(sum(map(len, chosen)), np.int64), np.concatenate([np.tile(own, (2, 1)) for own in labels])
    assert len(regions) == 2
    features = outputs[0]

    def value(of: Any) -> tuple[float, Any]:
        return model.more_losses(of, chosen, *arguments, parts.train.t)

    _, gradient = value(features)
    for i in np.argsort(-abs(gradient).ravel(), kind="stable")[:6]:
        at, sides = np.unravel_index(i, gradient.shape), []
        for step in (1e-2, -1e-2):
            moved = features.copy()
            moved[at] += step
            sides.append(value(moved)[0])
        assert (sides[0] - sides[1]) / 2e-2 == pytest.approx(gradient[at], rel=0.05, abs=1e-5)


def test_pictures(tmp_path: Any) -> None:
    Image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    parts = data.scenes("instances", 32, (2, 2, 2))
    model = mask_model()
    drawn = data.film(9, 32, objects=2)
    found = [Detections(b, np.ones(2, np.float32), c) for b, c in zip(drawn.boxes, drawn.classes, strict=True)]
    grey = parts.test.x.mean(1, keepdims=True)
    figures = {
        "sides": viz.side_by_side({"noisy": parts.test.x, "over": viz.overlaid(grey, grey)}, {"over": ["a", "b"]}),
        "instances": viz.instances(parts.test.x, model.segment(parts.test.x), data.SCENE_OBJECTS, score=0.1),
        "tracks": viz.tracks(drawn.x, found, track(found), most=5),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 100
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


@pytest.mark.parametrize(
    ("model", "module", "says", "picture"),
    [
        ("dncnn", "denoising", "dB, SSIM", "denoised.png"),
        ("registration", "alignment", "pixels wrong", "registration.png"),
        ("mask_rcnn", "instances", "average precision of masks", "instances.png"),
    ],
)
def test_the_command(
    model: str, module: str, says: str, picture: str, tmp_path: Any, capsys: Any, monkeypatch: Any
) -> None:
    from PIL import Image

    monkeypatch.setattr(
        f"dipkernels.cli.{module}.scenes",
        lambda targets="masks", size=64, seed=0, noise=0.03: data.scenes(targets, size, (16, 4, 4), noise=noise),
    )
    out = tmp_path / "run"
    assert main(["train", model, "--epochs", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert says in said
    assert "16 images for training" in said
    assert picture in {path.name for path in out.iterdir()}
    assert main(["train", model, "--epochs", "2", "--out", str(out), "--resume"]) == 0
    assert main(["eval", "--weights", str(out)]) == 0
    assert says in capsys.readouterr().out
    Image.new("RGB", (90, 50), (200, 30, 30)).save(tmp_path / "photo.jpg")
    seen = ["predict", str(tmp_path / "photo.jpg"), "--weights", str(out), "--out", str(tmp_path / "seen.png")]
    if model == "registration":
        assert main(seen) == 2
        assert "two images" in capsys.readouterr().err
    else:
        assert main(seen) == 0
        assert "the picture is" in capsys.readouterr().out
        assert (tmp_path / "seen.png").is_file()
    assert main(["train", model, "--data", "nowhere"]) == 2
    assert "--data must be scenes for this model" in capsys.readouterr().err
