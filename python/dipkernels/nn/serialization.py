"""Weights as safetensors files: a header and the plain numbers, no code."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dipkernels.checks import checked, file_path, mapping, network, string
from dipkernels.files import whole_file
from dipkernels.ops.backend import FloatArray, assign, to_host

if TYPE_CHECKING:
    from dipkernels.nn.graph import Graph

CHECKSUM = "checksum"
"""The name of the text that `save_arrays` adds."""

_hint = 'safetensors is not installed; pip install "dipkernels[train]"'


def save_arrays(path: str | Path, arrays: Mapping[str, FloatArray], metadata: Mapping[str, str]) -> None:
    """Writes named arrays and texts, with a checksum, to `path`, whole or not at all. OSError where it cannot."""
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise ImportError(_hint) from error
    # The file holds rows one after the other, whatever order an array has them in.
    rows = {name: np.ascontiguousarray(to_host(array)) for name, array in arrays.items()}
    content = save(rows, {**metadata, CHECKSUM: checksum(rows, metadata)})
    with whole_file(path) as file:
        file.write(content)


def checksum(arrays: Mapping[str, FloatArray], metadata: Mapping[str, str]) -> str:
    """The CRC-32 of all names, numbers and texts: another one after any single fault of a disk or a transfer."""
    crc = 0
    for name, array in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).data.cast("B") if array.size else b"", crc)
    for name, text in sorted(metadata.items()):
        crc = zlib.crc32(f"{name} {text}".encode(), crc)
    return f"{crc:08x}"


def load_arrays(path: str | Path) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """The arrays, as float32, and the texts of a file. Arrays of float16 and bfloat16 are widened.

    FileNotFoundError where there is none, ValueError where it is damaged, which a checksum shows where the file has
    one, or has arrays of another dtype.
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
        if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(
            arrays, {name: text for name, text in metadata.items() if name != CHECKSUM}
        ):
            raise ValueError(f"{path} is damaged: its numbers are not those that were written; their checksum differs")
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


@checked(model=network, path=file_path, metadata=mapping(string))
def save_state(model: Graph, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the model's weights and buffers, named as in `model.state`, and `metadata`, to a safetensors file."""
    save_arrays(path, model.state, metadata or {})


@checked(model=network, path=file_path)
def load_state(model: Graph, path: str | Path) -> dict[str, str]:
    """Reads weights into `model` and returns the file's metadata.

    Raises ValueError, and changes nothing, where names or shapes are not those of the model; warns where weights are
    no finite numbers.
    """
    arrays, metadata = load_arrays(path)
    set_state(model, arrays, str(path))
    for name, array in arrays.items():
        if wrong := array.size - np.count_nonzero(np.isfinite(array)):
            warnings.warn(f"{path}: {wrong:,} of {array.size:,} numbers of {name} are NaN or infinite", stacklevel=2)
    metadata.pop(CHECKSUM, None)
    return metadata


def set_state(model: Graph, arrays: Mapping[str, FloatArray], source: str) -> None:
    """Copies `arrays` into the model's state of the same names; ValueError, naming `source`, where they do not fit."""
    state = model.state
    check_fit(arrays, state, source, "weights are of another model")
    for name, value in state.items():
        assign(value, arrays[name])


def check_fit(arrays: Mapping[str, FloatArray], parameters: Mapping[str, FloatArray], source: str, other: str) -> None:
    """ValueError, naming `source`, where `arrays` have other names, dtypes or shapes than the parameters."""
    if arrays.keys() != parameters.keys():
        raise ValueError(
            f"{source}: the {other}: "
            f"missing {sorted(parameters.keys() - arrays.keys())}, unknown {sorted(arrays.keys() - parameters.keys())}"
        )
    for name, value in parameters.items():
        if arrays[name].shape != value.shape or arrays[name].dtype != value.dtype:
            raise ValueError(
                f"{source}: {name} must be {value.dtype} {value.shape}, got {arrays[name].dtype} {arrays[name].shape}"
            )


@checked(path=file_path)
def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata that `save_state` wrote."""
    return {name: text for name, text in load_arrays(path)[1].items() if name != CHECKSUM}
