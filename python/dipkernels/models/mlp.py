"""Multilayer perceptrons of dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dipkernels.arguments import size_of_one
from dipkernels.checks import checked, listed, whole
from dipkernels.nn.graph import Sequential
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear
from dipkernels.nn.reshape import Flatten
from dipkernels.ops.activation import Activation, check_activation


@checked(sizes=listed(whole(1), 2))
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
    check_activation("mlp", activation)
    shape = (sizes[0],) if input_shape is None else size_of_one("mlp", "input_shape", input_shape)
    layers: dict[str, Layer] = {"flatten": Flatten()} if len(shape) > 1 else {}
    last = len(sizes) - 1
    for i, (before, after) in enumerate(pairwise(sizes), 1):
        layers[f"fc{i}"] = Linear(before, after, activation=activation if i < last else None)
    initializer = "glorot_uniform" if isinstance(activation, str) and activation in ("sigmoid", "tanh") else "he_normal"
    return Sequential(shape, layers, seed=seed, initializer=initializer)
