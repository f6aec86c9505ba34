"""Weights as safetensors files: a header and the plain numbers, no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dipkernels.ops.backend import FloatArray, assign, to_host

if TYPE_CHECKING:
    from dipkernels.nn.graph import Graph

_hint = 'safetensors is not installed; pip install "dipkernels[train]"'


def save_arrays(path: str | Path, arrays: Mapping[str, FloatArray], metadata: Mapping[str, str]) -> None:
    """Writes named arrays and texts to `path`, in one step: an interrupted write leaves the old file."""
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(_hint) from error
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    save_file({name: to_host(array) for name, array in arrays.items()}, str(unfinished), dict(metadata))
    unfinished.replace(path)


def load_arrays(path: str | Path) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """The arrays and texts of a file. FileNotFoundError where there is none, ValueError where it is damaged."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError(_hint) from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or a damaged one: {error}") from error


def save_state(model: Graph, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the model's weights, named as in `model.parameters`, and `metadata`, to a safetensors file."""
    save_arrays(path, model.parameters, metadata or {})


def load_state(model: Graph, path: str | Path) -> dict[str, str]:
    """Reads weights into `model` and returns the file's metadata.

    Raises ValueError, and changes nothing, where names or shapes are not those of the model.
    """
    arrays, metadata = load_arrays(path)
    set_parameters(model, arrays, str(path))
    return metadata


def set_parameters(model: Graph, arrays: Mapping[str, FloatArray], source: str) -> None:
    """Copies `arrays` into the parameters of the same names; ValueError, naming `source`, where they do not fit."""
    parameters = model.parameters
    if arrays.keys() != parameters.keys():
        raise ValueError(
            f"{source}: the weights are of another model: "
            f"missing {sorted(parameters.keys() - arrays.keys())}, unknown {sorted(arrays.keys() - parameters.keys())}"
        )
    for name, value in parameters.items():
        if arrays[name].shape != value.shape or arrays[name].dtype != value.dtype:
            raise ValueError(
                f"{source}: {name} must be {value.dtype} {value.shape}, got {arrays[name].dtype} {arrays[name].shape}"
            )
    for name, value in parameters.items():
        assign(value, arrays[name])


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata that `save_state` wrote."""
    return load_arrays(path)[1]
