"""From the `--data` argument to a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipkernels.data import Splits, digits, mnist

HELP = "digits (1,797 digits of scikit-learn, no download), mnist (downloaded once), or a folder with MNIST's idx files"


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
    return name if name in ("digits", "mnist") else str(Path(name).resolve())


def short_name(name: str) -> str:
    """For a folder's name."""
    return Path(canonical(name)).name or "data"


def load(name: str, size: tuple[int, int], seed: int, validation: int | None = None) -> Splits:
    """The splits of that data set, its images in that size. FileNotFoundError for a folder that is not there."""
    if name == "digits":
        return digits(size, seed=seed, validation=validation)
    if name == "mnist":
        root = Path.home() / ".cache" / "dipkernels" / "mnist"
        return mnist(root, download=True, size=size, seed=seed, validation=validation)
    if not Path(name).is_dir():
        raise FileNotFoundError(f"--data must be digits, mnist or a folder with MNIST's four idx files, got {name!r}")
    return mnist(name, size=size, seed=seed, validation=validation)
