"""`dipkernels lecture`."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipkernels.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--out", type=Path, default=Path("lecture.html"), help="the report; default lecture.html")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Computes every example and writes the report. ValueError where a number is not the lecture's."""
    from dipkernels.lecture import html

    if arguments.out.is_dir():
        raise ValueError(f"--out must be a file, and {arguments.out} is a folder")
    page, wrong = html(lambda title: print(f"  {title}", flush=True))
    write_text(arguments.out, page)
    print(f"the report is {arguments.out.resolve()}")
    if wrong:
        raise ValueError(f"not as the lecture says: {'; '.join(number.what for number in wrong)}")
