"""Weights as safetensors files: a header and the plain numbers, no code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dipkernels.ops.backend import FloatArray, assign, to_host

if TYPE_CHECKING:
    from dipkernels.nn.graph import Graph

_hint = 'safetensors is not installed; pip install "dipkernels[train]"'


def save_arrays(path: str | Path, arrays: Mapping[str, FloatArray], metadata: Mapping[str, str]) -> None:
    """Writes named arrays and texts to `path`, in one step: an interrupted write leaves the old file."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(_hint) from error
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    # The file holds rows one after the other, whatever order an array has them in.
    rows = {name: np.ascontiguousarray(to_host(array)) for name, array in arrays.items()}
    try:
        save_file(rows, str(unfinished), dict(metadata))
    except SafetensorError as error:  # of a full disk, say, which it does not call an OSError
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{path} cannot be written: {error}") from error
    unfinished.chmod(0o666 & ~_umask())  # as any file that is written here; safetensors makes it private
    unfinished.replace(path)


def _umask() -> int:
    """The bits that new files lack; it can only be asked for by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def load_arrays(path: str | Path) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """The arrays, as float32, and the texts of a file. Arrays of float16 and bfloat16 are widened.

    FileNotFoundError where there is none, ValueError where it is damaged or has arrays of another dtype.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError(_hint) from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(str(path), framework="numpy") as file:
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            for name, dtype in dtypes.items():
                if dtype not in ("F32", "F16", "BF16"):
                    raise ValueError(f"{path}: {name} must be float32, float16 or bfloat16, got {dtype}")
            arrays = {name: file.get_tensor(name) for name, dtype in dtypes.items() if dtype != "BF16"}
            metadata = dict(file.metadata() or {})
        if "BF16" in dtypes.values():
            arrays.update(_bfloat16_arrays(Path(path).read_bytes()))
        return {name: arrays[name].astype(np.float32, copy=False) for name in dtypes}, metadata
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or a damaged one: {error}") from error


def _bfloat16_arrays(content: bytes) -> dict[str, FloatArray]:
    """Those of a safetensors file, which NumPy has no dtype for: the upper halves of float32 numbers."""
    from safetensors import deserialize

    found: dict[str, FloatArray] = {}
    for name, tensor in deserialize(content):  # type: ignore[no-untyped-call]
        if tensor["dtype"] == "BF16":
            bits = np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16
            found[name] = bits.view(np.float32).reshape(tensor["shape"])
    return found


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
