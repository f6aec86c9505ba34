"""`dipkernels predict`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from dipkernels import ops
from dipkernels.cli.evaluation import add_weights_argument, load_model
from dipkernels.data.pictures import digit_of, read_picture

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    what = "a picture of one digit, dark on light or light on dark; or a folder, of which every picture is read"
    parser.add_argument("image", type=Path, help=what)
    add_weights_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the three most probable classes; of the pictures of a folder the first and second, a line each."""
    model, preset, metadata = load_model(arguments.weights)
    assert preset.size is not None
    extent = float(metadata.get("extent", 0.7 * min(preset.size)))
    if not arguments.image.is_dir():
        probabilities = ops.softmax(model.forward(digit_of(read_picture(arguments.image), preset.size, extent)), 1)[0]
        for guess in np.argsort(-probabilities, kind="stable")[:3]:
            print(f"{guess}  {probabilities[guess]:7.2%}  {_bar() * round(40 * float(probabilities[guess]))}".rstrip())
        return
    pictures = sorted(p for p in arguments.image.iterdir() if p.suffix.lower() in _SUFFIXES)
    if not pictures:
        raise FileNotFoundError(f"there are no pictures ({', '.join(_SUFFIXES)}) in {arguments.image}")
    for path in pictures:
        try:
            probabilities = ops.softmax(model.forward(digit_of(read_picture(path), preset.size, extent)), 1)[0]
        except ValueError as error:
            print(f"-  {path.name}: {error}")
            continue
        first, second = np.argsort(-probabilities, kind="stable")[:2]
        print(f"{first} {probabilities[first]:7.2%}, {second} {probabilities[second]:7.2%}  {path.name}")


def _bar() -> str:
    """What bars are made of, as far as the terminal has characters."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
