"""The study of data parallelism: the same training on 1, 2 and 4 processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dipkernels import train, viz
from dipkernels.cli.studies import Findings, Settings
from dipkernels.train.progress import progress_bar

_COUNTS = (1, 2, 4)


def study(settings: Settings) -> Findings:
    """Trains LeNet-5 with mpirun on so many processes of this machine, and lays the loss curves over each other."""
    launcher = shutil.which("mpirun")
    if launcher is None:
        raise FileNotFoundError("the study ranks needs mpirun: install Open MPI or MPICH, and dipkernels[mpi]")
    version = subprocess.run([launcher, "--version"], capture_output=True, text=True, check=False).stdout
    options = ["--oversubscribe"] if "Open MPI" in version else []
    environment = {**os.environ, "DIPKERNELS_NUM_THREADS": "1"}
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    histories: dict[int, train.History] = {}
    with tempfile.TemporaryDirectory() as folder, progress_bar(None, len(_COUNTS), what="learning") as bar:
        for count in _COUNTS:
            out = Path(folder) / str(count)
            command = [sys.executable, "-m", "dipkernels", "train", "lenet5", "--out", str(out)]
            command += ["--epochs", str(settings.epochs or 20), "--seed", str(settings.seed)]
            done = subprocess.run(
                [launcher, *options, "-n", str(count), *command],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"mpirun -n {count} failed: {done.stderr.strip().splitlines()[0]}")
            histories[count] = train.History.load(out / "history.json")
            bar.update(1)
    first = [epoch.train_loss for epoch in histories[1].epochs]
    rows = []
    for count, history in histories.items():
        losses = [epoch.train_loss for epoch in history.epochs]
        difference = np.max(np.abs(np.subtract(losses, first)) / first)
        speed = np.median([epoch.images_per_second for epoch in history.epochs])
        accuracy = history.settings["test_accuracy"]
        rows.append((str(count), f"{losses[-1]:.6f}", f"{difference:.1e}", f"{accuracy:.2%}", f"{speed:,.0f}"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    says = (
        f"One thread a process, on {cores} cores. The curves lie on each other: the largest relative difference of an "
        "epoch's loss is that of sums in another order."
    )
    heads = ("ranks", "last loss", "largest difference", "test accuracy", "images/s")
    curves = {f"{count} ranks" if count > 1 else "one process": h for count, h in histories.items()}
    return Findings(heads, rows, says, {"ranks.png": viz.losses_together(curves)})
