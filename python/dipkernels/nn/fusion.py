"""Which layers of a graph are computed by one kernel in training, with the same results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.layer import Layer
from dipkernels.nn.pooled_convolution import PooledConv2d, can_pool
from dipkernels.nn.pooling import MaxPool2d


class Step(NamedTuple):
    """What is computed at once: the value of node `name`, from those of the nodes `before`."""

    name: str
    layer: Layer
    before: list[str]


def fused(steps: Sequence[Step], outputs: Sequence[str]) -> list[Step]:
    """The steps in their order, with a convolution and the max pooling that alone follows it joined into one."""
    seen_by = [name for step in steps for name in step.before] + list(outputs)
    joined: dict[str, Step] = {}
    for step in steps:
        before = joined.get(step.before[0])
        if before and seen_by.count(before.name) == 1 and can_pool(before.layer, step.layer):
            layer = PooledConv2d(cast("Conv2d", before.layer), cast("MaxPool2d", step.layer))
            joined[step.name] = Step(step.name, layer, joined.pop(before.name).before)
        else:
            joined[step.name] = step
    return list(joined.values())
