"""What a result was measured on."""

from __future__ import annotations

import datetime
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dipkernels


def describe() -> dict[str, Any]:
    """Date, processor, threads and versions."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in cpu.splitlines() if line.startswith("model name")), "")
    features = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in cpu]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model or platform.processor(),
        "features": " ".join(features),
        "instruction set used": dipkernels.isa(),
        "threads": dipkernels.num_threads(),
        "torch threads": torch.get_num_threads(),
        "dipkernels": dipkernels.__version__,
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "cuda, cudnn of torch": f"{torch.version.cuda}, {torch.backends.cudnn.version()}",
        "cuda backend": dipkernels.info()["cuda backend"],
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def show() -> None:
    """Prints the description."""
    for name, value in describe().items():
        print(f"{name}: {value}")


def write(path: Path | None, rows: list[dict[str, Any]], checks: dict[str, Any] | None = None) -> None:
    """The machine, the rows and what was checked as JSON."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": describe(), "checks": checks or {}, "rows": rows}, indent=1) + "\n")
