"""The convolutions that all detectors begin with."""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels.models.blocks import Nodes, convolve
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.pooling import MaxPool2d


def backbone(nodes: Nodes, colours: int, channels: Sequence[int]) -> list[str]:
    """Adds two convolutions for each number of channels, and max pooling between them: stage i has 1/2ⁱ of the image's
    height and width. Returns the names of the stages' results.
    """
    nodes["input_norm"] = (BatchNorm(colours), ["x"])
    last, depth, stages = "input_norm", colours, []
    for i, filters in enumerate(channels, 1):
        if i > 1:
            nodes[f"pool{i - 1}"] = (MaxPool2d(2, rounding="floor"), [last])
            last = f"pool{i - 1}"
        last = convolve(nodes, f"stage{i}_1", last, depth, filters)
        last = convolve(nodes, f"stage{i}_2", last, filters, filters)
        depth = filters
        stages.append(last)
    return stages
