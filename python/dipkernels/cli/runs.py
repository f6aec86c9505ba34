"""The folder of a training run: its own, with all settings in it, so that it can be gone on with."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from dipkernels.files import write_text
from dipkernels.nn.serialization import CHECKSUM, load_arrays

SETTINGS = "run.json"
CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
RESULTS = (
    WEIGHTS, "history.json", "loss.png", "confusion.png", "mistakes.png", "filters.png", "iou.png", "segmentation.png",
    "precision.png", "detections.png", "denoised.png", "registration.png", "instances.png", "clips.png",
)  # fmt: skip


def is_run(folder: Path) -> bool:
    """Whether a training began there."""
    return any((folder / name).exists() for name in (SETTINGS, CHECKPOINT, WEIGHTS))


def runs_of(name: str) -> list[Path]:
    """The numbered folders below runs/ of that name, the newest last: NAME, NAME-2, NAME-3, …"""
    found = {}
    for folder in Path("runs").glob(f"{name}*"):
        number = folder.name.removeprefix(name).removeprefix("-") or "1"
        if number.isdecimal() and folder.is_dir():
            found[int(number)] = folder
    return [found[number] for number in sorted(found)]


def new_folder(out: Path | None, name: str, overwrite: bool) -> Path:
    """A folder of this run alone: `out`, or the next number below runs/.

    FileExistsError where `out` has a run already and `overwrite` is False; NotADirectoryError where it is a file.
    """
    if out is None:
        number = 1 + max((int(f.name.removeprefix(name).removeprefix("-") or 1) for f in runs_of(name)), default=0)
        while True:  # another training may take the same number at the same moment
            folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
            folder.parent.mkdir(exist_ok=True)
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out must be a folder, and {out} is a file")
    out.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for old in RESULTS:
            (out / old).unlink(missing_ok=True)
    elif is_run(out):
        raise FileExistsError(
            f"{out} has a run already: --resume goes on with it, --overwrite replaces it, another --out leaves it alone"
        )
    return out


def save_settings(folder: Path, settings: dict[str, Any], overwrite: bool = False) -> None:
    """Claims the folder: FileExistsError where another run did so in the meantime.

    With `overwrite` the checkpoint of the run before stays until the first of this one replaces it; its settings are
    kept as long, so that an interruption loses neither.
    """
    if not overwrite:
        with (folder / SETTINGS).open("x") as file:
            file.write(json.dumps(settings, indent=2) + "\n")
        return
    before = {}
    with contextlib.suppress(FileNotFoundError, ValueError):  # then there is nothing that could be gone on with
        before = {"before": load_settings(folder), "checkpoint_before": _checksum_of(folder / CHECKPOINT)}
    write_text(folder / SETTINGS, json.dumps({**settings, **before}, indent=2) + "\n")


def _checksum_of(checkpoint: Path) -> str:
    return load_arrays(checkpoint)[1].get(CHECKSUM, "")


def has_begun(folder: Path) -> bool:
    """Whether the checkpoint in the folder is of the run that was begun last, not of one before."""
    settings = _read_settings(folder)
    checkpoint = folder / CHECKPOINT
    return checkpoint.is_file() and settings.get("checkpoint_before") != _checksum_of(checkpoint)


def load_settings(folder: Path) -> dict[str, Any]:
    """What `save_settings` wrote of the run whose checkpoint is in the folder.

    FileNotFoundError where there is no run, ValueError where its file is damaged.
    """
    settings = _read_settings(folder)
    if "before" in settings and not has_begun(folder):
        return dict(settings["before"])
    return {name: value for name, value in settings.items() if name not in ("before", "checkpoint_before")}


def _read_settings(folder: Path) -> dict[str, Any]:
    if not (folder / SETTINGS).is_file():
        raise FileNotFoundError(f"there is no run in {folder} to go on with; without --resume one begins")
    try:
        settings = json.loads((folder / SETTINGS).read_text())
    except ValueError as error:
        raise ValueError(f"{folder / SETTINGS} is damaged: {error}") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("before", {}), dict):
        raise ValueError(f"{folder / SETTINGS} is damaged: it holds no settings")
    return settings


def to_resume(out: Path | None, name: str) -> Path:
    """The folder whose run goes on: `out`, or the newest of that name. FileNotFoundError where there is none."""
    if out is not None:
        return out
    found = runs_of(name)
    if not found:
        raise FileNotFoundError(f"there is no run runs/{name} to go on with; without --resume one begins")
    return found[-1]
