"""A classifier that looks at every place of a larger image at once."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np

from dipkernels.checks import checked, network, shape
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.dropout import Dropout
from dipkernels.nn.graph import Graph, Sequential
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear
from dipkernels.nn.reshape import Flatten


def _as_convolution(linear: Linear, channels: int, size: tuple[int, int]) -> Conv2d:
    """The linear layer of maps of that size as a convolution, whose one window is the whole map."""
    weight = linear.parameters["weight"]
    conv = Conv2d(channels, len(weight), size, bias="bias" in linear.parameters, activation=linear.activation)
    conv.parameters["weight"][...] = weight.reshape(len(weight), channels, *size)
    if "bias" in conv.parameters:
        conv.parameters["bias"][...] = linear.parameters["bias"]
    return conv


@checked(model=network, input_size=shape("HW"))
def convolutionalize(model: Graph, input_size: tuple[int, int] | None = None) -> Sequential:
    """A fully convolutional copy of a trained classifier: its linear layers become convolutions.

    At the size that the classifier takes it gives the same scores, as (N, classes, 1, 1); on an image of `input_size`,
    (height, width), the scores at every place that a window of that size could lie, one every so many pixels as the
    strides make together: what a sliding window gives, but what windows share is computed once. Windows see only what
    lies in them, so paddings within the classifier, which a larger image does not have there, are refused.

    Raises ValueError for a model that is no sequence, has no linear layer behind a `Flatten`, or pads.

    Source: lecture, a fully connected layer as a convolution; Long, Shelhamer, Darrell 2015; Sermanet et al. 2014.

    >>> from dipkernels import models
    >>> convolutionalize(models.lenet5(), (128, 128)).shapes["fc3"]
    (10, 25, 25)
    """
    op = "convolutionalize"
    if len(model.inputs) != 1 or any(len(before) != 1 for before in model.predecessors.values()):
        raise ValueError(f"{op}: the model must be a sequence of layers")
    (shape,) = model.inputs.values()
    if len(shape) != 3 or [*model.order[:-1]] != [b for (b,) in model.predecessors.values() if b in model.layers]:
        raise ValueError(f"{op}: the model must be a sequence that takes images (C, H, W), got an input {shape}")
    if model.on_device:
        raise ValueError(f"{op}: takes a model on the host; call to_host() first")
    layers: dict[str, Layer] = {}
    flat: tuple[int, ...] = ()  # the maps that were flattened last
    linear = False
    for before, name in pairwise([next(iter(model.inputs)), *model.order]):
        layer = model.layers[name]
        if isinstance(layer, Flatten):
            flat = model.shapes[before] if len(model.shapes[before]) == 3 else flat
        elif isinstance(layer, Linear):
            if not linear and not flat:
                raise ValueError(f"{op}: the linear layer {name!r} must come behind a Flatten of maps (C, H, W)")
            channels, height, width = (layer.parameters["weight"].shape[1], 1, 1) if linear else flat
            layers[name], linear = _as_convolution(layer, channels, (height, width)), True
        elif not isinstance(layer, Dropout):
            if np.any(getattr(layer, "padding", 0) not in (0, "valid", ((0, 0), (0, 0)))):
                raise ValueError(f"{op}: layer {name!r} pads, which it would not do within a larger image")
            layers[name] = copy.deepcopy(layer)
    if not linear:
        raise ValueError(f"{op}: the model has no linear layer behind a Flatten")
    state = {f"{name}.{key}": value.copy() for name, layer in layers.items() for key, value in layer.parameters.items()}
    state |= {f"{name}.{key}": value.copy() for name, layer in layers.items() for key, value in layer.buffers.items()}
    for layer in layers.values():  # what is left over of a larger image is no window
        if hasattr(layer, "rounding"):
            layer.rounding = "floor"
    result = Sequential((shape[0], *(shape[1:] if input_size is None else input_size)), layers)
    for name, value in result.state.items():
        value[...] = state[name]
    return result
