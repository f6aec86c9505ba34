"""The `dipkernels` command."""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import Any, NoReturn

from dipkernels import __version__
from dipkernels.cli import completion, demo, evaluation, export, lecture, notebooks, prediction, studies, training
from dipkernels.cli.presets import PRESETS
from dipkernels.runtime import info


def _info(arguments: argparse.Namespace) -> None:
    print(f"dipkernels {__version__}")
    for name, value in info().items():
        print(f"{name:16} {value}")


def _summary(arguments: argparse.Namespace) -> None:
    from dipkernels.nn import summary

    preset = PRESETS[arguments.model]
    print(summary(preset.build(0, preset.shape, preset.classes)))


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        found = info()
        cuda = found["cuda backend"].partition(":")[0]
        python = ".".join(map(str, sys.version_info[:3]))
        print(f"dipkernels {__version__}: CPU by {found['instruction set']}, CUDA {cuda}, Python {python}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for all that the user can mend."""
        raise ValueError(f"{message}; `{self.prog} --help` says what there is")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A command says itself what it does not know, and so names its own help."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="dipkernels", description="Convolutional networks on hand-written kernels.")
    parser.add_argument("--version", action=_Version, nargs=0, help="the version, and what it runs on")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser("info", help="backends, instruction sets, threads, CUDA state")
    command.set_defaults(run=_info)

    trainable = [name for name, preset in PRESETS.items() if preset.task is not None]
    command = commands.add_parser("train", help="train a model, save weights, history and pictures")
    command.add_argument("model", choices=trainable, metavar="MODEL", help=", ".join(trainable))
    training.add_arguments(command)

    command = commands.add_parser("eval", help="the scores of trained weights on a test set")
    evaluation.add_arguments(command)

    command = commands.add_parser("predict", help="what a network sees in an image")
    prediction.add_arguments(command)

    command = commands.add_parser("export", help="trained weights as an ONNX file, for other programs")
    export.add_arguments(command)

    command = commands.add_parser("demo", help="a web page: draw a digit, see every layer")
    demo.add_arguments(command)

    command = commands.add_parser("lecture", help="every worked example of the lecture, as one HTML report")
    lecture.add_arguments(command)

    command = commands.add_parser("notebooks", help="five short notebooks, from the perceptron to a layer of your own")
    notebooks.add_arguments(command)

    command = commands.add_parser("study", help="an experiment of the lecture: a table and a picture")
    studies.add_arguments(command)

    command = commands.add_parser("completion", help="a script that completes these commands in a shell")
    completion.add_arguments(command, _parser)

    command = commands.add_parser("summary", help="output shapes, parameters and receptive fields of a model")
    command.add_argument("model", choices=list(PRESETS), metavar="MODEL", help=", ".join(PRESETS))
    command.set_defaults(run=_summary)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command. 0; 2 and one line on stderr for what the user can mend; 1 for what a disk or system refuses."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a character shows ? and goes on
    try:
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has enough, like `head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nothing may be written at exit
        return 0
    except (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError, ImportError) as error:
        return _say(error, 2)
    except (FloatingPointError, RuntimeError) as error:
        return _say(error, 2)
    except (OSError, MemoryError) as error:
        return _say(error, 1)
    except KeyboardInterrupt as interrupt:
        return _say(str(interrupt) or "interrupted", 130)
    return 0


def _say(what: object, code: int) -> int:
    if isinstance(what, OSError) and what.filename:
        what = f"{what.filename}: {what.strerror}"
    print(f"dipkernels: {what}", file=sys.stderr)
    return code
