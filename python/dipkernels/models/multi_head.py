"""A convolutional trunk that several tasks share, with a head for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dipkernels.arguments import flag, integer
from dipkernels.checks import checked, listed, mapping, shape, whole
from dipkernels.models.blocks import Nodes, convolve
from dipkernels.nn.graph import Graph
from dipkernels.nn.linear import Linear
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Flatten
from dipkernels.nn.weights import Weights


@checked(
    heads=mapping(whole(1), 1),
    input_shape=shape("CHW"),
    channels=listed(whole(1), 1),
    hidden=whole(1),
    log_variances=flag,
)
def multi_head(
    heads: Mapping[str, int],
    input_shape: tuple[int, int, int] = (1, 16, 16),
    *,
    channels: Sequence[int] = (16, 32),
    hidden: int = 64,
    log_variances: bool = False,
    seed: int = 0,
) -> Graph:
    """Stages of a 3×3 convolution with batch normalisation, ReLU and max pooling, a fully connected layer, and on it a
    linear head for each task, {"digit": 10, "slant": 1}: float32 (N, C, H, W) to a tuple of (N, count).

    With `log_variances` a last output (tasks,) has the numbers by which `train.MultiTaskLoss` weights the tasks.
    ValueError for images that cannot be halved so often, or without a head. Source: lecture, multi-task networks:
    shared features, a head for every task.

    >>> multi_head({"digit": 10, "slant": 1}).outputs
    ['digit', 'slant']
    """
    if min(input_shape[1:]) >> len(channels) < 1:
        raise ValueError(
            f"multi_head: input_shape must be (C, H, W), large enough to be halved {len(channels)} times, got "
            f"{input_shape}"
        )
    nodes: Nodes = {}
    depth, last = input_shape[0], "x"
    for i, filters in enumerate(channels, 1):
        last = convolve(nodes, f"stage{i}", last, depth, filters)
        nodes[f"pool{i}"] = (MaxPool2d(2, rounding="floor"), [last])
        depth, last = filters, f"pool{i}"
    nodes["flat"] = (Flatten(), [last])
    features = depth * (input_shape[1] >> len(channels)) * (input_shape[2] >> len(channels))
    nodes["hidden"] = (Linear(features, hidden, activation="relu"), ["flat"])
    for name, count in heads.items():
        nodes[name] = (Linear(hidden, integer("multi_head", f"heads[{name!r}]", count, 1)), ["hidden"])
    outputs = list(heads)
    if log_variances:
        nodes["log_variances"] = (Weights(len(heads)), ["x"])
        outputs.append("log_variances")
    return Graph({"x": input_shape}, nodes, outputs, seed=seed)
