"""`dipkernels study`, training on clips by the command, and completion; with little data and few epochs."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, models, train, viz
from dipkernels.cli import main, study_focal, study_fusion, study_motion
from dipkernels.cli.studies import STUDIES, Findings, markdown, table

few_clips = functools.partial(data.moving_digits, count=(40, 8, 16))


def _with_count(count: tuple[int, int, int], *args: Any, **options: Any) -> data.Splits:
    return data.moving_digits(*args, **{**options, "count": count})


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study_fusion, "moving_digits", few_clips)
    monkeypatch.setattr(
        study_motion,
        "moving_digits",
        lambda *args, **options: data.moving_digits(*args, **{**options, "count": (16, 4, 8)}),
    )
    monkeypatch.setattr(study_focal, "_SEEDS", 1)
    monkeypatch.setattr("dipkernels.cli.study_scenes.scenes", functools.partial(data.scenes, count=(16, 4, 8)))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_leaves_a_table_and_pictures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "ranks" and (shutil.which("mpirun") is None or not _has_mpi()):
        pytest.skip("there is no mpirun here, or no mpi4py")
    assert main(["study", name, "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    folder = Path("studies") / name
    assert f"{name}.md" in said
    written = (folder / f"{name}.md").read_text()
    assert written.startswith("| ")
    assert f"![{name}.png]({name}.png)" in written
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    rows = [line for line in written.splitlines() if line.startswith("|")]
    assert len(rows) >= 5  # heads, rule, and at least three ways
    assert max(len(line) for line in said.splitlines() if "  " in line and "/" not in line) <= 120


def _has_mpi() -> bool:
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        return False
    return True


def test_wrong_studies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "nothing"]) == 2
    assert main(["study", "focal", "--data", "somewhere"]) == 2
    assert "--data is for the study scenes" in capsys.readouterr().err
    assert main(["study", "scenes", "--data", "nowhere"]) == 2
    assert main(["study", "fusion", "--epochs", "0"]) == 2


def test_tables() -> None:
    found = Findings(("way", "right"), [("one", "5 %"), ("another", "100 %")], "So it is.", {})
    expected = ["way      right", "--------------", "one        5 %", "another  100 %"]
    assert table(found.heads, found.rows).splitlines() == expected
    assert markdown(found).splitlines()[:3] == ["| way | right |", "| --- | ---: |", "| one | 5 % |"]


def gif(path: Path, shade: int) -> None:
    image = pytest.importorskip("PIL.Image")
    frames = [image.fromarray(np.full((16, 16, 3), shade + 5 * i, np.uint8)) for i in range(4)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)


def test_clips_are_trained_judged_and_predicted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dipkernels.cli.clips.moving_digits", few_clips)
    assert main(["train", "early_fusion", "--epochs", "1", "--out", "run"]) == 0
    said = capsys.readouterr().out
    assert "right: digit" in said
    assert Path("run/clips.png").exists()
    assert main(["eval", "--weights", "run"]) == 0
    assert "direction" in capsys.readouterr().out
    gif(Path("clip.gif"), 100)
    assert main(["predict", "clip.gif", "--weights", "run"]) == 0
    said = capsys.readouterr().out
    assert "digit:" in said
    assert "direction:" in said
    assert Path("clip-early_fusion.png").exists()
    assert main(["train", "slow_fusion", "--data", "nowhere"]) == 2
    assert "--data must be moving_digits, or a folder" in capsys.readouterr().err
    # A folder of classes.
    for name, shade in (("dark", 20), ("light", 200)):
        Path("clips", name).mkdir(parents=True)
        for i in range(6):
            gif(Path("clips", name, f"{i}.gif"), shade + i)
    assert main(["train", "c3d", "--data", "clips", "--epochs", "2", "--out", "own"]) == 0
    assert "right: class" in capsys.readouterr().out
    assert main(["predict", "clips/dark/0.gif", "--weights", "own"]) == 0
    assert "dark" in capsys.readouterr().out


def test_completion(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert "slow_fusion" in script
    assert "--batch-size" in script
    assert main(["completion", "cmd"]) == 2


PICTURES: dict[str, Callable[[], Any]] = {
    "score_bars": lambda: viz.score_bars({"a": [0.5, 1.0], "b": [0.1, 0.2]}, ["x", "y"], {"y": 0.5}),
    "film_strips": lambda: viz.film_strips(np.zeros((2, 1, 3, 4, 4), np.float32), ["a", "b"]),
    "velocities": lambda: viz.velocities(np.zeros((2, 8, 8)), _targets(), np.ones((2, 2, 8, 8))),
    "forgetting": lambda: viz.forgetting(
        train.ScheduledTraining(("a", "b"), np.array([[1.0, 2], [3, 4]]), (("a",), ("b",)), None)
    ),
    "score_progress": lambda: viz.score_progress(np.arange(3), {"a": np.array([0.1, 0.5, 0.9])}, "rate", 0.4),
    "losses_together": lambda: viz.losses_together({"a": _history(), "b": _history()}),
    "receptive_field_sizes": lambda: viz.receptive_field_sizes(models.lenet5(), np.zeros((1, 32, 32), np.float32)),
    "augmented_samples": lambda: viz.augmented_samples(
        np.random.default_rng(0).random((3, 1, 12, 12), np.float32), data.AffineAugmentation(), times=2
    ),
}


def _targets() -> Any:
    t = np.zeros((2, 3, 8, 8))
    t[:, :, 2:4, 2:5] = np.array([1.0, 0.5, 1])[:, None, None]
    return t


def _history() -> train.History:
    x, t = np.zeros((4, 1, 32, 32), np.float32), np.zeros(4, np.int64)
    return train.fit(models.lenet5(), x, t, epochs=2, progress=False)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_drawn_and_show_themselves(name: str) -> None:
    figure = PICTURES[name]()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_frames_are_as_large_as_what_a_neuron_sees() -> None:
    figure = viz.receptive_field_sizes(models.lenet5(), np.zeros((1, 32, 32), np.float32))
    frames = {patch.get_label(): (patch.get_width(), patch.get_height()) for patch in figure.axes[0].patches}
    assert frames["conv2: 14 × 14"] == (14, 14)
    with pytest.raises(ValueError, match="image must be as the network's input"):
        viz.receptive_field_sizes(models.lenet5(), np.zeros((1, 28, 28), np.float32))
