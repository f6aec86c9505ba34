"""LeNet-5."""

from __future__ import annotations

from dipkernels.checks import checked, whole
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Sequential
from dipkernels.nn.linear import Linear
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Flatten
from dipkernels.ops.activation import Activation


@checked(classes=whole(1))
def lenet5(classes: int = 10, activation: Activation = "relu", *, seed: int = 0) -> Sequential:
    """32×32×1 → conv 28×28×6 → max pool 14×14×6 → conv 10×10×16 → max pool 5×5×16 → 120 → 100 → classes.

    Takes float32 (N, 1, 32, 32), gives logits (N, classes). Source: LeCun et al. 1998, as the lecture draws it.

    >>> lenet5().parameter_count
    63802
    """
    return Sequential(
        (1, 32, 32),
        {
            "conv1": Conv2d(1, 6, 5, activation=activation),
            "pool1": MaxPool2d(2),
            "conv2": Conv2d(6, 16, 5, activation=activation),
            "pool2": MaxPool2d(2),
            "flatten": Flatten(),
            "fc1": Linear(400, 120, activation=activation),
            "fc2": Linear(120, 100, activation=activation),
            "fc3": Linear(100, classes),
        },
        seed=seed,
    )
