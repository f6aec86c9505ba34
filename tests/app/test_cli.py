"""The `dipkernels` command, run in this process, and once as the installed program."""

from __future__ import annotations

import json
import os
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
    assert names == {"run.json", "weights.safetensors", "checkpoint.safetensors", "history.json", *pictures}
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
        (
            ["train", "lenet5", "--epochs", "-1"],
            "argument --epochs: must be at least 1, got -1; `dipkernels train --help`",
        ),
        (["train", "lenet5", "--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
        (["train", "lenet5", "--epochs", "many"], "argument --epochs: must be a whole number, got 'many'"),
        (["train", "lenet5", "--batch-size", "0"], "argument --batch-size: must be at least 1, got 0"),
        (["train", "lenet5", "--seed", "-1"], "argument --seed: must be at least 0, got -1"),
        (["train", "lenet5", "--lr", "0"], "argument --lr: must be above 0 and finite, got 0"),
        (["train", "lenet5", "--lr", "nan"], "argument --lr: must be above 0 and finite, got nan"),
        (["train", "lenet5", "--optimizer", "rmsprop"], "argument --optimizer: invalid choice: 'rmsprop'"),
        (["train", "lenet5", "--validation", "5000"], "digits: validation must be from 0 to 1437, got 5000"),
        (
            ["train", "lenet5", "--resume"],
            "there is no run runs/lenet5-digits to go on with; without --resume one begins",
        ),
        (["train", "lenet5", "--resume", "--out", "here"], "there is no run in here to go on with"),
        (["train", "lenet5", "--resume", "--overwrite"], "give one of them"),
        (["train", "lenet6"], "argument MODEL: invalid choice: 'lenet6'"),
        (["train", "lenet5", "--data", "."], "there is neither train-images-idx3-ubyte.gz nor"),
        (["predict", "."], "there are no weights"),
        (["fly"], "invalid choice: 'fly'"),
        (["study", "focal", "--fast"], "unrecognized arguments: --fast; `dipkernels study --help`"),
        ([], "required: COMMAND"),
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
        assert done.stdout.startswith(f"dipkernels {__version__}: CPU by ")
        assert done.stdout.count("\n") == 1


def test_every_run_has_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["train", "mlp", "--epochs", "1"]
    for name in ("mlp-digits", "mlp-digits-2", "mlp-digits-3"):
        assert main(short) == 0
        assert f"everything is in {tmp_path / 'runs' / name}:" in capsys.readouterr().out
    assert not (tmp_path / "runs" / "mlp-digits" / "filters.png").exists()  # an mlp has no filters to draw
    weights = tmp_path / "runs" / "mlp-digits" / "weights.safetensors"
    before = weights.read_bytes()
    assert main([*short, "--seed", "1", "--out", "runs/mlp-digits"]) == 2
    assert (
        "runs/mlp-digits has a run already: --resume goes on with it, --overwrite replaces it"
        in capsys.readouterr().err
    )
    assert weights.read_bytes() == before
    (weights.parent / "filters.png").write_text("of another model")
    assert main([*short, "--seed", "1", "--out", "runs/mlp-digits", "--overwrite"]) == 0
    assert weights.read_bytes() != before
    assert not (weights.parent / "filters.png").exists()
    # --resume takes the newest run and its settings.
    assert main(["train", "mlp", "--resume", "--epochs", "2"]) == 0
    out = capsys.readouterr().out
    assert "goes on with runs/mlp-digits-3 and its settings" in out
    assert "epoch   2/2" in out
    (tmp_path / "file").write_text("")
    assert main([*short, "--out", "file"]) == 2
    assert "--out must be a folder, and file is a file" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "run")]
    options = ["--seed", "3", "--lr", "0.003", "--optimizer", "adagrad", "--validation", "100", "--no-augmentation"]
    assert main(["train", "mlp", "--epochs", "2", *options, *out]) == 0
    assert "100 for validation" in capsys.readouterr().out
    for wrong, message in [
        (["--seed", "4"], "has seed 3, not 4"),
        (["--lr", "0.1"], "has lr 0.003, not 0.1"),
        (["--data", "mnist"], "has data digits, not mnist"),
    ]:
        assert main(["train", "mlp", "--resume", "--epochs", "3", *wrong, *out]) == 2
        assert message in capsys.readouterr().err
    assert main(["train", "lenet5", "--resume", *out]) == 2
    assert "has model mlp, not lenet5" in capsys.readouterr().err
    assert main(["train", "mlp", "--resume", "--epochs", "4", *out]) == 0
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    rates = [epoch["lr"] for epoch in history["epochs"]]
    assert rates[0] == 0.003
    assert rates[3] == rates[2] == rates[1] == pytest.approx(0.0015)  # no jump where more epochs were asked for
    settings = history["settings"]
    assert (settings["seed"], settings["optimizer"], settings["augmentation"]) == (3, "AdaGrad", False)
    capsys.readouterr()
    assert main(["train", "mlp", "--resume", *out]) == 0
    assert "nothing is left to do" in capsys.readouterr().out


def test_interrupted_training_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dipkernels.data import AffineAugmentation

    out = tmp_path / "a run"
    calls = []

    def interrupt(self: object, rng: object, images: object) -> object:
        calls.append(1)
        if len(calls) == 30:  # in the second epoch of 17 batches
            raise KeyboardInterrupt
        return images

    monkeypatch.setattr(AffineAugmentation, "__call__", interrupt)
    assert main(["train", "mlp", "--epochs", "3", "--out", str(out)]) == 130
    error = capsys.readouterr().err
    assert f"dipkernels train mlp --out '{out}' --resume" in error
    assert main(["train", "mlp", "--resume", "--out", str(out)]) == 0
    calls[:] = [1] * 29
    assert main(["train", "mlp", "--epochs", "3", "--out", str(tmp_path / "other")]) == 130
    assert "before the first epoch was finished; there is nothing to go on from" in capsys.readouterr().err
    assert main(["train", "mlp", "--resume", "--out", str(tmp_path / "other")]) == 2
    assert "has no finished epoch to go on from; --overwrite instead" in capsys.readouterr().err


def test_weights_are_found(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "--weights", str(trained)]) == 0  # the folder of a run
    assert main(["eval", "--weights", str(tmp_path)]) == 2
    assert "there are no weights" in capsys.readouterr().err
    from safetensors.numpy import save_file

    for metadata in (
        None,
        {"model": "alexnet"},
        {"model": "lenet5"},
        {"model": "lenet5", "data": "digits", "seed": "x"},
    ):
        save_file({"a": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors", metadata)
        assert main(["eval", "--weights", "foreign.safetensors"]) == 2
        assert "was not written by `dipkernels train`" in capsys.readouterr().err


def test_eval_finds_its_data_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from support.mnist import write_mnist

    rng = np.random.default_rng(0)
    (tmp_path / "digits300").mkdir()
    write_mnist(
        tmp_path / "digits300", rng.integers(0, 256, (300, 28, 28), np.uint8), rng.integers(0, 10, 300, np.uint8)
    )
    monkeypatch.chdir(tmp_path)
    assert main(["train", "mlp", "--data", "digits300", "--epochs", "1"]) == 0
    assert "275 images for training, 25 for validation, 300 for the test" in capsys.readouterr().out
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["eval", "--weights", str(tmp_path / "runs" / "mlp-digits300")]) == 0


def test_an_empty_test_split_is_noticed_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from support.mnist import idx, write_mnist

    write_mnist(tmp_path, np.zeros((30, 28, 28), np.uint8), np.zeros(30, np.uint8))
    for kind, empty in (("images-idx3-ubyte.gz", (0, 28, 28)), ("labels-idx1-ubyte", (0,))):
        (tmp_path / f"t10k-{kind}").write_bytes(idx(np.zeros(empty, np.uint8)))
    assert main(["train", "mlp", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    captured = capsys.readouterr()
    assert "has no images for the test" in captured.err
    assert "epoch" not in captured.out


def test_predict_reads_a_folder_of_pictures(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    weights = ["--weights", str(trained)]
    assert main(["predict", str(tmp_path), *weights]) == 2
    assert "there are no pictures" in capsys.readouterr().err
    digit = (255 - data.digits().test.x[0, 0] * 255).astype(np.uint8)
    Image.fromarray(digit).save(tmp_path / "a.png")
    Image.fromarray(np.full((40, 40), 200, np.uint8)).save(tmp_path / "blank.PNG")
    (tmp_path / "notes.txt").write_text("")
    assert main(["predict", str(tmp_path), *weights]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("a.png")
    assert first[0].isdigit()
    assert second == "-  blank.PNG: there is no digit: the picture is of one shade"


def test_predict_shows_what_the_network_saw_and_says_when_it_is_unsure(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    test, weights = data.digits().test, ["--weights", str(trained)]
    Image.fromarray((255 - test.x[0, 0] * 255).astype(np.uint8)).save(tmp_path / "digit.png")
    out = tmp_path / "seen" / "digit.png"
    assert main(["predict", str(tmp_path / "digit.png"), *weights, "--show", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"{out}: what it saw\n")
    with Image.open(out) as picture:
        assert picture.width > 400
    assert main(["predict", str(tmp_path), *weights, "--show"]) == 2
    assert "--show draws one picture" in capsys.readouterr().err
    unsure = 0
    for i in range(6):
        noise = np.full((48, 48), 255, np.uint8)
        noise[8:40, 8:40] = rng.integers(0, 255, (32, 32))
        Image.fromarray(noise).save(tmp_path / f"noise{i}.png")
        assert main(["predict", str(tmp_path / f"noise{i}.png"), *weights]) == 0
        said = capsys.readouterr().out
        assert ("unsure" in said) == (float(said.split()[1].rstrip("%")) < 60)
        unsure += "unsure" in said
    assert unsure


def test_no_command_writes_over_what_it_reads_or_a_file_of_another_kind(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, text, weights = tmp_path / "digit.png", tmp_path / "notes.txt", ["--weights", str(trained)]
    before = b"a photograph"
    picture.write_bytes(before)
    (tmp_path / "same.png").symlink_to(picture)
    text.write_text("work")
    for image in (picture, tmp_path / "same.png", tmp_path):
        assert main(["predict", str(image), *weights, "--show", "--out", str(picture)]) == 2
        assert f"--out would replace {picture}" in capsys.readouterr().err
    for command, suffix in (
        (["predict", str(picture), *weights, "--show"], ".png"),
        (["export", *weights], ".onnx"),
        (["lecture"], ".html"),
    ):
        assert main([*command, "--out", str(text)]) == 2
        assert f"--out must end in {suffix}, which is what is written" in capsys.readouterr().err
        assert main([*command, "--out", str(tmp_path)]) == 2
        assert "--out must be a file" in capsys.readouterr().err
    assert picture.read_bytes() == before
    assert text.read_text() == "work"


def test_export(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="asks onnx")
    out = tmp_path / "new" / "digits.onnx"
    assert main(["export", "--weights", str(trained), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: ")
    assert "in   input (N, 1, 32, 32)\nout  fc3 (N, 10)\n" in said
    assert out.stat().st_size > 200_000


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_where_there_are_few_characters(encoding: str, trained: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray((255 - data.digits().test.x[0, 0] * 255).astype(np.uint8)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "dipkernels"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "60"}
    for arguments in (
        ["predict", str(tmp_path / "a.png"), "--weights", str(trained)],
        ["summary", "lenet5"],
        ["train", "mlp", "--epochs", "2", "--out", str(tmp_path / "run")],
        ["train", "--help"],
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, env=environment, check=True)
        text = done.stdout.decode(encoding)
        if arguments[:2] == ["train", "mlp"]:
            assert max(map(len, (line for line in text.splitlines() if line.startswith("epoch")))) <= 60


def test_a_reader_that_has_enough(trained: Path) -> None:
    program = [sys.executable, "-m", "dipkernels", "summary", "alexnet"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == 0
    assert error == b""
