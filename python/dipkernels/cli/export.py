"""`dipkernels export`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from dipkernels import nn
from dipkernels.cli.evaluation import add_weights_argument, load_model
from dipkernels.cli.output import output_file
from dipkernels.detection.regions import TwoStage
from dipkernels.nn.layer import Shape


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_weights_argument(parser)
    parser.add_argument("--out", type=Path, help="the file to write; default MODEL.onnx")
    parser.set_defaults(run=run)


def _described(ends: Iterable[tuple[str, Shape]]) -> str:
    return ", ".join(f"{name} (N, {', '.join(map(str, shape))})" for name, shape in ends)


def run(arguments: argparse.Namespace) -> None:
    """Writes the network of a run, and says what goes in and comes out."""
    model, _, _, metadata = load_model(arguments.weights)
    if isinstance(model, TwoStage):
        raise ValueError(f"{metadata['model']} has a second stage that no layer computes: it cannot be exported")
    out = output_file(arguments.out, f"{metadata['model']}.onnx")
    nn.export_onnx(model, out)
    print(f"{out}: {out.stat().st_size / 1024:,.0f} KiB, float32, batches of any size N")
    print(f"in   {_described(model.inputs.items())}")
    print(f"out  {_described((name, model.shapes[name]) for name in model.outputs)}")
