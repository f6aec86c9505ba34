"""AlexNet."""

from __future__ import annotations

from dipkernels.arguments import flag
from dipkernels.checks import checked, whole
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.dropout import Dropout
from dipkernels.nn.graph import Sequential
from dipkernels.nn.linear import Linear
from dipkernels.nn.local_response_norm import LocalResponseNorm
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Flatten


@checked(classes=whole(1), response_norm=flag)
def alexnet(classes: int = 1000, *, response_norm: bool = True, seed: int = 0) -> Sequential:
    """227×227×3 → 96 filters 11×11×3 with stride 4 → … → 4096 → 4096 → classes; 60,965,224 weights for 1000.

    With the paper's two groups, overlapping max pooling and, unless `response_norm` is False, its normalisation of
    neighbouring channels behind the first two convolutions. Takes float32 (N, 3, 227, 227), gives logits. Source:
    Krizhevsky, Sutskever, Hinton 2012.
    """
    norm = [{f"norm{i}": LocalResponseNorm(5, 5e-4, 0.75, 2.0)} if response_norm else {} for i in (1, 2)]
    return Sequential(
        (3, 227, 227),
        {
            "conv1": Conv2d(3, 96, 11, stride=4, activation="relu"),
            **norm[0],
            "pool1": MaxPool2d(3, stride=2),
            "conv2": Conv2d(96, 256, 5, padding=2, groups=2, activation="relu"),
            **norm[1],
            "pool2": MaxPool2d(3, stride=2),
            "conv3": Conv2d(256, 384, 3, padding=1, activation="relu"),
            "conv4": Conv2d(384, 384, 3, padding=1, groups=2, activation="relu"),
            "conv5": Conv2d(384, 256, 3, padding=1, groups=2, activation="relu"),
            "pool5": MaxPool2d(3, stride=2),
            "flatten": Flatten(),
            "dropout6": Dropout(0.5, seed=6),
            "fc6": Linear(256 * 6 * 6, 4096, activation="relu"),
            "dropout7": Dropout(0.5, seed=7),
            "fc7": Linear(4096, 4096, activation="relu"),
            "fc8": Linear(4096, classes),
        },
        seed=seed,
    )
