"""`dipkernels eval`, and how trained weights are found."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from dipkernels import nn
from dipkernels.cli import runs
from dipkernels.cli.datasets import HELP, canonical, load
from dipkernels.cli.presets import PRESETS, Preset
from dipkernels.nn.graph import Graph
from dipkernels.train import evaluate


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


def load_model(weights: Path | None) -> tuple[Graph, Preset, dict[str, str]]:
    """The trained model, its preset, and what the file says of its training."""
    path = find_weights(weights)
    metadata = nn.read_metadata(path)
    preset = PRESETS.get(metadata.get("model", ""))
    if preset is None or preset.size is None or not metadata.get("seed", "").isdecimal() or "data" not in metadata:
        raise ValueError(f"{path} was not written by `dipkernels train`: it does not say which model it is of")
    model = preset.build(0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        nn.load_state(model, path)
    for warning in said:
        print(f"dipkernels: {warning.message}", file=sys.stderr)
    return model, preset, metadata


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_weights_argument(parser)
    parser.add_argument("--data", metavar="DATA", help=HELP + "; default: what it was trained on")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints loss and accuracy on the test split, which training never saw."""
    model, preset, metadata = load_model(arguments.weights)
    assert preset.size is not None
    data = canonical(arguments.data) if arguments.data else metadata["data"]
    test = load(data, preset.size, int(metadata["seed"])).test
    result = evaluate(model, test)
    print(f"{metadata['model']} on the test split of {data}: loss {result.loss:.4f}, accuracy {result.accuracy:.2%}")
