"""`dipkernels predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dipkernels import ops
from dipkernels.cli.evaluation import add_weights_argument, load_model
from dipkernels.ops.backend import FloatArray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("image", type=Path, help="a picture of one digit, dark on light or light on dark")
    add_weights_argument(parser)
    parser.set_defaults(run=run)


def read_digit(path: Path, size: tuple[int, int]) -> FloatArray:
    """A picture as float32 (1, 1, height, width), 0 for its background and 1 for ink.

    Which of dark and light is ink is decided by the border; the picture is fitted into `size` without distortion.
    FileNotFoundError or ValueError where it cannot be read.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError('reading pictures needs Pillow; pip install "dipkernels[train]"') from error
    if not path.is_file():
        raise FileNotFoundError(f"there is no picture {path}")
    try:
        picture = Image.open(path).convert("L")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} is no picture that Pillow can read: {error}") from error
    pixels = np.asarray(picture, np.float32) / np.float32(255)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > 0.5:
        pixels = 1 - pixels
    factor = min(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
    height, width = (max(1, round(n * factor)) for n in pixels.shape)
    small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    digit = np.zeros((1, 1, *size), np.float32)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    digit[0, 0, top : top + height, left : left + width] = np.asarray(small)
    return digit


def run(arguments: argparse.Namespace) -> None:
    """Prints the three most probable classes."""
    model, preset, _ = load_model(arguments.weights)
    assert preset.size is not None
    probabilities = ops.softmax(model.forward(read_digit(arguments.image, preset.size)), 1)[0]
    for guess in np.argsort(-probabilities, kind="stable")[:3]:
        print(f"{guess}  {probabilities[guess]:7.2%}  {'█' * round(40 * float(probabilities[guess]))}")
