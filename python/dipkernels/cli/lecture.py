"""`dipkernels lecture`."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipkernels.cli.output import output_file
from dipkernels.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--out", type=Path, help="the report; default lecture.html")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Computes every example and writes the report. ValueError where a number is not the lecture's."""
    from dipkernels.lecture import html

    out = output_file(arguments.out, "lecture.html")
    page, wrong = html(lambda title: print(f"  {title}", flush=True))
    write_text(out, page)
    print(f"the report is {out.resolve()}")
    if wrong:
        raise ValueError(f"not as the lecture says: {'; '.join(number.what for number in wrong)}")
