"""`dipkernels study`: small experiments of the lecture, each a table and a picture."""

from __future__ import annotations

import argparse
import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dipkernels.cli.datasets import whole_number
from dipkernels.cli.tasks import save_pictures
from dipkernels.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUDIES = {
    "fusion": "four ways to join frames, C3D, and a single frame: which digit moves, and where to",
    "motion": "how fast every object of a clip moves",
    "tasks": "three tasks on one trunk: single, joint, alternating, one after the other; weights by uncertainty",
    "scenes": "classes of pixels and a property of the scene, on CamVid (--data) or drawn scenes: apart and together",
    "ranks": "the same training on 1, 2 and 4 processes, by mpirun",
    "focal": "a rare digit: cross-entropy, focal loss, automated focal loss",
}


@dataclass(frozen=True)
class Findings:
    """What a study found: the heads of a table's columns, its rows, a sentence, and pictures by file name."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    says: str
    pictures: dict[str, Figure]


@dataclass(frozen=True)
class Settings:
    """What every study gets."""

    seed: int
    epochs: int | None  # None: the study's own
    data: str | None


Study = Callable[[Settings], Findings]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    said = "; ".join(f"{name}: {what}" for name, what in STUDIES.items())
    add("name", choices=list(STUDIES), metavar="NAME", help=said)
    add("--data", metavar="FOLDER", help="of CamVid, for scenes; drawn by the program where none is given")
    add("--epochs", type=whole_number(1), help="default some that suffice, in minutes on two cores")
    add("--seed", type=whole_number(0), default=0, help="default 0")
    add("--out", type=Path, help="folder for table and picture; default studies/NAME")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs one, prints its table, and leaves table and pictures in the folder."""
    if arguments.data is not None and arguments.name != "scenes":
        raise ValueError(f"--data is for the study scenes, not for {arguments.name}")
    study: Study = importlib.import_module(f"dipkernels.cli.study_{arguments.name}").study
    out = arguments.out or Path("studies") / arguments.name
    out.mkdir(parents=True, exist_ok=True)
    found = study(Settings(arguments.seed, arguments.epochs, arguments.data))
    print(table(found.heads, found.rows))
    print(f"\n{found.says}")
    save_pictures(out, found.pictures)
    with whole_file(out / f"{arguments.name}.md") as file:
        file.write(markdown(found).encode())
    print(f"everything is in {out.resolve()}:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """The rows under their heads: what is counted at the right, names at the left."""
    lines = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in rest)]).rstrip()

    return "\n".join([line(heads), "-" * (sum(widths) + 2 * len(widths) - 2), *map(line, rows)])


def markdown(found: Findings) -> str:
    """The same as a Markdown file."""
    lines = [found.heads, ("---",) + ("---:",) * (len(found.heads) - 1), *found.rows]
    body = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    pictures = "\n\n".join(f"![{name}]({name})" for name in found.pictures)
    return f"{body}\n\n{found.says}\n\n{pictures}\n"


percent = functools.partial("{:.1%}".format)
