"""`dipkernels eval`, and how trained weights are found."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipkernels import nn
from dipkernels.cli.datasets import HELP, load
from dipkernels.cli.presets import PRESETS, Preset
from dipkernels.nn.graph import Graph
from dipkernels.train import evaluate

DEFAULT_WEIGHTS = Path("runs/lenet5-digits/weights.safetensors")


def add_weights_argument(parser: argparse.ArgumentParser) -> None:
    """`--weights`."""
    parser.add_argument(
        "--weights", type=Path, default=DEFAULT_WEIGHTS, help=f"from `dipkernels train`; default {DEFAULT_WEIGHTS}"
    )


def load_model(weights: Path) -> tuple[Graph, Preset, dict[str, str]]:
    """The trained model, its preset, and what the file says of its training."""
    if not weights.is_file():
        raise FileNotFoundError(f"there are no weights {weights}; `dipkernels train lenet5` makes some")
    metadata = nn.read_metadata(weights)
    if metadata.get("model") not in PRESETS:
        raise ValueError(f"{weights} was not written by `dipkernels train`: it does not say which model it is of")
    preset = PRESETS[metadata["model"]]
    model = preset.build(0)
    nn.load_state(model, weights)
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
    data = arguments.data or metadata["data"]
    test = load(data, preset.size, int(metadata["seed"])).test
    result = evaluate(model, test)
    print(f"{metadata['model']} on the test split of {data}: loss {result.loss:.4f}, accuracy {result.accuracy:.2%}")
