"""`python -m bench BENCHMARK`, of which `--help` has a list; they need PyTorch (`pip install ".[crosscheck]"`)."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from bench import (
    calls,
    contest,
    cpu_costs,
    devices,
    gpu_costs,
    gpu_tiles,
    machine,
    networks,
    operators,
    peak,
    report,
    steps,
    training,
)


def _operators(arguments: argparse.Namespace) -> None:
    machine.show()
    device = devices.Gpu() if arguments.device == "cuda" else devices.Cpu()
    if arguments.precisions:
        device.precisions = tuple(arguments.precisions)
    of_networks = (steps.steps(), networks.networks()) if arguments.device == "cpu" else ()
    contests = itertools.chain(operators.contests(device), *of_networks)
    measured = contest.measure(device, contests, arguments.only)
    peaks = peak.peaks(device)
    rows = report.show(measured, peaks)
    if arguments.compare is not None:
        report.compare(rows, arguments.compare)
    machine.write(arguments.json, rows, {"measured peak": peaks})
    if arguments.json is not None and rows:
        picture = arguments.json.with_suffix(".png")
        report.chart(rows).savefig(picture, dpi=150)
        print(f"\nfigures in {arguments.json}, a chart in {picture}")


def _tiles(arguments: argparse.Namespace) -> None:
    machine.show()
    rows = gpu_tiles.measure(devices.Rehearsal() if arguments.rehearse else devices.Gpu())
    machine.write(arguments.json, rows, {})


def _costs(arguments: argparse.Namespace) -> None:
    if arguments.table is None:
        machine.show()
        machine.write(arguments.json, cpu_costs.run(arguments.fit), {})
    else:
        gpu_costs.run(arguments.table, arguments.multiprocessors, arguments.fit)


def _calls(arguments: argparse.Namespace) -> None:
    machine.show()
    machine.write(arguments.json, calls.measure(), {})


def main() -> None:
    """Runs one benchmark, prints its table, and writes it as JSON where asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file, and a chart of operators beside it")
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    command = commands.add_parser("operators", help="every operator against PyTorch, over a table of shapes")
    command.add_argument("--only", default="", help="operators whose name contains this")
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    command.add_argument("--precisions", nargs="+", choices=devices.Gpu.precisions, help="multiply only with these")
    command.add_argument("--compare", type=Path, metavar="FILE", help="say what changed since this earlier JSON")
    command.set_defaults(run=_operators)
    command = commands.add_parser("training", help="LeNet-5 and the MLP on MNIST against the same recipe in PyTorch")
    command.add_argument("--mnist", type=Path, required=True, help="the folder with MNIST's four idx files")
    command.add_argument("--epochs", type=int, default=12)
    command.set_defaults(run=lambda a: training.run(a.mnist, a.epochs, a.json))
    command = commands.add_parser("tiles", help="every way to compute a convolution on a GPU, beside the one taken")
    command.add_argument("--rehearse", action="store_true", help="on the emulation, at toy sizes")
    command.set_defaults(run=_tiles)
    command = commands.add_parser("costs", help="how far the ways that are taken are from the best, and costs that fit")
    command.add_argument(
        "table",
        type=Path,
        nargs="?",
        help="the JSON that `bench --json FILE tiles` wrote on a GPU; else this CPU's ways",
    )
    command.add_argument("--multiprocessors", type=int, default=132, help="of that GPU")
    command.add_argument("--fit", action="store_true", help="look for better costs, and print them")
    command.set_defaults(run=_costs)
    command = commands.add_parser("calls", help="what a GPU call costs before its kernel runs, on the emulation")
    command.set_defaults(run=_calls)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
