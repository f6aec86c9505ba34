"""The idx format of MNIST: big-endian magic number and sizes, then the bytes. Source: LeCun's MNIST page."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

_UNSIGNED_BYTE = 0x08


def read_idx(path: str | Path) -> npt.NDArray[np.uint8]:
    """The unsigned bytes of an idx file, plain or gzip, in their shape.

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
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error}); fetch it again") from error
    if len(content) < 4:
        raise ValueError(f"{path}: {len(content)} bytes are too few for an idx file")
    zeros, kind, rank = struct.unpack(">HBB", content[:4])
    if zeros != 0 or not 0 < rank <= 32:
        magic = int.from_bytes(content[:4], "big")
        raise ValueError(f"{path}: magic number {magic} is none of an idx file (2051 for images, 2049 for labels)")
    if kind != _UNSIGNED_BYTE:
        raise ValueError(f"{path}: holds elements of type {kind:#04x}; only unsigned bytes (0x08) are read")
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(f"{path}: ends within its header")
    shape = struct.unpack(f">{rank}I", content[4:start])
    found, expected = len(content) - start, math.prod(shape)
    if found != expected:
        state = "is cut off" if found < expected else "is too long"
        raise ValueError(f"{path}: {state}: shape {shape} needs {expected} bytes of data, got {found}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
