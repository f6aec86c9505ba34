"""Multilayer perceptrons of dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dipkernels.nn.graph import Sequential
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear
from dipkernels.nn.reshape import Flatten
from dipkernels.ops.activation import Activation


def mlp(
    sizes: Sequence[int] = (784, 300, 100, 10),
    activation: Activation = "relu",
    *,
    input_shape: tuple[int, ...] | None = None,
    seed: int = 0,
) -> Sequential:
    """Fully connected layers of these sizes, the first being the input's; logits come out.

    `input_shape`, (1, 28, 28) say, has the network take images and flatten them. Source: lecture, MNIST by an MLP
    784-300-100-10 with 266,610 weights.

    >>> mlp().parameter_count
    266610
    """
    if len(sizes) < 2:
        raise ValueError(f"mlp: sizes must hold the input's and at least one layer's, got {list(sizes)}")
    layers: dict[str, Layer] = {"flatten": Flatten()} if input_shape else {}
    last = len(sizes) - 1
    for i, (before, after) in enumerate(pairwise(sizes), 1):
        layers[f"fc{i}"] = Linear(before, after, activation=activation if i < last else None)
    initializer = "glorot_uniform" if activation in ("sigmoid", "tanh") else "he_normal"
    return Sequential(input_shape or (sizes[0],), layers, seed=seed, initializer=initializer)
