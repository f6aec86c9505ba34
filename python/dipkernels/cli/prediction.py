"""`dipkernels predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipkernels.cli.evaluation import add_weights_argument, load_model
from dipkernels.cli.output import output_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    what = (
        "a picture: for a network of digits one digit, dark on light or light on dark, or a folder, of which every "
        "picture is read; for others a photograph like those they were trained on"
    )
    parser.add_argument("image", type=Path, help=what)
    add_weights_argument(parser)
    parser.add_argument(
        "--show",
        action="store_true",
        help="also write what a network of digits got to see of the picture, and the probability of every class",
    )
    parser.add_argument("--out", type=Path, help="the picture that is written; default IMAGE-MODEL.png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """For a digit the three most probable classes, for a folder a line each; otherwise an annotated picture."""
    model, _, task, metadata = load_model(arguments.weights)
    out = output_file(arguments.out, f"{arguments.image.absolute().stem}-{metadata['model']}.png", arguments.image)
    task.predict(model, metadata, arguments.image, out)
    if arguments.show:
        task.show(model, metadata, arguments.image, out)
