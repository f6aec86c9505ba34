"""Oracle of dropout: Philox4x32-10 with Python's integers, as the paper's table has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["dropout", "dropout_backward"]

_WORD = 2**32


def philox4x32(seed: int, offset: int, counter: int) -> tuple[int, int, int, int]:
    """The four words of the block with counter (counter, offset) and key seed, each two 32-bit halves, low first."""
    key = [seed % _WORD, seed // _WORD]
    c = [counter % _WORD, counter // _WORD, offset % _WORD, offset // _WORD]
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [second // _WORD ^ c[1] ^ key[0], second % _WORD, first // _WORD ^ c[3] ^ key[1], first % _WORD]
        key = [(key[0] + 0x9E3779B9) % _WORD, (key[1] + 0xBB67AE85) % _WORD]
    return c[0], c[1], c[2], c[3]


def dropout(x: Any, p: float = 0.5, *, seed: int, offset: int = 0, device_offset: Any = None) -> Float64:
    """Keeps element i where word i mod 4 of block i // 4 is at least p·2³², times 1/(1 − p)."""
    x = np.asarray(x, np.float64)
    if device_offset is not None:
        offset = (offset + int(device_offset[0])) % 2**64
    blocks = [philox4x32(seed, offset, i) for i in range(-(-x.size // 4))]
    words = np.array(blocks, np.float64).reshape(-1)[: x.size].reshape(x.shape)
    return np.where(words >= p * _WORD, x / (1 - p if p < 1 else 1.0), 0.0)


def dropout_backward(dy: Any, p: float = 0.5, *, seed: int, offset: int = 0, device_offset: Any = None) -> Float64:
    """dy through the same mask."""
    return dropout(dy, p, seed=seed, offset=offset, device_offset=device_offset)
