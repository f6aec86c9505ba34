"""The idx format of MNIST: big-endian magic number and sizes, then the bytes. Source: LeCun's MNIST page."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

_UNSIGNED_BYTE = 0x08


_PIECE = 1 << 20


def _read(file: BinaryIO, count: int) -> bytearray:
    """Up to so many bytes, piece by piece: a file may promise far more than it has."""
    content = bytearray()
    while len(content) < count:
        piece = file.read(min(count - len(content), _PIECE))
        if not piece:
            break
        content += piece
    return content


def read_idx(path: str | Path) -> npt.NDArray[np.uint8]:
    """The unsigned bytes of an idx file, plain or gzip, in their shape.

    Of a gzip file no more is unpacked than its header promises, and one byte.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is no idx file of unsigned bytes, is damaged, too short or too long; the message says which.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with path.open("rb") as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            return _parse(path, file)
        try:
            with gzip.open(file) as unpacked:
                return _parse(path, cast("BinaryIO", unpacked))
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error}); fetch it again") from error


def _parse(path: Path, file: BinaryIO) -> npt.NDArray[np.uint8]:
    magic = _read(file, 4)
    if len(magic) < 4:
        raise ValueError(f"{path}: {len(magic)} bytes are too few for an idx file")
    zeros, kind, rank = struct.unpack(">HBB", magic)
    if zeros != 0 or not 0 < rank <= 32:
        number = int.from_bytes(magic, "big")
        raise ValueError(f"{path}: magic number {number} is none of an idx file (2051 for images, 2049 for labels)")
    if kind != _UNSIGNED_BYTE:
        raise ValueError(f"{path}: holds elements of type {kind:#04x}; only unsigned bytes (0x08) are read")
    sizes = _read(file, 4 * rank)
    if len(sizes) < 4 * rank:
        raise ValueError(f"{path}: ends within its header")
    shape = struct.unpack(f">{rank}I", sizes)
    expected = math.prod(shape)
    content = _read(file, expected + 1)
    if len(content) < expected:
        raise ValueError(f"{path}: is cut off: shape {shape} needs {expected} bytes of data, got {len(content)}")
    if len(content) > expected:
        raise ValueError(f"{path}: is too long: shape {shape} needs {expected} bytes of data, got more")
    try:
        return np.frombuffer(content, np.uint8).reshape(shape)
    except ValueError as error:  # no bytes at all, and sizes whose product leaves 64 bits
        raise ValueError(f"{path}: shape {shape} is no array's: {error}") from error
