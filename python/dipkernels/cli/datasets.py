"""From the `--data` argument to a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipkernels.data import Splits, digits, mnist

HELP = "digits (1,797 digits of scikit-learn, no download), mnist (downloaded once), or a folder with MNIST's idx files"


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--seed`."""
    parser.add_argument("--data", default="digits", metavar="DATA", help=HELP + "; default digits")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the splits and the order; default 0")


def load(name: str, size: tuple[int, int], seed: int) -> Splits:
    """The splits of that data set, its images in that size. FileNotFoundError for a folder that is not there."""
    if name == "digits":
        return digits(size, seed=seed)
    if name == "mnist":
        return mnist(Path.home() / ".cache" / "dipkernels" / "mnist", download=True, size=size, seed=seed)
    if not Path(name).is_dir():
        raise FileNotFoundError(f"--data must be digits, mnist or a folder with MNIST's four idx files, got {name!r}")
    return mnist(name, size=size, seed=seed)
