"""Networks that see several images at once: Karpathy's four ways to join frames, C3D, and a motion estimator.

All take clips float32 (N, C, D, H, W), D the number of frames, also the one that looks at a single frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dipkernels import cuda
from dipkernels.arguments import integer, size_of_one
from dipkernels.checks import checked, listed, mapping, real, whole
from dipkernels.models.blocks import Nodes, convolve
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.convolution import Conv2d, Conv3d
from dipkernels.nn.dropout import Dropout
from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear
from dipkernels.nn.merge import Add, Concatenate
from dipkernels.nn.pooling import MaxPool2d, MaxPool3d
from dipkernels.nn.reshape import Flatten, Frame
from dipkernels.nn.upsampling import UpsampleNearest2d

ClipShape = tuple[int, int, int, int]
Classes = int | Mapping[str, int]
"""How many there are, or for several heads how many each has."""

SMALL = (1, 10, 32, 32)
"""The shape of `data.moving_digits`."""


def _classes(op: str, name: str, value: Any) -> Any:
    return (mapping(whole(1), 1) if isinstance(value, Mapping) else whole(1))(op, name, value)


def _clip_shape(op: str, shape: Any, stages: int, least_frames: int = 1) -> ClipShape:
    sizes = size_of_one(op, "input_shape", shape)
    if len(sizes) != 4:
        raise ValueError(f"{op}: input_shape must be (C, D, H, W), got {sizes}")
    colours, frames, height, width = sizes
    if frames < least_frames or min(height, width) >> stages < 1:
        raise ValueError(
            f"{op}: input_shape must have at least {least_frames} frames and be large enough to be halved {stages} "
            f"times, got {sizes}"
        )
    return colours, frames, height, width


def _stages(nodes: Nodes, before: str, depth: int, channels: Sequence[int], first: int, prefix: str = "") -> str:
    """Convolutions of images with pooling, numbered from `first`."""
    for i, filters in enumerate(channels, first):
        before = convolve(nodes, f"{prefix}stage{i}", before, depth, filters)
        nodes[f"{prefix}pool{i}"] = (MaxPool2d(2, rounding="floor"), [before])
        before, depth = f"{prefix}pool{i}", filters
    return before


def _convolve_clips(nodes: Nodes, name: str, before: str, channels: int, filters: int, frames: int, step: int) -> str:
    """A convolution over so many frames, every `step`-th, with batch normalisation and ReLU."""
    window: dict[str, Any] = {"stride": (step, 1, 1), "padding": (0, 1, 1), "rounding": "floor"}
    nodes[f"{name}_conv"] = (Conv3d(channels, filters, (frames, 3, 3), bias=False, **window), [before])
    nodes[name] = (BatchNorm(filters, activation="relu"), [f"{name}_conv"])
    return name


def _finish(
    op: str,
    shape: ClipShape,
    nodes: Nodes,
    before: Sequence[str],
    features: int,
    hidden: int,
    classes: Classes,
    seed: int,
) -> Graph:
    """From feature maps to logits, of one head or several; of several towers the features side by side."""
    flat = []
    for i, name in enumerate(before):
        flat.append(f"flat{i + 1}" if len(before) > 1 else "flat")
        nodes[flat[-1]] = (Flatten(), [name])
    if len(flat) > 1:
        nodes["together"] = (Concatenate(), flat)
    nodes["hidden"] = (Linear(features, hidden, activation="relu"), ["together" if len(flat) > 1 else flat[0]])
    return _with_heads(op, shape, nodes, "hidden", hidden, classes, seed)


def _with_heads(
    op: str, shape: ClipShape, nodes: Nodes, last: str, features: int, classes: Classes, seed: int
) -> Graph:
    """The network with a linear layer for every head."""
    heads = {"scores": classes} if isinstance(classes, int) else dict(classes)
    for name, count in heads.items():
        nodes[name] = (Linear(features, integer(op, f"classes of {name!r}", count, 2)), [last])
    return Graph({"x": shape}, nodes, list(heads), seed=seed)


def _features(shape: ClipShape, channels: Sequence[int]) -> int:
    return channels[-1] * (shape[2] >> len(channels)) * (shape[3] >> len(channels))


@checked(classes=_classes, channels=listed(whole(1), 1), hidden=whole(1))
def single_frame(
    classes: Classes,
    input_shape: ClipShape = SMALL,
    *,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 64,
    seed: int = 0,
) -> Graph:
    """Looks at the middle frame alone, to show what one image tells: float32 (N, C, D, H, W) to logits (N, classes).

    With several heads, {"digit": 10, "direction": 8}, a tuple of logits. A stage is a 3×3 convolution with batch
    normalisation, ReLU and max pooling, one for each of `channels`. ValueError for clips that cannot be halved so
    often. Source: lecture; Karpathy et al. 2014, "Single Frame".

    >>> single_frame(80).shapes["scores"]
    (80,)
    """
    shape = _clip_shape("single_frame", input_shape, len(channels))
    nodes: Nodes = {"frame": (Frame(shape[1] // 2), ["x"])}
    last = _stages(nodes, "frame", shape[0], channels, 1)
    return _finish("single_frame", shape, nodes, [last], _features(shape, channels), hidden, classes, seed)


@checked(classes=_classes, channels=listed(whole(1), 1), hidden=whole(1))
def late_fusion(
    classes: Classes,
    input_shape: ClipShape = SMALL,
    *,
    distance: int | None = None,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 64,
    seed: int = 0,
) -> Graph:
    """Two towers with the same weights on two frames `distance` apart, by default the first and the last; only the
    fully connected layers see both.

    Otherwise as `single_frame`. Source: lecture; Karpathy et al. 2014, "Late Fusion", with 15 frames in between.

    >>> late_fusion(80).twins["second_stage1_conv"]
    'first_stage1_conv'
    """
    shape = _clip_shape("late_fusion", input_shape, len(channels), 2)
    apart = shape[1] - 1 if distance is None else integer("late_fusion", "distance", distance, 1)
    if apart >= shape[1]:
        raise ValueError(f"late_fusion: distance must be below the number of frames, {shape[1]}, got {distance}")
    nodes: Nodes = {}
    first: Nodes = {"first_frame": (Frame(0), ["x"])}
    end = _stages(first, "first_frame", shape[0], channels, 1, "first_")
    nodes |= first
    nodes["second_frame"] = (Frame(apart), ["x"])
    for name, (layer, before) in first.items():
        if name != "first_frame":  # the very layer: one set of weights
            twin = layer if layer.parameters else MaxPool2d(2, rounding="floor")
            nodes[name.replace("first", "second")] = (twin, [each.replace("first", "second") for each in before])
    return _finish(
        "late_fusion",
        shape,
        nodes,
        [end, end.replace("first", "second")],
        2 * _features(shape, channels),
        hidden,
        classes,
        seed,
    )


@checked(classes=_classes, channels=listed(whole(1), 1), hidden=whole(1))
def early_fusion(
    classes: Classes,
    input_shape: ClipShape = SMALL,
    *,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 64,
    seed: int = 0,
) -> Graph:
    """The first convolution spans all frames, and what follows sees one image: motion is a matter of single pixels.

    Otherwise as `single_frame`. Source: lecture; Karpathy et al. 2014, "Early Fusion".

    >>> early_fusion(80).shapes["stage1"]
    (16, 1, 32, 32)
    """
    shape = _clip_shape("early_fusion", input_shape, len(channels))
    nodes: Nodes = {}
    _convolve_clips(nodes, "stage1", "x", shape[0], channels[0], shape[1], 1)
    nodes["frame"] = (Frame(0), ["stage1"])
    nodes["pool1"] = (MaxPool2d(2, rounding="floor"), ["frame"])
    last = _stages(nodes, "pool1", channels[0], channels[1:], 2)
    return _finish("early_fusion", shape, nodes, [last], _features(shape, channels), hidden, classes, seed)


@checked(classes=_classes, channels=listed(whole(1), count=3), hidden=whole(1))
def slow_fusion(
    classes: Classes,
    input_shape: ClipShape = SMALL,
    *,
    channels: tuple[int, int, int] = (16, 32, 64),
    hidden: int = 64,
    seed: int = 0,
) -> Graph:
    """3-D convolutions whose view of the time grows from layer to layer: 4 frames, every second; 2 of these, every
    second; then all that are left.

    Otherwise as `single_frame`, of at least 6 frames. Source: lecture; Karpathy et al. 2014, "Slow Fusion".

    >>> [slow_fusion(80).shapes[f"stage{i}"][1] for i in (1, 2, 3)]
    [4, 2, 1]
    """
    shape = _clip_shape("slow_fusion", input_shape, 3, 6)
    nodes: Nodes = {}
    frames, depth, before = shape[1], shape[0], "x"
    for i, (taps, filters) in enumerate(zip((4, 2, None), channels, strict=True), 1):
        taps, step = (frames, 1) if taps is None else (taps, 2)
        before = _convolve_clips(nodes, f"stage{i}", before, depth, filters, taps, step)
        frames, depth = (frames - taps) // step + 1, filters
        if i < 3:
            nodes[f"pool{i}"] = (MaxPool3d((1, 2, 2), rounding="floor"), [before])
            before = f"pool{i}"
    nodes["frame"] = (Frame(0), [before])
    nodes["pool3"] = (MaxPool2d(2, rounding="floor"), ["frame"])
    return _finish("slow_fusion", shape, nodes, ["pool3"], _features(shape, channels), hidden, classes, seed)


@checked(classes=_classes, channels=listed(listed(whole(1), 1), 1), hidden=whole(1), dropout=real(0, 1))
def c3d(
    classes: Classes = 101,
    input_shape: ClipShape = (3, 16, 112, 112),
    *,
    channels: Sequence[Sequence[int]] = ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    hidden: int = 4096,
    dropout: float = 0.5,
    seed: int = 0,
) -> Graph:
    """3×3×3 convolutions throughout, the stages of `channels` each followed by max pooling by 2, the first of single
    frames; then two fully connected layers of `hidden` neurons: float32 (N, C, D, H, W) to logits (N, classes).

    With several heads, {"digit": 10, "direction": 8}, a tuple of logits. ValueError for clips that cannot be halved so
    often. Source: Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks".

    >>> c3d(channels=((4,), (8,)), hidden=16).shapes["pool2"]
    (8, 8, 28, 28)
    """
    depth, frames, height, width = shape = _clip_shape("c3d", input_shape, len(channels))
    layers: dict[str, Layer] = {}
    for i, filters in enumerate(channels, 1):
        for j, count in enumerate(filters):
            name = f"conv{i}" + (chr(ord("a") + j) if len(filters) > 1 else "")
            layers[name] = Conv3d(depth, count, 3, padding=1, activation="relu")
            depth = count
        steps = (1 if i == 1 or frames == 1 else 2, 2, 2)
        layers[f"pool{i}"] = MaxPool3d(steps, rounding="ceil")
        frames, height, width = (-(-n // step) for n, step in zip((frames, height, width), steps, strict=True))
    layers["flat"] = Flatten()
    features = depth * frames * height * width
    for name in ("hidden1", "hidden2"):
        layers[name] = Linear(features, hidden, activation="relu")
        layers[f"{name}_dropout"] = Dropout(dropout)
        features = hidden
    names = ["x", *layers]
    nodes: Nodes = {name: (layer, [before]) for (name, layer), before in zip(layers.items(), names, strict=False)}
    return _with_heads("c3d", shape, nodes, names[-1], hidden, classes, seed)


class MotionNet(Graph):
    """Says for every pixel how fast what is seen there moves, (v_y, v_x) in pixels a frame: float32 (N, C, D, H, W) to
    (N, 2, H, W). The first convolution spans all frames; two stages down, two up again, with shortcuts.

    `loss` counts the pixels of objects alone. ValueError for clips that cannot be halved twice without a remainder.
    Source: lecture, temporal fusion, estimating the movement of other cars.

    >>> MotionNet((1, 10, 48, 48)).shapes["motion"]
    (2, 48, 48)
    """

    @checked(width=whole(1))
    def __init__(self, input_shape: ClipShape = (1, 10, 48, 48), *, width: int = 16, seed: int = 0) -> None:
        shape = _clip_shape("MotionNet", input_shape, 2, 2)
        if shape[2] % 4 or shape[3] % 4:
            raise ValueError(f"MotionNet: height and width must be multiples of 4, got {shape[2:]}")
        nodes: Nodes = {}
        _convolve_clips(nodes, "seen", "x", shape[0], width, shape[1], 1)
        nodes["frame"] = (Frame(0), ["seen"])
        large = convolve(nodes, "large", "frame", width, width)
        nodes["pool1"] = (MaxPool2d(2), [large])
        middle = convolve(nodes, "middle", "pool1", width, 2 * width)
        nodes["pool2"] = (MaxPool2d(2), [middle])
        small = convolve(nodes, "small", "pool2", 2 * width, 2 * width)
        small = convolve(nodes, "small2", small, 2 * width, 2 * width)
        nodes["up2"] = (UpsampleNearest2d(2), [small])
        nodes["sum2"] = (Add(), ["up2", middle])
        back = convolve(nodes, "back2", "sum2", 2 * width, width)
        nodes["up1"] = (UpsampleNearest2d(2), [back])
        nodes["sum1"] = (Add(), ["up1", large])
        last = convolve(nodes, "back1", "sum1", width, width)
        nodes["motion"] = (Conv2d(width, 2, 1), [last])
        super().__init__({"x": shape}, nodes, ["motion"], seed=seed)

    @property
    def loss(self) -> MotionLoss:
        """What `train.fit` takes."""
        return MotionLoss()


class MotionLoss:
    """Half the mean squared error of the velocity, over the pixels that belong to an object.

    Targets are float32 (N, 3, H, W) as `data.moving_digits(targets="velocity")` gives them: v_y, v_x, and the number of
    the object there, 0 for none.
    """

    can_be_captured = False  # computed on the host

    def __call__(self, outputs: Any, t: Any) -> tuple[float, Any]:
        """The loss, and the gradient of the outputs (N, 2, H, W)."""
        on_host = isinstance(outputs, np.ndarray)
        found, true = (each if isinstance(each, np.ndarray) else each.to_host() for each in (outputs, t))
        mask = true[:, 2:] > 0
        difference = np.where(mask, found - true[:, :2], np.float32(0))
        count = max(int(mask.sum()), 1)
        value = float(np.square(difference, dtype=np.float64).sum() / 2 / count)
        gradient = difference / np.float32(count)
        return value, gradient if on_host else cuda.to_device(gradient)

    def counts(self, t: Any) -> Any:
        """How much of the mean over a data set each example is: its pixels of objects."""
        return (t[:, 2] > 0).sum((1, 2)).astype(np.float32)
