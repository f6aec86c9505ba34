"""All that training needs to go on exactly where it stopped, in one safetensors file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.nn.serialization import load_arrays, save_arrays, set_parameters
from dipkernels.ops.backend import FloatArray
from dipkernels.train.history import History, to_json


@dataclass
class Progress:
    """The state of a training run besides model and optimizer."""

    rng: np.random.Generator
    history: History = field(default_factory=History)
    best_loss: float = float("inf")
    best: dict[str, FloatArray] = field(default_factory=dict)
    stopped: bool = False


def _prefixed(prefix: str, arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {f"{prefix}/{name}": values for name, values in arrays.items()}


def _without_prefix(prefix: str, arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    start = f"{prefix}/"
    return {name[len(start) :]: values for name, values in arrays.items() if name.startswith(start)}


def check_writable(path: Path) -> None:
    """OSError, naming it, where the folder of `path` cannot be made or written to: known before training, not after."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent) as file:
        file.write(bytes(4096))


def save_checkpoint(path: Path, model: Graph, optimizer: Optimizer, progress: Progress) -> None:
    """Writes everything; an interrupted write leaves the old file."""
    arrays = {**_prefixed("parameters", model.parameters), **_prefixed("best", progress.best)}
    for name, states in optimizer.state.items():
        arrays.update(_prefixed(f"optimizer/{name}", states))
    state: dict[str, Any] = {
        "optimizer": type(optimizer).__name__,
        "steps": optimizer.steps,
        "rng": progress.rng.bit_generator.state,
        "history": progress.history.to_dict(),
        "best_loss": progress.best_loss if np.isfinite(progress.best_loss) else None,
        "stopped": progress.stopped,
        "counters": {name: layer.counters() for name, layer in model.layers.items()},
    }
    save_arrays(path, arrays, {"checkpoint": to_json(state)})


def load_checkpoint(path: Path, model: Graph, optimizer: Optimizer) -> Progress:
    """Puts model and optimizer back into the state of the file, and returns the rest.

    Raises ValueError where the file is of another model or optimizer, or no checkpoint.
    """
    arrays, metadata = load_arrays(path)
    if "checkpoint" not in metadata:
        raise ValueError(f"{path} holds weights, but is no checkpoint to resume from")
    state = json.loads(metadata["checkpoint"])
    if state["optimizer"] != type(optimizer).__name__:
        raise ValueError(f"{path}: training used {state['optimizer']}, not {type(optimizer).__name__}")
    set_parameters(model, _without_prefix("parameters", arrays), str(path))
    optimizer.steps = state["steps"]
    for name in optimizer.state:
        optimizer.state[name] = _without_prefix(f"optimizer/{name}", arrays)
    for name, counters in state["counters"].items():
        model.layers[name].set_counters(counters)
    rng = np.random.default_rng()
    rng.bit_generator.state = state["rng"]
    best_loss = float("inf") if state["best_loss"] is None else state["best_loss"]
    best = _without_prefix("best", arrays)
    return Progress(rng, History.from_dict(state["history"]), best_loss, best, state["stopped"])
