"""`dipkernels train`."""

from __future__ import annotations

import argparse
import shlex
import time
import warnings
from pathlib import Path
from typing import Any

from dipkernels import nn, precision
from dipkernels.cli import runs
from dipkernels.cli.datasets import HELP, canonical, positive_number, short_name, whole_number
from dipkernels.cli.presets import PRESETS
from dipkernels.cli.tasks import of_test, task_of
from dipkernels.train import Ranks, fit
from dipkernels.train.ranks import from_launcher, only_first_prints

_DEFAULTS = {"seed": 0, "optimizer": "adam", "augmentation": True}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in training; the text says how to go on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command. Those that are not given are None: `--resume` takes them from the run."""
    add = parser.add_argument
    add("--data", metavar="DATA", help=HELP + "; default digits or scenes")
    add("--epochs", type=whole_number(1), help="default 12 to 120, by model and data")
    add("--batch-size", type=whole_number(1), help="default 64 for digits, 8 for masks, 16 for boxes")
    add("--lr", type=positive_number, help="the learning rate it begins with; default that of the model")
    add("--optimizer", choices=list(nn.OPTIMIZERS), help="default adam")
    add("--patience", type=whole_number(1), help="stop after so many epochs without a better one")
    add("--validation", type=whole_number(0), help="so many of the training images judge the epochs")
    add("--seed", type=whole_number(0), help="of the weights, the splits and the order; default 0")
    add("--no-augmentation", action="store_true", default=None, help="train on the images as they are")
    add(
        "--precision",
        choices=("highest", "high", "medium"),
        help="of convolutions; default highest, for masks and boxes high",
    )
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to train; default cpu")
    add(
        "--exchange",
        choices=("mpi", "nccl"),
        default="mpi",
        help="under mpirun on GPUs: gradients go by way of the host, or from GPU to GPU by NCCL; default mpi",
    )
    add("--out", type=Path, help="folder for the results; default runs/MODEL-DATA, with a number where that is taken")
    add(
        "--resume",
        action="store_true",
        help="go on with the run in the folder, by default the newest, and its settings",
    )
    add("--overwrite", action="store_true", help="replace the run in the folder")
    parser.set_defaults(run=run)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line has."""
    names = ("data", "epochs", "batch_size", "lr", "optimizer", "patience", "validation", "seed", "precision")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.no_augmentation:
        given["augmentation"] = False
    if "data" in given:
        given["data"] = canonical(given["data"])
    return given


def _new_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    preset = PRESETS[arguments.model]
    assert preset.task is not None
    task = task_of(preset.task)
    settings = {"model": arguments.model, "data": task.default_data, **_DEFAULTS, **_given(arguments)}
    settings.setdefault("epochs", task.epochs(settings["data"]))
    for name in ("lr", "batch_size", "precision"):
        settings.setdefault(name, getattr(preset, name))
    return settings


def _new_folder(arguments: argparse.Namespace, settings: dict[str, Any]) -> Path:
    """Claimed when the data were read, so that a wrong name leaves none."""
    folder = runs.new_folder(arguments.out, f"{arguments.model}-{short_name(settings['data'])}", arguments.overwrite)
    runs.save_settings(folder, settings, overwrite=arguments.overwrite)
    return folder


def _old_run(arguments: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """The run to go on with. ValueError where the command line asks for other settings than it has."""
    given, task = _given(arguments), PRESETS[arguments.model].task
    assert task is not None
    folder = runs.to_resume(
        arguments.out, f"{arguments.model}-{short_name(given.get('data', task_of(task).default_data))}"
    )
    settings = runs.load_settings(folder)
    if not (folder / runs.CHECKPOINT).is_file():
        raise FileNotFoundError(
            f"the run in {folder} has no finished epoch to go on from; --overwrite instead of --resume begins it anew"
        )
    for name, value in {"model": arguments.model, **given}.items():
        if name not in ("epochs", "patience") and settings.get(name) != value:
            raise ValueError(
                f"the run in {folder} has {name} {settings.get(name)}, not {value}; leave it out, or begin another run"
            )
    print(f"goes on with {folder} and its settings")
    settings["patience"] = given.get("patience")
    return folder, {**settings, "until": given.get("epochs", settings["epochs"])}


def run(arguments: argparse.Namespace) -> None:
    """Trains, saves weights, history and pictures, and says how well it did and where everything is."""
    ranks = from_launcher()
    if ranks is None:
        if arguments.exchange == "nccl":
            raise ValueError("--exchange nccl is for several ranks: start dipkernels by mpirun, or leave it out")
        _train(arguments, None)
        return
    with only_first_prints(ranks):
        if arguments.exchange == "nccl" and arguments.device == "cpu":
            raise ValueError("--exchange nccl is for gradients on GPUs: add --device cuda, or leave it out")
        _train(arguments, Ranks(exchange=arguments.exchange))


def _train(arguments: argparse.Namespace, ranks: Ranks | None) -> None:
    preset = PRESETS[arguments.model]
    assert preset.task is not None
    task = task_of(preset.task)
    if arguments.resume and arguments.overwrite:
        raise ValueError("--resume goes on with a run and --overwrite replaces it: give one of them")
    old, settings = _old_run(arguments) if arguments.resume else (None, _new_settings(arguments))
    epochs = settings.pop("until", settings["epochs"])
    splits = task.load(settings["data"], preset, settings["seed"], settings.get("validation"))
    of_test(splits, settings["data"])
    if ranks is None:
        out = _new_folder(arguments, settings) if old is None else old
    else:
        first = _new_folder(arguments, settings) if old is None and ranks.is_first else old
        out = ranks.from_first(first)
    about = task.metadata(splits)
    model = task.build(preset, settings["seed"], about)
    print(
        f"{arguments.model}, {model.parameter_count:,} weights, on {settings['data']}: {len(splits.train):,} images "
        f"for training, {len(splits.validation):,} for validation, {len(splits.test):,} for the test"
        + (f"; on {ranks.size} ranks" if ranks else "")
    )
    start = time.perf_counter()
    checkpoint = out / runs.CHECKPOINT
    try:
        with warnings.catch_warnings(record=True) as said, precision(settings.get("precision", "highest")):
            warnings.simplefilter("always")
            history = fit(
                model,
                splits.train,
                splits.validation if len(splits.validation) else None,
                loss=task.loss(model, splits),
                optimizer=nn.OPTIMIZERS[settings["optimizer"]](lr=settings["lr"]),
                epochs=epochs,
                batch_size=settings["batch_size"],
                seed=settings["seed"],
                augment=task.augmentation(settings["data"]) if settings["augmentation"] else None,
                schedule=preset.schedule(settings["epochs"], settings["lr"]),
                patience=settings.get("patience"),
                keep=task.keep,
                checkpoint=checkpoint,
                resume=arguments.resume,
                device=arguments.device,
                ranks=ranks,
            )
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(arguments.model, out, checkpoint)) from None
    if ranks is not None:
        settings["ranks"] = ranks.size
        if not ranks.is_first:
            return
    for warning in said:
        print(str(warning.message).removeprefix("fit: "))
    seconds = time.perf_counter() - start
    metadata = {"model": arguments.model, "data": settings["data"], "seed": str(settings["seed"]), **about}
    nn.save_state(model, out / runs.WEIGHTS, metadata)
    history.settings.update({name: value for name, value in settings.items() if name not in history.settings})
    history.settings.update(epochs=epochs, training_seconds=round(seconds, 3))
    result = task.finish(model, splits, history, out)
    history.save(out / "history.json")
    print(f"\n{result}, after {seconds:.1f} s")
    kept = f"best epoch {history.best_epoch}" if task.keep == "best" else f"weights of epoch {len(history.epochs)}"
    print(f"{kept}; everything is in {out.resolve()}:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def _how_to_go_on(model: str, out: Path, checkpoint: Path) -> str:
    if not checkpoint.is_file():
        return f"interrupted before the first epoch was finished; there is nothing to go on from in {out}"
    command = shlex.join(["dipkernels", "train", model, "--out", str(out), "--resume"])
    if not runs.has_begun(out):
        return (
            f"interrupted before the first epoch was finished; with the run that was there before goes on:\n  {command}"
        )
    return f"interrupted; from the last finished epoch goes on:\n  {command}"
