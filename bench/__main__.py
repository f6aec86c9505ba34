"""`python -m bench operators` and `python -m bench training`; both need PyTorch (`pip install ".[crosscheck]"`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import devices, machine, operators, training


def _operators(arguments: argparse.Namespace) -> None:
    machine.show()
    device = devices.Gpu() if arguments.device == "cuda" else devices.Cpu()
    machine.write(arguments.json, operators.run(device, arguments.only))


def main() -> None:
    """Runs one benchmark, prints its table, and writes it as JSON where asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    command = commands.add_parser("operators", help="every operator against PyTorch, over a table of shapes")
    command.add_argument("--only", default="", help="operators whose name contains this")
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    command.set_defaults(run=_operators)
    command = commands.add_parser("training", help="LeNet-5 and the MLP on MNIST against the same recipe in PyTorch")
    command.add_argument("--mnist", type=Path, required=True, help="the folder with MNIST's four idx files")
    command.add_argument("--epochs", type=int, default=12)
    command.set_defaults(run=lambda a: training.run(a.mnist, a.epochs, a.json))
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
