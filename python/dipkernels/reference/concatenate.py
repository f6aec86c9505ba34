"""Oracles of concatenation along the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dipkernels.reference.geometry import Float64

__all__ = ["concatenate", "concatenate_backward"]


def concatenate(inputs: Sequence[Any]) -> Float64:
    """One behind the other."""
    return np.concatenate([np.asarray(x, np.float64) for x in inputs], axis=1)


def concatenate_backward(dy: Any, channels: Sequence[int]) -> tuple[Float64, ...]:
    """Each input's part of dy."""
    dy = np.asarray(dy, np.float64)
    ends = np.cumsum(channels)
    return tuple(dy[:, end - count : end] for end, count in zip(ends, channels, strict=True))
