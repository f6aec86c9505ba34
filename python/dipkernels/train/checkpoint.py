"""All that training needs to go on exactly where it stopped, in one safetensors file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dipkernels.arguments import flag, integer, number
from dipkernels.nn.graph import Graph
from dipkernels.nn.optimizers import Optimizer
from dipkernels.nn.serialization import CHECKSUM, check_fit, load_arrays, save_arrays, set_state
from dipkernels.ops.backend import FloatArray
from dipkernels.train.history import History, to_json


@dataclass
class RunState:
    """The state of a training run besides model and optimizer."""

    rng: np.random.Generator
    history: History = field(default_factory=History)
    best_loss: float = float("inf")
    best: dict[str, FloatArray] = field(default_factory=dict)
    loss: dict[str, FloatArray] = field(default_factory=dict)  # what the loss itself has learned
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


def save_checkpoint(path: Path, model: Graph, optimizer: Optimizer, run: RunState) -> None:
    """Writes everything, whole or not at all."""
    arrays = {**_prefixed("parameters", model.state), **_prefixed("best", run.best), **_prefixed("loss", run.loss)}
    for name, states in optimizer.state.items():
        arrays.update(_prefixed(f"optimizer/{name}", states))
    state: dict[str, Any] = {
        "optimizer": type(optimizer).__name__,
        "steps": optimizer.steps,
        "rng": run.rng.bit_generator.state,
        "history": run.history.to_dict(),
        "best_loss": run.best_loss if np.isfinite(run.best_loss) else None,
        "stopped": run.stopped,
        "counters": {name: layer.counters() for name, layer in model.layers.items()},
    }
    save_arrays(path, arrays, {"checkpoint": to_json(state)})


@dataclass
class Checkpoint:
    """A file's content, checked for a model and an optimizer that it has not changed yet."""

    run: RunState
    parameters: dict[str, FloatArray]
    states: dict[str, dict[str, FloatArray]]
    steps: int
    counters: dict[str, dict[str, int]]

    def restore(self, model: Graph, optimizer: Optimizer) -> RunState:
        """Puts model and optimizer back into the state of the file, and returns the rest."""
        set_state(model, self.parameters, "the checkpoint")
        optimizer.steps, optimizer.state = self.steps, self.states
        for name, counters in self.counters.items():
            model.layers[name].set_counters(counters)
        return self.run


def load_checkpoint(path: Path, model: Graph, optimizer: Optimizer) -> Checkpoint:
    """Reads the file and checks all of it.

    ValueError, with the path, where it is damaged, of another model or optimizer, or no checkpoint.
    """
    arrays, metadata = load_arrays(path)
    if "checkpoint" not in metadata:
        raise ValueError(f"{path} holds weights, but is no checkpoint to resume from")
    if CHECKSUM not in metadata:
        raise ValueError(f"{path} is a damaged checkpoint: it has lost its checksum")
    try:
        return _checked(json.loads(metadata["checkpoint"]), arrays, model, optimizer, str(path))
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is a damaged checkpoint: {type(error).__name__}: {error}") from error
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f"{path} is a damaged checkpoint: {error}") from error


def _checked(
    state: dict[str, Any], arrays: dict[str, FloatArray], model: Graph, optimizer: Optimizer, source: str
) -> Checkpoint:
    if state["optimizer"] != type(optimizer).__name__:
        raise ValueError(f"{source}: training used {state['optimizer']}, not {type(optimizer).__name__}")
    parameters, best = _without_prefix("parameters", arrays), _without_prefix("best", arrays)
    check_fit(parameters, model.state, source, "weights are of another model")
    if best:
        check_fit(best, model.state, source, "best weights are of another model")
    steps = integer("checkpoint", "steps", state["steps"], 0)
    states = {name: _without_prefix(f"optimizer/{name}", arrays) for name in optimizer.state}
    for name, values in states.items():
        if steps or values:
            check_fit(values, model.parameters, source, f"{name} of the optimizer are of another model")
    counters = {name: layer.counters() for name, layer in model.layers.items()}
    for name, expected in counters.items():
        found = state["counters"].get(name, {})
        if found.keys() != expected.keys():
            raise ValueError(f"layer {name} counts {sorted(expected)}, and the file has {sorted(found)}")
        counters[name] = {key: integer("checkpoint", f"{name}.{key}", value, 0) for key, value in found.items()}
    rng = np.random.default_rng()
    rng.bit_generator.state = state["rng"]
    best_loss = float("inf") if state["best_loss"] is None else number("checkpoint", "best_loss", state["best_loss"])
    run = RunState(
        rng,
        History.from_dict(state["history"]),
        best_loss,
        best,
        _without_prefix("loss", arrays),
        flag("checkpoint", "stopped", state["stopped"]),
    )
    return Checkpoint(run, parameters, states, steps, counters)
