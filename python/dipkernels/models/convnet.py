"""The lecture's pattern of convolutional networks."""

from __future__ import annotations

from dipkernels.arguments import flag, integer
from dipkernels.checks import checked, shape, whole
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Sequential
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Flatten


@checked(input_shape=shape("CHW"), channels=whole(1), hidden=whole(1), classes=whole(1), pool=flag)
def convnet(
    N: int = 2,
    M: int = 2,
    K: int = 1,
    *,
    input_shape: tuple[int, int, int] = (1, 32, 32),
    channels: int = 16,
    hidden: int = 128,
    classes: int = 10,
    pool: bool = True,
    seed: int = 0,
) -> Sequential:
    """INPUT → [[CONV → RELU]·N → POOL?]·M → [FC → RELU]·K → FC.

    The convolutions are 3×3 with padding 1; every block after the first has twice the channels, and max pooling 2×2
    halves height and width where `pool` is True. Raises ValueError where they cannot be halved M times.

    Source: lecture, network patterns; Simonyan, Zisserman 2015.

    >>> convnet(1, 2, 0, channels=4).shapes["pool2"]
    (8, 8, 8)
    """
    N, M, K = integer("convnet", "N", N, 1), integer("convnet", "M", M, 0), integer("convnet", "K", K, 0)
    channels, hidden = integer("convnet", "channels", channels, 1), integer("convnet", "hidden", hidden, 1)
    if flag("convnet", "pool", pool) and any(n % 2**M for n in input_shape[1:]):
        raise ValueError(f"convnet: M must be so small that {input_shape[1:]} can be halved so often, got {M}")
    layers: dict[str, Layer] = {}
    depth, height, width = input_shape
    for block in range(1, M + 1):
        filters = channels * 2 ** (block - 1)
        for i in range(1, N + 1):
            layers[f"conv{block}_{i}"] = Conv2d(depth, filters, 3, padding=1, activation="relu")
            depth = filters
        if pool:
            layers[f"pool{block}"] = MaxPool2d(2)
            height, width = height // 2, width // 2
    layers["flatten"] = Flatten()
    features = depth * height * width
    for i in range(1, K + 1):
        layers[f"fc{i}"] = Linear(features, hidden, activation="relu")
        features = hidden
    layers[f"fc{K + 1}"] = Linear(features, classes)
    return Sequential(input_shape, layers, seed=seed)
