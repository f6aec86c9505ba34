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
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def write(path: Path | None, rows: list[dict[str, Any]]) -> None:
    """The machine and the rows as JSON."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": describe(), "rows": rows}, indent=1) + "\n")
