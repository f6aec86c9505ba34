"""Files with faults of any kind: a reader reads them or says what is wrong, and never anything else."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipkernels import data, nn, train
from dipkernels.cli import runs
from dipkernels.data.pictures import digit_of, read_picture
from dipkernels.nn.serialization import save_arrays
from dipkernels.train.checkpoint import RunState, load_checkpoint, save_checkpoint


def whole_checkpoint(folder: Path) -> bytes:
    model, optimizer = small(), nn.Adam(0.01)
    x = np.ones((4, 2), np.float32)
    model.backward(np.ones_like(model.forward(x)))
    optimizer.step(model.parameters, model.gradients)
    save_checkpoint(folder / "c", model, optimizer, RunState(np.random.default_rng(0)))
    return (folder / "c").read_bytes()


def small() -> nn.Graph:
    return nn.Sequential((2,), nn.Linear(2, 3))


def idx(folder: Path) -> bytes:
    return struct.pack(">HBBII", 0, 8, 2, 3, 4) + bytes(range(12))


def weights(folder: Path) -> bytes:
    save_arrays(folder / "w", small().parameters, {"note": "é"})
    return (folder / "w").read_bytes()


def foreign_weights(folder: Path) -> bytes:
    """Without a checksum."""
    from safetensors.numpy import save

    return save({name: np.asarray(a, np.float16) for name, a in small().parameters.items()})


def picture(kind: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        from PIL import Image

        file = io.BytesIO()
        shade = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
        Image.fromarray(shade).save(file, kind)
        return file.getvalue()

    return make


def history(folder: Path) -> bytes:
    epoch = train.History.from_dict(
        {
            "epochs": [
                {
                    "number": 1, "lr": 0.1, "train_loss": 1.0, "train_accuracy": None, "validation_loss": None,
                    "validation_accuracy": 0.5, "seconds": 1, "images_per_second": 3,
                }
            ],
            "best_epoch": 1,
            "settings": {"seed": 0},
        }
    )  # fmt: skip
    epoch.save(folder / "h")
    return (folder / "h").read_bytes()


def read_any_picture(path: Path) -> None:
    digit = digit_of(read_picture(path), (28, 28), 20.0)
    assert digit.shape == (1, 1, 28, 28)
    assert (digit >= 0).all()
    assert (digit <= 1).all()


def read_settings(path: Path) -> None:
    path.rename(path.with_name(runs.SETTINGS))
    try:
        runs.load_settings(path.parent)
    finally:
        path.with_name(runs.SETTINGS).unlink()


READERS: dict[str, tuple[Callable[[Path], bytes], Callable[[Path], Any]]] = {
    "idx": (idx, data.read_idx),
    "idx.gz": (lambda folder: gzip.compress(idx(folder)), data.read_idx),
    "weights": (weights, lambda path: nn.load_state(small(), path)),
    "foreign weights": (foreign_weights, lambda path: nn.load_state(small(), path)),
    "checkpoint": (whole_checkpoint, lambda path: load_checkpoint(path, small(), nn.Adam(0.01))),
    "history": (history, train.History.load),
    "settings": (lambda folder: b'{"model": "mlp", "before": {}, "checkpoint_before": "0"}', read_settings),
    "png": (picture("PNG"), read_any_picture),
    "jpeg": (picture("JPEG"), read_any_picture),
    "bmp": (picture("BMP"), read_any_picture),
    "gif": (picture("GIF"), read_any_picture),
    "tiff": (picture("TIFF"), read_any_picture),
}


@st.composite
def faults(draw: Any) -> list[tuple[str, int, bytes]]:
    """Where and how a file is damaged; places count modulo its length."""
    kinds = st.sampled_from(["replace", "insert", "cut", "delete", "repeat"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 2**16), st.binary(min_size=1, max_size=4)), max_size=4))


def damaged(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    result = bytearray(content)
    for kind, place, new in changes:
        at = place % (len(result) + 1)
        if kind == "replace":
            result[at : at + len(new)] = new
        elif kind == "insert":
            result[at:at] = new
        elif kind == "cut":
            del result[at:]
        elif kind == "delete":
            del result[at : at + len(new)]
        else:
            result[at:at] = result[at : at + 40]
    return bytes(result)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_refused(name: str) -> None:
    make, read = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        content = make(Path(folder))
        path = Path(folder) / "damaged"

        @settings(max_examples=400, deadline=None, derandomize=True)  # half a minute for all files
        @given(faults())
        def one(changes: list[tuple[str, int, bytes]]) -> None:
            path.write_bytes(damaged(content, changes))
            said = ""
            try:
                read(path)
            except ValueError as error:
                said = str(error)
            assert not said or folder in said or "there is no digit" in said

        one()
