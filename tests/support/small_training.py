"""A data set and a model that train in no time."""

from __future__ import annotations

import numpy as np

from dipkernels import data, nn


def blobs(n: int = 240) -> data.Dataset:
    """Three classes of points around three centres."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 3, n)
    centres = np.float32([[0, 2], [-2, -1], [2, -1]])
    return data.Dataset(centres[t] + rng.standard_normal((n, 2), np.float32) * np.float32(0.5), t)


def small_model(dropout: bool = False) -> nn.Sequential:
    layers: list[nn.Layer] = [nn.Linear(2, 16, activation="relu")]
    if dropout:
        layers.append(nn.Dropout(0.2, seed=5))
    return nn.Sequential((2,), *layers, nn.Linear(16, 3), seed=1)
