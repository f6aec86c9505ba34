"""PyTorch's tensors for cross-checks, in float64, and how near they must be."""

from __future__ import annotations

from typing import Any

import numpy as np


def tensor(a: Any, *, grad: bool = False) -> Any:
    """An array as PyTorch's: real numbers in float64, integers in int64."""
    import torch

    t = torch.from_numpy(np.ascontiguousarray(a))
    return t.double().requires_grad_(grad) if t.is_floating_point() else t.long()


def close(got: Any, expected: Any, scale: float = 1.0) -> None:
    """Whether a result is PyTorch's, as far as float32 goes; `scale` for sums of many numbers."""
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=2e-5, atol=2e-5 * scale)
