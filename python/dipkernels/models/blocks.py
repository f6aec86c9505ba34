"""What the nodes of several networks are built of."""

from __future__ import annotations

from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.layer import Layer

Nodes = dict[str, tuple[Layer, list[str]]]


def convolve(nodes: Nodes, name: str, before: str, channels: int, filters: int) -> str:
    """Adds a 3×3 convolution, batch normalisation and ReLU, and returns the name of their result."""
    nodes[f"{name}_conv"] = (Conv2d(channels, filters, 3, padding=1, bias=False), [before])
    nodes[name] = (BatchNorm(filters, activation="relu"), [f"{name}_conv"])
    return name
