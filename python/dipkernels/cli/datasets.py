"""The `--data` argument, and the numbers of others."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = (
    "for digits: digits (1,797 digits of scikit-learn, no download), mnist (downloaded once), or a folder with MNIST's "
    "idx files; for masks and boxes: scenes (drawn by the program), or a folder with CamVid's images and "
    "masks, or with images and boxes in the VOC layout; for alexnet: "
    "a folder with a folder of pictures for each class; for clips: moving_digits, or a folder with a folder of clips "
    "for each class; for the others: scenes"
)


def whole_number(least: int) -> type[int]:
    """An argparse type: an int of at least `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return parse  # type: ignore[return-value]


def positive_number(text: str) -> float:
    """An argparse type: a finite float above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0 and finite, got {text}")
    return value


def canonical(name: str) -> str:
    """A data set's name as it is kept: of a folder the whole path, so that it is found from anywhere."""
    return name if name in ("digits", "mnist", "scenes", "moving_digits") else str(Path(name).resolve())


def short_name(name: str) -> str:
    """For a folder's name."""
    return Path(canonical(name)).name or "data"
