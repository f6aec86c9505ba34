"""Data with masks, their augmentation and scores, and training on them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, metrics, models, nn, ops, train
from dipkernels.cli import main
from support.camvid import write_camvid
from support.device_ops import DEVICE

CAMVID = Path(__file__).parents[3] / "shared" / "data" / "camvid"


def test_scenes_are_the_same_on_every_run_and_masks_have_their_boxes() -> None:
    masks, again, boxes = (data.scenes(kind, count=(12, 3, 3), seed=5) for kind in ("masks", "masks", "boxes"))  # type: ignore[arg-type]
    np.testing.assert_array_equal(masks.train.x, again.train.x)
    np.testing.assert_array_equal(masks.train.x, boxes.train.x)
    assert set(np.unique(masks.train.t)) == set(range(5))
    for mask, rows in zip(masks.train.t, boxes.train.t, strict=True):
        classes, corners = data.boxes_of(rows)
        assert len(classes) >= 1
        inside = np.zeros(mask.shape, bool)
        for label, (left, top, right, bottom) in zip(classes, corners.astype(int), strict=True):
            part = mask[top:bottom, left:right]
            assert (part == label + 1).any()
            for edge in (part[0], part[-1], part[:, 0], part[:, -1]):  # the box is exact
                assert (edge == label + 1).any()
            inside[top:bottom, left:right] = True
        assert not mask[~inside].any()


def test_scenes_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        data.scenes(size=20)
    with pytest.raises(ValueError, match="count must be a list of 3"):
        data.scenes(count=(1, 2))
    assert data.scenes(count=(0, 0, 1)).train.x.shape == (0, 3, 64, 64)


def test_camvid_is_read(tmp_path: Path) -> None:
    mask = np.zeros((8, 6))
    mask[0, 0], mask[7, 5] = 11, 3
    parts = data.camvid(write_camvid(tmp_path, mask))
    assert parts.train.x.shape == (1, 3, 8, 6)
    np.testing.assert_allclose(parts.test.x[0].mean((1, 2)), [1, 0, 0.2], atol=0.02)
    np.testing.assert_array_equal(parts.validation.t[0], mask)


@pytest.mark.parametrize(
    ("mask", "message"),
    [(np.full((8, 6), 12), "has the class 12"), (np.zeros((8, 5)), "must be of the size of its image"),
     (np.zeros((8, 6, 3)), "one number a pixel")],
)  # fmt: skip
def test_wrong_masks(mask: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        data.camvid(write_camvid(tmp_path, mask))


def test_missing_folders_and_masks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        data.camvid(tmp_path)
    root = write_camvid(tmp_path / "c", np.zeros((8, 6)))
    (root / "valannot" / "one.png").unlink()
    with pytest.raises(FileNotFoundError, match="there is no picture"):
        data.camvid(root)


def test_masks_move_with_their_images() -> None:
    """An image that is its own mask stays so."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 2, (6, 20, 30)).repeat(3, 1).repeat(3, 2).astype(np.uint8)
    x = t[:, None].astype(np.float32)
    augment = data.MaskAugmentation(light=0, outside=9)
    images, masks = augment.with_targets(np.random.default_rng(1), x, t)
    assert (masks != t).any()
    assert (masks == 9).any()
    sure = (masks != 9) & ((images[:, 0] < 0.01) | (images[:, 0] > 0.99))
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(images[:, 0][sure] > 0.5, masks[sure] == 1)


def test_scores() -> None:
    t = np.array([[0, 0, 1], [2, 2, 9]])
    predictions = np.array([[0, 1, 1], [2, 0, 7]])
    confusion = metrics.confusion_matrix(t, predictions, 4, ignore_index=9)
    np.testing.assert_array_equal(confusion, [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    scores = metrics.segmentation_scores(confusion)
    np.testing.assert_allclose(scores.iou, [1 / 3, 1 / 2, 1 / 2, np.nan])
    assert scores.mean_iou == pytest.approx(4 / 9)
    assert scores.pixel_accuracy == pytest.approx(3 / 5)
    with pytest.raises(IndexError, match="t must be classes from 0 to 3, got 9"):
        metrics.confusion_matrix(t, predictions, 4)
    with pytest.raises(ValueError, match="one shape"):
        metrics.confusion_matrix(t, predictions[:1], 4)
    with pytest.raises(TypeError, match="integers"):
        metrics.confusion_matrix(t.astype(float), predictions, 4)
    nothing = metrics.segmentation_scores(np.zeros((2, 2), np.int64))
    assert np.isnan([nothing.mean_iou, nothing.pixel_accuracy]).all()


def fit(model: nn.Graph, device: Any = "cpu", epochs: int = 2) -> train.History:
    parts = data.scenes(size=32, count=(20, 8, 8))
    parts.train.t[:, :, :5] = 5  # not labelled
    loss = functools.partial(ops.cross_entropy_with_grad, weight=np.float32([0.5, 1, 1, 1, 2]), ignore_index=5)
    return train.fit(
        model,
        parts,
        loss=loss,
        epochs=epochs,
        batch_size=8,
        augment=data.MaskAugmentation(outside=5),
        device=device,
        progress=False,
    )


def test_the_loss_of_an_epoch_is_a_mean_over_the_pixels_that_count() -> None:
    model = models.segnet(5, (3, 32, 32), channels=(4, 8))
    history = fit(model)
    assert [epoch.train_accuracy is not None for epoch in history.epochs] == [True, True]
    parts = data.scenes(size=32, count=(2, 8, 8))
    by_hand = metrics.confusion_matrix(parts.validation.t, model.forward(parts.validation.x).argmax(1), 5)
    result = train.evaluate(model, parts.validation)
    assert result.accuracy == pytest.approx(np.trace(by_hand) / by_hand.sum())
    assert np.shape(result.predictions) == parts.validation.t.shape


@pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")
@pytest.mark.parametrize("build", [models.segnet, models.fcn])
def test_on_the_gpu_as_on_the_cpu(build: Any) -> None:
    networks = [build(5, (3, 32, 32), channels=(4, 8)) for _ in range(2)]
    one, two = (fit(model, device) for model, device in zip(networks, ("cpu", "cuda"), strict=True))
    for a, b in zip(one.epochs, two.epochs, strict=True):
        assert b.train_loss == pytest.approx(a.train_loss, rel=2e-3)
        assert b.validation_loss == pytest.approx(a.validation_loss, rel=2e-2)


@pytest.mark.parametrize("model", ["fcn", "segnet"])
def test_the_command(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from PIL import Image

    small = data.scenes(count=(24, 4, 4))
    monkeypatch.setattr("dipkernels.cli.masks.scenes", lambda *a, **k: small)
    out = tmp_path / "run"
    assert main(["train", model, "--epochs", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "24 images for training, 4 for validation, 4 for the test" in said
    assert "mean IoU 0." in said
    names = {"iou.png", "loss.png", "segmentation.png"}
    assert names <= {path.name for path in out.iterdir()}
    assert main(["train", model, "--epochs", "2", "--out", str(out), "--resume"]) == 0
    assert "epoch   2/2" in capsys.readouterr().out
    assert main(["eval", "--weights", str(out)]) == 0
    said = capsys.readouterr().out
    for word in ("triangle", "mean IoU"):
        assert word in said
    Image.new("RGB", (90, 50), (200, 30, 30)).save(tmp_path / "photo.jpg")
    picture = tmp_path / "seen.png"
    assert main(["predict", str(tmp_path / "photo.jpg"), "--weights", str(out), "--out", str(picture)]) == 0
    assert "the picture is" in capsys.readouterr().out
    with Image.open(picture) as file:
        assert min(file.size) > 100
    for arguments, message in [
        (["train", model, "--data", "nowhere"], "--data must be scenes or a folder with CamVid"),
        (["train", model, "--validation", "3"], "--validation is for digits"),
        (["predict", "nothing.jpg", "--weights", str(out)], "there is no picture"),
    ]:
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


@pytest.mark.skipif(not CAMVID.is_dir(), reason="CamVid is not there; the tests above have small pictures of their own")
def test_the_real_camvid() -> None:
    parts = data.camvid(CAMVID)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [367, 101, 233]
    weights = data.class_weights(parts.train.t, 11)
    assert np.median(weights) == pytest.approx(1)
