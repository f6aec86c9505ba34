"""The `dipkernels` command."""

from __future__ import annotations

import argparse
import sys

from dipkernels import __version__
from dipkernels.cli import evaluation, prediction, training
from dipkernels.cli.presets import PRESETS
from dipkernels.runtime import info


def _info(arguments: argparse.Namespace) -> None:
    print(f"dipkernels {__version__}")
    for name, value in info().items():
        print(f"{name:16} {value}")


def _summary(arguments: argparse.Namespace) -> None:
    from dipkernels.nn import summary

    print(summary(PRESETS[arguments.model].build(0)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dipkernels", description="Convolutional networks on hand-written kernels.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser("info", help="backends, instruction sets, threads, CUDA state")
    command.set_defaults(run=_info)

    trainable = [name for name, preset in PRESETS.items() if preset.trainable]
    command = commands.add_parser("train", help="train a model, save weights, history and pictures")
    command.add_argument("model", choices=trainable, metavar="MODEL", help=", ".join(trainable))
    training.add_arguments(command)

    command = commands.add_parser("eval", help="loss and accuracy of trained weights on a test set")
    evaluation.add_arguments(command)

    command = commands.add_parser("predict", help="which digit an image shows")
    prediction.add_arguments(command)

    command = commands.add_parser("summary", help="output shapes, parameters and receptive fields of a model")
    command.add_argument("model", choices=PRESETS, metavar="MODEL", help=", ".join(PRESETS))
    command.set_defaults(run=_summary)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command; 0, or 2 and one line on stderr for what the user can mend."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, ImportError, FloatingPointError, RuntimeError) as error:
        print(f"dipkernels: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dipkernels: interrupted; --resume goes on from the last finished epoch", file=sys.stderr)
        return 130
    return 0
