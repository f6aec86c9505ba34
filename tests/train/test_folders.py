"""Pictures in a folder for each class: the reader, objects cut out of CamVid, AlexNet from the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, models, nn
from dipkernels.cli import main
from support.camvid import write_camvid

Image = pytest.importorskip("PIL.Image")


def write(folder: Path, count: int, colour: tuple[int, int, int]) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (20 + i, 10), colour).save(folder / f"{i}.png")


def test_one_folder_for_each_class_is_split(tmp_path: Path) -> None:
    write(tmp_path / "red", 6, (255, 0, 0))
    write(tmp_path / "blue", 4, (0, 0, 255))
    (tmp_path / "red" / "notes.txt").write_text("no picture")
    found = data.image_folders(tmp_path, (8, 9))
    assert found.classes == ("blue", "red")
    assert [len(part) for part in (found.splits.train, found.splits.validation, found.splits.test)] == [6, 2, 2]
    for part in (found.splits.train, found.splits.test):
        assert part.x.shape[1:] == (3, 8, 9)
        np.testing.assert_array_equal(part.x[:, 0].mean((1, 2)) > 0.5, part.t == 1)


def test_three_parts_stay_as_they_are(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 1), ("test", 2)):
        write(tmp_path / part / "a", count, (9, 9, 9))
        write(tmp_path / part / "b", count, (200, 9, 9))
    found = data.image_folders(tmp_path, (4, 4))
    assert [len(part) for part in (found.splits.train, found.splits.validation, found.splits.test)] == [6, 2, 4]


def test_what_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        data.image_folders(tmp_path / "nowhere", (4, 4))
    write(tmp_path / "one" / "a", 1, (0, 0, 0))
    with pytest.raises(ValueError, match="at least two classes, got a"):
        data.image_folders(tmp_path / "one", (4, 4))
    write(tmp_path / "two" / "train" / "a", 1, (0, 0, 0))
    with pytest.raises(FileNotFoundError, match="beside train there must be val and test"):
        data.image_folders(tmp_path / "two", (4, 4))
    write(tmp_path / "three" / "a", 5, (0, 0, 0))
    write(tmp_path / "three" / "b", 5, (0, 0, 0))
    (tmp_path / "three" / "b" / "broken.jpg").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="left out .*broken.jpg is no picture"):
        found = data.image_folders(tmp_path / "three", (4, 4))
    assert len(found.problems) == 1
    (tmp_path / "four" / "a").mkdir(parents=True)
    (tmp_path / "four" / "b").mkdir()
    with pytest.raises(ValueError, match="there is no picture in the folders"):
        data.image_folders(tmp_path / "four", (4, 4))


def test_objects_of_camvid(tmp_path: Path) -> None:
    mask = np.zeros((60, 80))
    mask[10:40, 20:60] = 8  # a car
    mask[50:58, 2:30] = 9  # too flat
    counts = data.camvid_objects(write_camvid(tmp_path / "camvid", mask, (60, 80)), tmp_path / "none", least=15)
    assert counts == {}  # only one of each
    root = write_camvid(tmp_path / "more", mask, (60, 80))
    for i in range(5):
        for folder, suffix in (("train", "jpg"), ("trainannot", "png")):
            (root / folder / f"{i}.{suffix}").write_bytes((root / folder / f"one.{suffix}").read_bytes())
    counts = data.camvid_objects(root, tmp_path / "objects", least=15, most=5)
    assert counts == {"car": 5, "sky": 5}
    with Image.open(tmp_path / "objects" / "train" / "car" / "0000.png") as picture:
        assert picture.size == (52, 38)  # with its margin


def test_alexnet_with_and_without_response_normalisation() -> None:
    with_norm, without = models.alexnet(5), models.alexnet(5, response_norm=False)
    assert [name for name in with_norm.order if name not in without.order] == ["norm1", "norm2"]
    assert with_norm.parameters.keys() == without.parameters.keys()
    assert with_norm.order.index("norm1") == with_norm.order.index("conv1") + 1


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from dipkernels.cli.presets import PRESETS, Preset

    def small(seed: int, shape: Any, classes: int) -> nn.Graph:
        return nn.Sequential(shape, nn.Conv2d(3, 4, 5), nn.Flatten(), nn.Linear(4 * 16, classes), seed=seed)

    monkeypatch.setitem(PRESETS, "alexnet", Preset(small, "images", (3, 8, 8), lr=0.01))
    write(tmp_path / "pictures" / "red", 12, (255, 0, 0))
    write(tmp_path / "pictures" / "blue", 8, (0, 0, 255))
    out = tmp_path / "run"
    assert main(["train", "alexnet", "--data", str(tmp_path / "pictures"), "--epochs", "5", "--out", str(out)]) == 0
    assert "test accuracy 100.00% on 4 images" in capsys.readouterr().out
    assert {"loss.png", "confusion.png", "filters.png"} <= {path.name for path in out.iterdir()}
    assert main(["eval", "--weights", str(out)]) == 0
    assert "blue" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "pictures" / "red" / "0.png"), "--weights", str(out)]) == 0
    assert capsys.readouterr().out.startswith("red ")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "alexnet", "--data", "nowhere"]) == 2
    assert "--data must be a folder with a folder of pictures for each class; got" in capsys.readouterr().err
    assert main(["train", "alexnet"]) == 2
    assert "for each class; none was given" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
