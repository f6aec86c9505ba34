"""The `dipkernels` command, run in this process, and once as the installed program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dipkernels import __version__, data
from dipkernels.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training of LeNet-5."""
    out = tmp_path_factory.mktemp("run")
    assert main(["train", "lenet5", "--epochs", "6", "--out", str(out)]) == 0
    return out


def test_train_leaves_weights_history_and_pictures(trained: Path) -> None:
    from PIL import Image

    names = {path.name for path in trained.iterdir()}
    pictures = {"loss.png", "confusion.png", "mistakes.png", "filters.png"}
    assert names == {"weights.safetensors", "checkpoint.safetensors", "history.json", *pictures}
    history = json.loads((trained / "history.json").read_text())
    assert len(history["epochs"]) == 6
    assert history["settings"]["test_accuracy"] > 0.85
    for name in pictures:
        pixels = np.asarray(Image.open(trained / name).convert("L"))
        assert min(pixels.shape) > 80
        assert pixels.std() > 5, f"{name} is blank"


def test_resume_goes_on(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "lenet5", "--epochs", "7", "--resume", "--out", str(trained)]) == 0
    out = capsys.readouterr().out
    assert "epoch   7/7" in out
    assert "epoch   6/7" not in out
    assert "digits it never saw" in out


def test_eval(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--weights", str(trained / "weights.safetensors")]) == 0
    assert "lenet5 on the test split of digits: loss" in capsys.readouterr().out


def test_predict_reads_ink_on_paper_and_chalk_on_board(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    test = data.digits().test
    right = 0
    for i in range(10):
        pixels = (test.x[i, 0] * 255).astype(np.uint8)
        guesses = []
        for name, values in (("ink.png", 255 - pixels), ("chalk.png", pixels)):
            Image.fromarray(np.pad(values, 4, mode="constant", constant_values=values[0, 0])).save(tmp_path / name)
            assert main(["predict", str(tmp_path / name), "--weights", str(trained / "weights.safetensors")]) == 0
            guesses.append(capsys.readouterr().out.split()[0])
        assert guesses[0] == guesses[1]
        right += guesses[0] == str(test.t[i])
    assert right >= 6  # a short training, and a wider margin than it has seen


def test_info_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for word in (__version__, "cpu backend", "cuda backend", "instruction set", "threads"):
        assert word in out
    for model, total in [("lenet5", "63,802"), ("mlp", "266,610"), ("convnet", "279,930"), ("alexnet", "60,965,224")]:
        assert main(["summary", model]) == 0
        assert capsys.readouterr().out.split()[-1] == total


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nothing.png"], "there are no weights"),
        (["eval", "--weights", "nothing"], "`dipkernels train lenet5` makes some"),
        (["train", "lenet5", "--data", "nothing"], "must be digits, mnist or a folder"),
        (["train", "lenet5", "--epochs", "-1"], "epochs"),
        (["train", "lenet5", "--batch-size", "0"], "batch_size"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_pictures_that_are_none(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = ["--weights", str(trained / "weights.safetensors")]
    assert main(["predict", str(tmp_path / "no.png"), *weights]) == 2
    assert "there is no picture" in capsys.readouterr().err
    (tmp_path / "text.png").write_text("text")
    assert main(["predict", str(tmp_path / "text.png"), *weights]) == 2
    assert "no picture that Pillow can read" in capsys.readouterr().err


def test_the_installed_program() -> None:
    for command in (["dipkernels"], [sys.executable, "-m", "dipkernels"]):
        program = [str(Path(sys.executable).parent / command[0])] if command == ["dipkernels"] else command
        done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == __version__
