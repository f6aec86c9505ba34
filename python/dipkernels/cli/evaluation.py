"""`dipkernels eval`, and how trained weights are found."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from dipkernels import nn
from dipkernels.cli import runs
from dipkernels.cli.datasets import HELP, canonical
from dipkernels.cli.presets import PRESETS, Preset
from dipkernels.cli.tasks import Task, task_of
from dipkernels.nn.graph import Graph


def add_weights_argument(parser: argparse.ArgumentParser) -> None:
    """`--weights`."""
    parser.add_argument(
        "--weights",
        type=Path,
        help="a file, or the folder of a run; default the newest run of lenet5 on digits in runs/",
    )


def find_weights(weights: Path | None) -> Path:
    """The file. FileNotFoundError where there is none."""
    if weights is None:
        found = [folder for folder in runs.runs_of("lenet5-digits") if (folder / runs.WEIGHTS).is_file()]
        weights = found[-1] if found else Path("runs/lenet5-digits")
    if weights.is_dir() or not (weights.suffix or weights.is_file()):  # the folder of a run, be it there or not
        weights = weights / runs.WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"there are no weights {weights}; `dipkernels train lenet5` makes some")
    return weights


def load_model(weights: Path | None) -> tuple[Graph, Preset, Task, dict[str, str]]:
    """The trained model, its preset and task, and what the file says of its training."""
    path = find_weights(weights)
    metadata = nn.read_metadata(path)
    preset = PRESETS.get(metadata.get("model", ""))
    if preset is None or preset.task is None or not metadata.get("seed", "").isdecimal() or "data" not in metadata:
        raise ValueError(f"{path} was not written by `dipkernels train`: it does not say which model it is of")
    task = task_of(preset.task)
    try:
        model = task.build(preset, 0, metadata)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} does not say what it was trained on: {error}") from error
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        nn.load_state(model, path)
    for warning in said:
        print(f"dipkernels: {warning.message}", file=sys.stderr)
    return model, preset, task, metadata


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_weights_argument(parser)
    parser.add_argument("--data", metavar="DATA", help=HELP + "; default: what it was trained on")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the scores on the test split, which training never saw."""
    model, preset, task, metadata = load_model(arguments.weights)
    data = canonical(arguments.data) if arguments.data else metadata["data"]
    splits = task.load(data, preset, int(metadata["seed"]), None)
    (shape,) = model.inputs.values()
    if splits.test.x.shape[1:] != shape:
        raise ValueError(
            f"the weights are of a model for images {shape}, and those of {data} are {splits.test.x.shape[1:]}"
        )
    print(f"{metadata['model']} on the test split of {data}: {task.evaluate(model, splits)}")
