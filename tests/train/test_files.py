"""Files are written whole or not at all, and read only where they are what was written."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, nn, train
from dipkernels.cli import main
from dipkernels.files import whole_file, write_text
from dipkernels.nn.serialization import load_arrays, save_arrays
from dipkernels.train.checkpoint import load_checkpoint
from support.small_training import blobs, small_model


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def in_child(action: Any) -> int:
    """The exit status of a forked process that did it."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("has_nameless_files", [True, False])
def test_a_kill_leaves_the_old_file(has_nameless_files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    if not has_nameless_files:
        monkeypatch.setattr("dipkernels.files._nameless", lambda folder: None)

    def killed() -> None:
        with whole_file(path) as file:
            file.write(bytes(100_000))
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(killed) == signal.SIGKILL
    assert path.read_text() == "old"
    if has_nameless_files:
        assert names_in(tmp_path) == ["file"]
    write_text(path, "new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("has_nameless_files", [True, False])
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_so_does_an_exception(
    error: BaseException, has_nameless_files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_nameless_files:
        monkeypatch.setattr("dipkernels.files._nameless", lambda folder: None)
    write_text(tmp_path / "file", "old")

    def interrupted() -> None:
        with whole_file(tmp_path / "file") as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "weights")
    nn.save_state(small_model(), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    nn.load_state(small_model(), tmp_path / "disk" / "weights")


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
"""


def run_with_full_disk(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process whose files cannot grow beyond 8 KiB."""
    command = [sys.executable, "-c", f"{FULL_DISK}sys.path[:] = {[os.path.abspath(p) for p in sys.path]}\n{code}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_a_full_disk_in_a_training_is_one_line(tmp_path: Path) -> None:
    assert main(["train", "mlp", "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    resumed = ["train", "mlp", "--resume", "--epochs", "2", "--out", "run"]
    ended = run_with_full_disk(f"from dipkernels.cli import main; sys.exit(main({resumed}))", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "dipkernels: run/checkpoint.safetensors: File too large"
    assert "Traceback" not in ended.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize("kind", ["weights", "history", "picture"])
def test_a_full_disk_leaves_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    code = {
        "weights": "from dipkernels import models, nn; nn.save_state(models.lenet5(), 'file')",
        "history": "from dipkernels.train import History; History(settings={'text': 'x' * 9000}).save('file')",
        "picture": "from dipkernels.files import whole_file; from matplotlib.figure import Figure\n"
        "with whole_file('file') as file: Figure((9, 9)).savefig(file, dpi=900, format='png')",
    }[kind]
    (tmp_path / "file").write_text("old")
    ended = run_with_full_disk(code, tmp_path)
    assert ended.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large: 'file'"
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def fit(path: Path, model: nn.Graph, **options: Any) -> train.History:
    return train.fit(model, data.split(blobs()), checkpoint=path, epochs=2, progress=False, **options)


def state_of(model: nn.Graph, optimizer: nn.Optimizer) -> list[Any]:
    arrays = [*model.parameters.values(), *(a for states in optimizer.state.values() for a in states.values())]
    return [optimizer.steps, *(array.tobytes() for array in arrays)]


def test_no_flipped_bit_loads(tmp_path: Path) -> None:
    path = tmp_path / "c"
    fit(path, small_model(), optimizer=nn.Adam(0.01))
    whole = bytearray(path.read_bytes())
    model, optimizer = small_model(), nn.Adam(0.01)
    before = state_of(model, optimizer)
    padding = range(8 + int.from_bytes(whole[:8], "little"))[-8:]  # spaces behind the header, which say nothing
    for bit in np.random.default_rng(0).permutation(8 * len(whole))[:400]:
        if bit // 8 in padding:
            continue
        whole[bit // 8] ^= 1 << bit % 8
        path.write_bytes(whole)
        with pytest.raises(ValueError, match=f"{path}"):
            load_checkpoint(path, model, optimizer)
        whole[bit // 8] ^= 1 << bit % 8
    assert state_of(model, optimizer) == before
    nn.save_state(model, path)
    damaged = bytearray(path.read_bytes())
    damaged[-3] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="is damaged: its numbers are not those that were written"):
        nn.load_state(model, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state, arrays: state.pop("rng"),
        lambda state, arrays: state.update(rng={"bit_generator": "PCG64"}),
        lambda state, arrays: state.update(rng=3),
        lambda state, arrays: state.update(steps=-1),
        lambda state, arrays: state.update(steps="7"),
        lambda state, arrays: state.update(stopped="no"),
        lambda state, arrays: state.update(best_loss=[1]),
        lambda state, arrays: state.update(counters=[]),
        lambda state, arrays: state.update(counters={"dropout1": {"step": "x"}}),
        lambda state, arrays: state.update(counters={}),
        lambda state, arrays: state.update(history=None),
        lambda state, arrays: state["history"].update(epochs=[{"number": 1}]),
        lambda state, arrays: state["history"]["epochs"][0].update(train_loss="low"),
        lambda state, arrays: state["history"]["epochs"].pop(0),
        lambda state, arrays: state["history"].update(best_epoch=9),
        lambda state, arrays: arrays.pop("optimizer/first_moments/linear1.weight"),
        lambda state, arrays: arrays.update({"optimizer/second_moments/linear1.bias": np.zeros(1, np.float32)}),
        lambda state, arrays: arrays.pop("best/linear1.bias"),
        lambda state, arrays: arrays.update({"parameters/linear1.bias": np.zeros((2, 2), np.float32)}),
    ],
)
def test_odd_checkpoints_are_refused_and_change_nothing(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "c"

    def model_with_dropout() -> nn.Graph:
        return nn.Sequential((2,), nn.Linear(2, 8), nn.Dropout(0.1), nn.Linear(8, 3))

    fit(path, model_with_dropout(), optimizer=nn.Adam(0.01))
    arrays, metadata = load_arrays(path)
    state = json.loads(metadata["checkpoint"])
    change(state, arrays)
    save_arrays(path, arrays, {"checkpoint": json.dumps(state)})
    model, optimizer = model_with_dropout(), nn.Adam(0.01)
    before = state_of(model, optimizer)
    with pytest.raises(ValueError, match=f"^{path}"):
        fit(path, model, optimizer=optimizer)
    assert state_of(model, optimizer) == before


def test_a_checkpoint_of_other_settings_changes_nothing(tmp_path: Path) -> None:
    fit(tmp_path / "c", small_model())
    model, optimizer = small_model(), nn.Adam(0.5)
    before = state_of(model, optimizer)
    with pytest.raises(ValueError, match="was written with batch_size 64, not 9"):
        fit(tmp_path / "c", model, optimizer=optimizer, batch_size=9)
    assert state_of(model, optimizer) == before


def test_beginning_anew_keeps_the_old_checkpoint_until_there_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "c"
    fit(path, small_model())
    old = path.read_bytes()
    seen = []

    def schedule(epoch: int) -> float:
        seen.append(path.read_bytes() == old)
        return 0.1

    history = fit(path, small_model(), seed=1, schedule=schedule, resume=False)
    assert seen == [True, False]
    assert [epoch.number for epoch in history.epochs] == [1, 2]


def test_an_interrupted_overwrite_leaves_the_run_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    assert main(["train", "mlp", "--epochs", "1", "--seed", "3", *out]) == 0

    def interrupt(*args: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dipkernels.data.AffineAugmentation.__call__", interrupt)
        for seed in "4", "5":
            assert main(["train", "mlp", "--epochs", "1", "--seed", seed, "--overwrite", *out]) == 130
            assert "with the run that was there before goes on:" in capsys.readouterr().err
    assert main(["train", "mlp", "--epochs", "2", "--resume", *out]) == 0
    settings = json.loads((tmp_path / "run" / "history.json").read_text())
    assert settings["settings"]["seed"] == 3
    assert len(settings["epochs"]) == 2
    assert main(["train", "mlp", "--epochs", "1", "--seed", "4", "--overwrite", *out]) == 0
    assert json.loads((tmp_path / "run" / "history.json").read_text())["settings"]["seed"] == 4
    assert main(["train", "mlp", "--epochs", "2", "--resume", "--seed", "4", *out]) == 0


def test_weights_that_are_no_numbers_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "mlp", "--epochs", "1", "--out", str(tmp_path)]) == 0
    path = tmp_path / "weights.safetensors"
    arrays, metadata = load_arrays(path)
    name = next(iter(arrays))
    arrays[name].flat[:3] = np.nan, np.inf, -np.inf
    del metadata["checksum"]
    save_arrays(path, arrays, metadata)
    capsys.readouterr()
    assert main(["eval", "--weights", str(path)]) == 0
    error = capsys.readouterr().err
    assert f"dipkernels: {path}: 3 of {arrays[name].size:,} numbers of {name} are NaN or infinite" in error


def test_history_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    for text in ("", "[]", "3", '{"epochs": 1}', '{"epochs": [{}], "best_epoch": null, "settings": {}}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"history\.json is damaged: "):
            train.History.load(path)


@pytest.mark.parametrize("promised", [24, 0])
def test_a_gzip_bomb_is_not_unpacked(promised: int, tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"\0\0\x08\x01" + promised.to_bytes(4, "big"))
        for _ in range(500):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(ValueError, match="is too long"):
        data.read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_header_that_promises_all_memory_gets_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(b"\0\0\x08\x03" + b"\xff" * 12 + bytes(100))
    tracemalloc.start()
    with pytest.raises(ValueError, match="is cut off"):
        data.read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    path.write_bytes(b"\0\0\x08\x04" + bytes(4) + b"\xff" * 12)
    with pytest.raises(ValueError, match=r"images: shape \(0, .*is no array's"):
        data.read_idx(path)
