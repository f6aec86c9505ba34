"""A network that takes the noise out of images."""

from __future__ import annotations

from dipkernels.arguments import integer
from dipkernels.checks import checked, shape, whole
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Layer
from dipkernels.nn.merge import Add


@checked(input_shape=shape("CHW"), width=whole(1))
def dncnn(input_shape: tuple[int, int, int] = (3, 64, 64), *, depth: int = 6, width: int = 32, seed: int = 0) -> Graph:
    """Residual denoising: `depth` convolutions 3×3 of `width` filters, with ReLU and, between the first and the last,
    batch normalisation, work out what is to be added to the image, which is the noise with the opposite sign.

    Takes noisy images float32 (N, C, H, W), gives clean ones; `train.fit` with loss "mse" and the clean images as
    targets. ValueError for a depth below 2. Source: Zhang, Zuo, Chen, Meng, Zhang 2017, "DnCNN"; lecture, denoising.

    >>> dncnn((1, 16, 16)).shapes["clean"]
    (1, 16, 16)
    """
    depth, colours = integer("dncnn", "depth", depth, 2), input_shape[0]
    nodes: dict[str, tuple[Layer, list[str]]] = {
        "conv1": (Conv2d(colours, width, 3, padding=1, activation="relu"), ["x"])
    }
    last = "conv1"
    for i in range(2, depth):
        nodes[f"conv{i}"] = (Conv2d(width, width, 3, padding=1, bias=False), [last])
        nodes[f"norm{i}"] = (BatchNorm(width, activation="relu"), [f"conv{i}"])
        last = f"norm{i}"
    nodes[f"conv{depth}"] = (Conv2d(width, colours, 3, padding=1), [last])
    nodes["clean"] = (Add(), ["x", f"conv{depth}"])
    network = Graph({"x": input_shape}, nodes, ["clean"], seed=seed)
    network.parameters[f"conv{depth}.weight"][...] *= 0.1  # it begins near the image itself
    return network
