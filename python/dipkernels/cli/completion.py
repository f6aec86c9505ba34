"""`dipkernels completion`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

_SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """The arguments of the command; `whole` makes the parser of all commands, which the script is about."""
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))
    parser.set_defaults(run=lambda arguments: run(arguments, whole()))


def run(arguments: argparse.Namespace, whole: argparse.ArgumentParser) -> None:
    """Prints the script: for bash `eval "$(dipkernels completion bash)"` in ~/.bashrc."""
    try:
        import shtab
    except ImportError as error:
        raise ImportError('completion needs shtab; pip install "dipkernels[completion]"') from error
    print(shtab.complete(whole, shell=arguments.shell))
