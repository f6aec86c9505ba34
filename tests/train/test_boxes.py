"""Data with boxes, their augmentation, and average precision."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, metrics
from dipkernels.detection import Detections

BCCD = Path(__file__).parents[3] / "shared" / "data" / "bccd"

OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def write_voc(root: Path, objects: list[tuple[Any, ...]], size: tuple[int, int] = (40, 20)) -> Path:
    """One image (width, height) in each part; objects are (name, xmin, ymin, xmax, ymax, difficult)."""
    from PIL import Image

    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for part in ("train", "val", "test"):
        (root / "ImageSets" / "Main" / f"{part}.txt").write_text(f"{part}1\n\n")
        Image.new("RGB", size, (255, 0, 51)).save(root / "JPEGImages" / f"{part}1.jpg")
        text = "".join(OBJECT.format(*box, name=name, difficult=difficult) for name, *box, difficult in objects)
        (root / "Annotations" / f"{part}1.xml").write_text(f"<annotation>{text}</annotation>")
    return root


def test_voc_counts_from_one_and_includes_the_last_pixel(tmp_path: Path) -> None:
    root = write_voc(tmp_path, [("cat", 1, 1, 40, 20, 0), ("bird", 11, 6, 20, 10, 1), ("bird", 11, 6, 20, 10, 0)])
    found = data.voc(root, (10, 40))
    assert found.classes == ("bird", "cat")
    assert found.problems == ()
    assert found.splits.train.x.shape == (1, 3, 10, 40)
    expected = [[1, 0, 0, 40, 10], [data.CROWD, 10, 2.5, 20, 5], [0, 10, 2.5, 20, 5]]
    np.testing.assert_array_equal(found.splits.test.t[0], expected)


def test_wrong_annotations_are_left_out_and_said(tmp_path: Path) -> None:
    root = write_voc(
        tmp_path,
        [
            ("cat", 5, 5, 5, 9, 0),
            ("cat", 9, 5, 5, 9, 0),
            ("cat", 50, 5, 60, 9, 0),
            ("cat", "", 5, 60, 9, 0),
            ("cat", "nan", 5, 60, 9, 0),
            ("dog", 1, 1, 5, 5, 0),
            ("cat", -3, 15, 9, 90, 0),
        ],
    )
    with pytest.warns(UserWarning, match=r"voc: left out cat in train1: its box .* is empty.* and 15 more"):
        found = data.voc(root, (20, 40), ("cat",))
    assert len(found.problems) == 18
    assert sum("no four numbers" in each for each in found.problems) == 6
    assert sum("its class is none of cat" in each for each in found.problems) == 3
    np.testing.assert_array_equal(found.splits.train.t, [[[0, 0, 14, 9, 20]]])


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*JPEGImages"):
        data.voc(tmp_path, (8, 8))
    root = write_voc(tmp_path / "a", [("cat", 1, 1, 5, 5, 0)])
    (root / "JPEGImages" / "val1.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no image .*val1.jpg"):
        data.voc(root, (8, 8))
    (root / "Annotations" / "test1.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"test1.xml is no XML"):
        data.voc(root, (8, 8))
    (root / "Annotations" / "test1.xml").unlink()
    with pytest.raises(FileNotFoundError, match="there is no annotation"):
        data.voc(root, (8, 8))
    (root / "ImageSets" / "Main" / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*val.txt"):
        data.voc(root, (8, 8))
    with pytest.raises(ValueError, match="there is no object"):
        data.voc(write_voc(tmp_path / "b", []), (8, 8))


def test_padded_boxes_refuse_more_than_they_have_room_for() -> None:
    with pytest.raises(ValueError, match="an image has 3 boxes, more than 2"):
        data.padded_boxes([np.zeros((3, 5))], 2)
    assert data.padded_boxes([]).shape == (0, 1, 5)


def test_boxes_move_with_their_images() -> None:
    """The box of a bright block is found again in the picture."""
    parts = data.scenes("boxes", 48, (40, 0, 0)).train
    x = np.zeros((40, 1, 48, 48), np.float32)
    for image, rows in zip(x, parts.t, strict=True):
        rows[1:, 0] = data.NO_OBJECT
        _, x1, y1, x2, y2 = rows[0].astype(int)
        image[0, y1:y2, x1:x2] = 1
    images, boxes = data.BoxAugmentation(light=0, upside_down=True).with_targets(np.random.default_rng(0), x, parts.t)
    seen = 0
    for image, rows in zip(images[:, 0], boxes, strict=True):
        if rows[0, 0] in (data.CROWD, data.NO_OBJECT):
            continue
        bright = np.argwhere(image > 0.5)
        found = [*bright.min(0)[::-1], *(bright.max(0)[::-1] + 1)]
        np.testing.assert_allclose(rows[0, 1:], found, atol=1.1)
        seen += 1
    assert seen > 25


def test_what_leaves_the_image_is_a_crowd_and_then_nothing() -> None:
    rows = np.float32([[[1, 0, 0, 10, 10], [1, 20, 20, 30, 30], [1, 38, 38, 40, 40], [data.NO_OBJECT, 0, 0, 0, 0]]])
    augment = data.BoxAugmentation()
    augment._move(rows[0], np.array([1.0, 1.0]), np.array([-7.0, -4.0]), np.array([40, 40]))
    assert rows[0, :, 0].tolist() == [data.CROWD, 1, 1, data.NO_OBJECT]
    np.testing.assert_array_equal(rows[0, 0, 1:], [0, 0, 6, 3])
    augment._move(rows[0], np.array([1.0, 1.0]), np.array([-20.0, 0.0]), np.array([40, 40]))
    assert rows[0, 0].tolist() == [data.NO_OBJECT, 0, 0, 0, 0]
    assert not rows[0, 3, 1:].any()


def random_detections(images: int = 30) -> tuple[list[Detections], Any]:
    """Near objects and far from them, with equal scores, crowds, and images without either."""
    rng = np.random.default_rng(0)
    found, objects = [], []
    for _ in range(images):
        count, more = rng.integers(0, 9), rng.integers(0, 14)
        corner, side = rng.uniform(0, 80, (count, 2)), rng.uniform(4, 30, (count, 2))
        classes = rng.integers(0, 3, count).astype(float)
        classes[rng.random(count) < 0.15] = data.CROWD
        boxes = np.concatenate([corner, corner + side], 1)
        objects.append(np.concatenate([classes[:, None], boxes], 1))
        chosen = rng.integers(0, max(count, 1), more)
        near = boxes[chosen] + rng.normal(0, 2.5, (more, 4)) if count else rng.uniform(0, 50, (more, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        right = np.maximum(classes[chosen], 0) if count else np.zeros(more)
        labels = np.where(rng.random(more) < 0.7, right, rng.integers(0, 3, more)).astype(np.int64)
        scores = np.round(rng.random(more), 1).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        found.append(Detections(near[order].astype(np.float32), scores[order], labels[order]))
    return found, data.padded_boxes(objects)


def test_average_precision_is_that_of_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    found, t = random_detections()
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for i, (rows, each) in enumerate(zip(t, found, strict=True)):
        for label, corners in zip(*data.boxes_of(rows), strict=True):
            x1, y1, x2, y2 = corners.astype(float).tolist()
            for c in range(3) if label == data.CROWD else [int(label)]:
                box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                crowd = int(label == data.CROWD)
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": i, "category_id": c, "iscrowd": crowd, **box}
                )
        for (x1, y1, x2, y2), score, c in zip(each.boxes.astype(float), each.scores, each.classes, strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": float(score)}
            results.append({"image_id": i, "category_id": int(c), **box})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "info": {}, "images": [{"id": i} for i in range(len(t))],
            "annotations": annotations, "categories": [{"id": c} for c in range(3)],
        }  # fmt: skip
        truth.createIndex()
        judge = evaluation.COCOeval(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    scores = metrics.average_precision(found, t, 3)
    np.testing.assert_allclose(scores.by_class, judge.eval["precision"][:, :, :, 0, 2].mean(1), atol=1e-12)
    assert scores.mean == pytest.approx(judge.stats[0])
    assert scores.at(0.5) == pytest.approx(judge.stats[1])


def test_average_precision_by_hand() -> None:
    boxes = np.float32([[0, 0, 10, 10], [20, 20, 30, 30], [0, 1, 10, 11]])
    t = data.padded_boxes([np.array([[0, 0, 0, 10, 10], [0, 50, 50, 60, 60]])])
    found = Detections(boxes, np.float32([0.9, 0.8, 0.7]), np.zeros(3, np.int64))
    scores = metrics.average_precision([found], t, 2)
    assert scores.by_class[0, 0] == pytest.approx(51 / 101)  # half of the objects, at precision 1
    assert np.isnan(scores.by_class[:, 1]).all()
    assert scores.at(0.5) == scores.by_class[0, 0]
    with pytest.raises(ValueError, match="iou must be one of"):
        scores.at(0.3)
    with pytest.raises(ValueError, match="detections of 1 images, but t of 2"):
        metrics.average_precision([found], np.concatenate([t, t]), 1)
    nothing = metrics.average_precision([found], data.padded_boxes([np.zeros((0, 5))]), 1)
    assert np.isnan(nothing.mean)


@pytest.mark.skipif(not BCCD.is_dir(), reason="BCCD is not there; the tests above have small pictures of their own")
def test_the_real_blood_cells() -> None:
    with pytest.warns(UserWarning, match="BloodImage_00343"):
        found = data.voc(BCCD, (60, 80))
    assert found.classes == ("Platelets", "RBC", "WBC")
    assert len(found.problems) == 2
    assert [len(part) for part in (found.splits.train, found.splits.validation, found.splits.test)] == [205, 87, 72]
