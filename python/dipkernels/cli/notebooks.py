"""`dipkernels notebooks`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--out", type=Path, default=Path("notebooks"), help="the folder; default notebooks")
    parser.add_argument("--no-open", action="store_true", help="write them, and do not start Jupyter")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the notebooks that are not there yet, and opens the folder in JupyterLab.

    ImportError without jupytext, RuntimeError without JupyterLab.
    """
    try:
        import jupytext
    except ImportError as error:
        raise ImportError('notebooks need jupytext and JupyterLab; pip install "dipkernels[notebooks]"') from error
    arguments.out.mkdir(parents=True, exist_ok=True)
    for script in sorted((files("dipkernels") / "notebooks").iterdir(), key=lambda each: each.name):
        if not script.name.endswith(".py"):
            continue
        path = arguments.out / Path(script.name).with_suffix(".ipynb")
        if path.exists():  # with somebody's own work in it
            print(f"{path} is there and stays as it is")
            continue
        jupytext.write(jupytext.reads(script.read_text(encoding="utf-8"), fmt="py:percent"), str(path))
        print(path)
    if arguments.no_open:
        return
    jupyter = shutil.which("jupyter")
    if jupyter is None:
        raise RuntimeError(f'{arguments.out} is written, but there is no Jupyter; pip install "dipkernels[notebooks]"')
    subprocess.run([jupyter, "lab", str(arguments.out)], check=False)
