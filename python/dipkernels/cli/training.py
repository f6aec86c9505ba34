"""`dipkernels train`."""

from __future__ import annotations

import argparse
import shlex
import time
import warnings
from pathlib import Path
from typing import Any

from dipkernels import nn, ops, viz
from dipkernels.cli import runs
from dipkernels.cli.datasets import HELP, canonical, load, positive_number, short_name, whole_number
from dipkernels.cli.presets import PRESETS
from dipkernels.data import AffineAugmentation, Dataset
from dipkernels.data.pictures import extent_of
from dipkernels.files import whole_file
from dipkernels.nn.graph import Graph
from dipkernels.train import History, evaluate, fit, predict

DEFAULT_EPOCHS = {"digits": 40}
OTHER_EPOCHS = 12
_DEFAULTS = {"data": "digits", "seed": 0, "batch_size": 64, "optimizer": "adam", "augmentation": True}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in training; the text says how to go on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command. Those that are not given are None: `--resume` takes them from the run."""
    add = parser.add_argument
    add("--data", metavar="DATA", help=HELP + "; default digits")
    add("--epochs", type=whole_number(1), help=f"default {DEFAULT_EPOCHS['digits']} for digits, else {OTHER_EPOCHS}")
    add("--batch-size", type=whole_number(1), help="default 64")
    add("--lr", type=positive_number, help="the learning rate it begins with; default that of the model")
    add("--optimizer", choices=nn.OPTIMIZERS, help="default adam")
    add("--patience", type=whole_number(1), help="stop after so many epochs without a better one")
    add("--validation", type=whole_number(0), help="so many of the training images judge the epochs")
    add("--seed", type=whole_number(0), help="of the weights, the splits and the order; default 0")
    add("--no-augmentation", action="store_true", default=None, help="train on the images as they are")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to train; default cpu")
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
    names = ("data", "epochs", "batch_size", "lr", "optimizer", "patience", "validation", "seed")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.no_augmentation:
        given["augmentation"] = False
    if "data" in given:
        given["data"] = canonical(given["data"])
    return given


def _new_run(arguments: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    settings = {"model": arguments.model, **_DEFAULTS, **_given(arguments)}
    settings.setdefault("epochs", DEFAULT_EPOCHS.get(settings["data"], OTHER_EPOCHS))
    settings.setdefault("lr", PRESETS[arguments.model].lr)
    folder = runs.new_folder(arguments.out, f"{arguments.model}-{short_name(settings['data'])}", arguments.overwrite)
    runs.save_settings(folder, settings, overwrite=arguments.overwrite)
    return folder, settings


def _old_run(arguments: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """The run to go on with. ValueError where the command line asks for other settings than it has."""
    given = _given(arguments)
    folder = runs.to_resume(arguments.out, f"{arguments.model}-{short_name(given.get('data', 'digits'))}")
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
    preset = PRESETS[arguments.model]
    assert preset.size is not None
    if arguments.resume and arguments.overwrite:
        raise ValueError("--resume goes on with a run and --overwrite replaces it: give one of them")
    out, settings = _old_run(arguments) if arguments.resume else _new_run(arguments)
    epochs = settings.pop("until", settings["epochs"])
    splits = load(settings["data"], preset.size, settings["seed"], settings.get("validation"))
    if not len(splits.test):
        raise ValueError(f"{settings['data']} has no images for the test; training needs some to be judged by")
    model = preset.build(settings["seed"])
    print(
        f"{arguments.model}, {model.parameter_count:,} weights, on {settings['data']}: {len(splits.train):,} images "
        f"for training, {len(splits.validation):,} for validation, {len(splits.test):,} for the test"
    )
    start = time.perf_counter()
    checkpoint = out / runs.CHECKPOINT
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            history = fit(
                model,
                splits.train,
                splits.validation if len(splits.validation) else None,
                optimizer=nn.OPTIMIZERS[settings["optimizer"]](lr=settings["lr"]),
                epochs=epochs,
                batch_size=settings["batch_size"],
                seed=settings["seed"],
                augment=AffineAugmentation() if settings["augmentation"] else None,
                schedule=preset.schedule(settings["epochs"], settings["lr"]),
                patience=settings.get("patience"),
                checkpoint=checkpoint,
                resume=arguments.resume,
                device=arguments.device,
            )
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(arguments.model, out, checkpoint)) from None
    for warning in said:
        print(str(warning.message).removeprefix("fit: "))
    seconds = time.perf_counter() - start
    metadata = {"model": arguments.model, "data": settings["data"], "seed": str(settings["seed"])}
    metadata["extent"] = str(extent_of(splits.train.x))
    nn.save_state(model, out / runs.WEIGHTS, metadata)
    result = evaluate(model, splits.test)
    history.settings.update({name: value for name, value in settings.items() if name not in history.settings})
    history.settings.update(epochs=epochs, test_loss=result.loss, test_accuracy=result.accuracy)
    history.settings["training_seconds"] = round(seconds, 3)
    history.save(out / "history.json")
    _draw(model, splits.test, history, out)
    print(f"\ntest accuracy {result.accuracy:.2%} on {len(splits.test):,} digits it never saw, after {seconds:.1f} s")
    print(f"best epoch {history.best_epoch}; everything is in {out.resolve()}:")
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


def _draw(model: Graph, test: Dataset, history: History, out: Path) -> None:
    probabilities = ops.softmax(predict(model, test.x), 1)
    pictures = {
        "loss.png": viz.loss_curves(history),
        "confusion.png": viz.confusion_matrix(test.t, probabilities.argmax(1), probabilities.shape[1]),
        "mistakes.png": viz.worst_mistakes(test.x, test.t, probabilities),
    }
    first = next(iter(model.parameters.values()))
    if first.ndim == 4:
        pictures["filters.png"] = viz.first_layer_filters(first)
    for name, figure in pictures.items():
        with whole_file(out / name) as file:
            figure.savefig(file, dpi=120, format="png")
