"""Networks that give a class to every pixel: SegNet, which only remembers where its maxima were, and a fully
convolutional network with skip connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from dipkernels.arguments import choice
from dipkernels.checks import checked, listed, shape, whole
from dipkernels.models.blocks import Nodes, convolve
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.conv_transpose import ConvTranspose2d
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Layer
from dipkernels.nn.merge import Add
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Pad2d
from dipkernels.nn.upsampling import BedOfNails2d, MaxUnpool2d, UpsampleBilinear2d, UpsampleNearest2d

Upsampling: TypeAlias = Literal["max_unpool", "nearest", "bilinear", "bed_of_nails", "transposed"]
"""How a decoder doubles a map; the first takes the places of the encoder's maxima."""

UPSAMPLINGS: tuple[Upsampling, ...] = ("max_unpool", "nearest", "bilinear", "bed_of_nails", "transposed")


class _Builder:
    """Nodes, one after the other; `last` is the newest."""

    def __init__(self) -> None:
        self.nodes: Nodes = {}
        self.last = "x"

    def add(self, name: str, layer: Layer, *before: str) -> str:
        self.nodes[name] = (layer, list(before) or [self.last])
        self.last = name
        return name

    def convolve(self, name: str, channels: int, filters: int) -> str:
        self.last = convolve(self.nodes, name, self.last, channels, filters)
        return self.last


def _double(kind: Upsampling, pool: MaxPool2d, channels: int, size: tuple[int, int]) -> list[Layer]:
    """The layers that bring what `pool` made half as large back to `size`."""
    odd = [n % 2 for n in size]
    if kind == "max_unpool":
        return [MaxUnpool2d(pool)]
    if kind == "nearest":
        return [UpsampleNearest2d(size=size)]
    if kind == "bilinear":
        return [UpsampleBilinear2d(size=size)]
    if kind == "transposed":
        return [ConvTranspose2d(channels, channels, 2, stride=2), *_grow(odd)]
    return [BedOfNails2d(2), *_grow(odd)]


def _grow(odd: Sequence[int]) -> list[Layer]:
    return [Pad2d(((0, odd[0]), (0, odd[1])))] if any(odd) else []


def _encoder_decoder(
    op: str,
    classes: int,
    input_shape: tuple[int, int, int],
    channels: Sequence[int],
    upsampling: Upsampling,
    skips: bool,
    seed: int,
) -> Graph:
    choice(op, "upsampling", upsampling, UPSAMPLINGS)
    colours, height, width = input_shape
    if not channels or min(height, width) >> len(channels) < 1:
        raise ValueError(f"{op}: channels must have from 1 to so many stages as {height} × {width} can be halved, "
                         f"got {len(channels)}")  # fmt: skip
    net = _Builder()
    net.add("input_norm", BatchNorm(colours))
    stages: list[tuple[str, MaxPool2d, tuple[int, int]]] = []
    depth = colours
    for i, filters in enumerate(channels, 1):
        net.convolve(f"encode{i}_1", depth, filters)
        before = net.convolve(f"encode{i}_2", filters, filters)
        pool = MaxPool2d(2, rounding="floor")
        stages.append((before, pool, (height, width)))
        net.add(f"pool{i}", pool)
        depth, height, width = filters, height // 2, width // 2
    for i in range(len(channels), 0, -1):
        before, pool, size = stages[i - 1]
        for j, layer in enumerate(_double(upsampling, pool, channels[i - 1], size)):
            net.add(f"up{i}" + "_grown" * j, layer)
        if skips:
            up = net.last
            skip = net.add(f"skip{i}", Conv2d(channels[i - 1], channels[i - 1], 1), before)
            net.add(f"sum{i}", Add(), up, skip)
        net.convolve(f"decode{i}", channels[i - 1], channels[max(i - 2, 0)])
    net.add("scores", Conv2d(channels[0], classes, 1))
    return Graph({"x": input_shape}, net.nodes, ["scores"], seed=seed)


@checked(classes=whole(2), input_shape=shape("CHW"), channels=listed(whole(1), 1))
def segnet(
    classes: int,
    input_shape: tuple[int, int, int] = (3, 180, 240),
    *,
    channels: Sequence[int] = (32, 64, 128, 192),
    upsampling: Upsampling = "max_unpool",
    seed: int = 0,
) -> Graph:
    """An encoder that halves the image as often as `channels` has stages, and a decoder that doubles it as often.

    A stage is two 3×3 convolutions with batch normalisation and ReLU and max pooling; backwards `upsampling` and one
    such convolution. With "max_unpool" every maximum goes back to where it came from, which is all that the decoder
    knows of the encoder's large maps. Takes float32 (N, C, H, W), gives logits (N, classes, H, W).

    Raises ValueError for an image that cannot be halved so often. Source: Badrinarayanan, Kendall, Cipolla 2017.

    >>> segnet(11).shapes["scores"]
    (11, 180, 240)
    """
    return _encoder_decoder("segnet", classes, input_shape, channels, upsampling, False, seed)


@checked(classes=whole(2), input_shape=shape("CHW"), channels=listed(whole(1), 1))
def fcn(
    classes: int,
    input_shape: tuple[int, int, int] = (3, 180, 240),
    *,
    channels: Sequence[int] = (32, 64, 128, 192),
    upsampling: Upsampling = "bilinear",
    seed: int = 0,
) -> Graph:
    """A fully convolutional network with skip connections: each doubled map and a 1×1 convolution of the encoder's map
    of that size are added.

    Otherwise as `segnet`. Source: Long, Shelhamer, Darrell 2015; lecture, fully convolutional networks.

    >>> fcn(5, (1, 64, 64), channels=(8, 16)).shapes["scores"]
    (5, 64, 64)
    """
    return _encoder_decoder("fcn", classes, input_shape, channels, upsampling, True, seed)
