"""Training on several ranks: the same as on one, up to rounding; one that fails ends all."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, models, nn, train
from dipkernels.cli import main
from dipkernels.train.ranks import Ranks
from support.device_ops import DEVICE

pytest.importorskip("mpi4py")
MPIRUN = shutil.which("mpirun")
pytestmark = pytest.mark.skipif(MPIRUN is None, reason="there is no mpirun here")

# What nccl4py would do, with the memory of the emulation, which the host can reach.
NCCL = """
import contextlib, ctypes, sys, types
import numpy as np
from mpi4py import MPI

in_group = False

@contextlib.contextmanager
def group():
    global in_group
    in_group = True
    yield
    in_group = False

class Communicator:
    @staticmethod
    def init(nranks, rank, unique_id):
        assert (nranks, rank, unique_id) == (MPI.COMM_WORLD.size, MPI.COMM_WORLD.rank, "id of the first")
        return Communicator()

    def create_pre_mul_sum(self, scalar):
        assert scalar.shape == (1,) and scalar.dtype == np.float32
        return scalar

    def allreduce(self, sent, received, op):
        assert in_group and sent is received
        interface = sent.__cuda_array_interface__
        assert interface["typestr"] == "<f4" and interface.get("strides") is None
        memory = (ctypes.c_float * sent.size).from_address(interface["data"][0])
        values = np.frombuffer(memory, np.float32)
        values *= op
        MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, values)

core = types.ModuleType("nccl.core")
core.group, core.Communicator = group, Communicator
core.get_unique_id = lambda: "id of the first"
sys.modules["nccl"] = types.ModuleType("nccl")
sys.modules["nccl"].core = sys.modules["nccl.core"] = core
"""

SCRIPT = """
import sys
import numpy as np
from dipkernels import data, models, nn, train

rng = np.random.default_rng(0)
x = rng.standard_normal((150, 1, 12, 12), dtype=np.float32)
t = rng.integers(0, 3, 150)
t[::7] = -100
convolution = nn.Conv2d(1, 6, 3, activation="relu")
model = nn.Sequential((1, 12, 12), convolution, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(150, 3))
kind, device, exchange = sys.argv[3:]
ranks = train.Ranks(exchange=exchange) if sys.argv[2] != "1" else None
loss, targets = {
    "classes": ("cross_entropy", t),
    "sum": ("half_sum_of_squares", rng.standard_normal((150, 3), dtype=np.float32)),
}[kind]
history = train.fit(
    model, data.Dataset(x, targets), data.Dataset(x[:35], targets[:35]), loss=loss, epochs=3, batch_size=64,
    optimizer=nn.SGD(0.1 if kind == "classes" else 1e-5, momentum=0.9), ranks=ranks, progress=False,
    device=device, checkpoint=f"{sys.argv[1]}-{device}.safetensors",
)
assert not model.on_device
if ranks is None or ranks.is_first:
    epoch = history.epochs[-1]
    scores = epoch.train_loss, epoch.validation_loss, epoch.train_accuracy or 0, epoch.validation_accuracy or 0
    np.savez(sys.argv[1], *model.parameters.values(), numbers=scores)
"""


def launch(count: int, *command: str, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    assert MPIRUN is not None
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "DIPKERNELS_NUM_THREADS": "1",
    }
    oversubscribe = (
        ["--oversubscribe"]
        if "Open MPI" in subprocess.run([MPIRUN, "--version"], capture_output=True, text=True, check=True).stdout
        else []
    )
    return subprocess.run(
        [MPIRUN, *oversubscribe, "-n", str(count), *command],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def learned(tmp_path: Path, count: int, *options: str, before: str = "") -> dict[str, Any]:
    """What SCRIPT's network has learned on so many ranks."""
    done = launch(count, sys.executable, "-c", before + SCRIPT, f"{count}.npz", str(count), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / f"{count}.npz") as file:
        return {name: file[name] for name in file.files}


def assert_the_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The order of the sums is another; in nine steps that grows to some hundred roundings."""
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["classes", "sum"])
def test_ranks_learn_what_one_process_learns(kind: str, tmp_path: Path) -> None:
    alone = learned(tmp_path, 1, kind, "cpu", "mpi")
    for count in (2, 4):
        # Of the 22 examples of the last batch, and with 4 ranks, the shares differ in size.
        assert_the_same(learned(tmp_path, count, kind, "cpu", "mpi"), alone)


@pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")
@pytest.mark.parametrize("exchange", ["mpi", "nccl"])
def test_ranks_with_gpus_learn_what_one_process_learns(exchange: str, tmp_path: Path) -> None:
    if exchange == "nccl" and DEVICE == "cuda":
        pytest.skip("NCCL wants a GPU for each rank")
    before = NCCL if exchange == "nccl" else ""
    alone = learned(tmp_path, 1, "classes", "cpu", "mpi")
    for count in (2, 4):
        assert_the_same(learned(tmp_path, count, "classes", "cuda", exchange, before=before), alone)


def test_the_command_says_all_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dipkernels", "train", "lenet5", "--epochs", "2", "--out"]
    one = launch(1, *command, "one", cwd=tmp_path)
    four = launch(4, *command, "four", cwd=tmp_path)
    assert four.returncode == 0, four.stderr
    assert four.stdout.count("weights, on digits") == four.stdout.count("test accuracy") == 1
    assert "; on 4 ranks" in four.stdout
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("one", "four")]
    assert histories[1]["settings"]["ranks"] == 4
    for a, b in zip(*(h["epochs"] for h in histories), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["validation_accuracy"] == pytest.approx(b["validation_accuracy"], abs=0.006)  # two of 360
    assert one.returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--data", "nowhere"), "--data must be digits"), (("--exchange", "nccl"), "add --device cuda")],
)
def test_wrong_settings_are_said_once(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = launch(2, sys.executable, "-m", "dipkernels", "train", "lenet5", *options, cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.count(said) == 1
    assert "Traceback" not in done.stderr


def test_one_process_has_nothing_to_exchange(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "lenet5", "--exchange", "nccl"]) != 0
    assert "start dipkernels by mpirun" in capsys.readouterr().err


def test_a_rank_that_dies_ends_all_and_the_checkpoint_serves(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from dipkernels import train
from dipkernels.train import loop
saved = loop.save_checkpoint
ranks = train.Ranks()
step = train.Ranks.add
def add(self, values):
    add.calls += 1
    if self.rank == 1 and add.calls == 60:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, values)
add.calls = 0
train.Ranks.add = add
from dipkernels.cli import main
sys.exit(main(["train", "lenet5", "--epochs", "30", "--out", "run"]))
"""
    done = launch(2, sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode != 0
    assert "run/checkpoint.safetensors" in {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.safetensors")}
    again = launch(
        2, sys.executable, "-m", "dipkernels", "train", "lenet5", "--epochs", "4", "--out", "run", "--resume",
        cwd=tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "test accuracy" in again.stdout


class _Alone:
    """What Ranks needs of a communicator, of one process."""

    def Get_rank(self) -> int:  # noqa: N802 - as mpi4py names it
        return 0

    def Get_size(self) -> int:  # noqa: N802
        return 1

    def Allreduce(self, *arguments: Any, **options: Any) -> None:  # noqa: N802
        """The sum of one."""


def test_what_ranks_cannot_do() -> None:
    x, t = np.zeros((4, 1, 32, 32), np.float32), np.zeros(4, np.int64)
    with pytest.raises(ValueError, match="sample_weight is for one process"):
        train.fit(models.lenet5(), data.Dataset(x, t), ranks=Ranks(_Alone()), sample_weight=np.ones(4, np.float32))
    with pytest.raises(ValueError, match="exchange must be"):
        Ranks(_Alone(), exchange="post")  # type: ignore[arg-type]
    if importlib.util.find_spec("nccl") is None:
        with pytest.raises(ImportError, match="nccl4py"):
            Ranks(_Alone(), exchange="nccl")
    history = train.fit(
        models.lenet5(), data.Dataset(x, t), ranks=Ranks(_Alone()), progress=False, epochs=1, optimizer=nn.SGD(0.1)
    )
    assert history.epochs[0].train_accuracy is not None
