"""A trained network without its batch normalisations: their scales and shifts go into the layers before them."""

from __future__ import annotations

import copy

import numpy as np

from dipkernels.checks import checked, network
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.conv_transpose import ConvTranspose2d
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear

_LAYERS = (Conv2d, ConvTranspose2d, Linear)


def _fold(layer: Layer, norm: BatchNorm) -> None:
    scale = norm.parameters["weight"] / np.sqrt(norm.buffers["running_var"].astype(np.float64) + norm.eps)
    weight = layer.parameters["weight"]
    if isinstance(layer, ConvTranspose2d):  # (C, K/groups, F_h, F_w)
        scales = np.repeat(scale.reshape(layer.groups, -1), len(weight) // layer.groups, axis=0)[:, :, None, None]
    else:
        scales = scale.reshape(-1, *[1] * (weight.ndim - 1))
    bias = layer.parameters.get("bias", np.float32(0)) - norm.buffers["running_mean"].astype(np.float64)
    layer.parameters["weight"] = (weight * scales).astype(np.float32)
    layer.parameters["bias"] = (bias * scale + norm.parameters["bias"]).astype(np.float32)
    layer.activation = norm.activation  # type: ignore[attr-defined]


@checked(model=network)
def fold_batch_norm(model: Graph) -> Graph:
    """A copy of a trained model that does the work of each `BatchNorm` in the layer before it.

    That layer must be a `Conv2d`, `ConvTranspose2d` or `Linear` without an activation, whose result nothing else uses;
    other batch normalisations stay. The outputs of `forward` are the same up to rounding. It is for use, not for
    training: there the statistics would be missing. Raises ValueError for a model whose weights are on the GPU.
    """
    if model.on_device:
        raise ValueError("fold_batch_norm: takes a model on the host; call to_host() first")
    layers = copy.deepcopy(model.layers)
    before = copy.deepcopy(model.predecessors)
    outputs = list(model.outputs)
    for name in model.order:
        norm, source = layers[name], before[name][0]
        used = [each for befores in before.values() for each in befores] + outputs
        layer = layers.get(source)
        shared = {name, source} & (model.twins.keys() | set(model.twins.values()))
        if type(norm) is not BatchNorm or type(layer) not in _LAYERS or used.count(source) != 1 or shared:
            continue
        assert layer is not None
        if layer.activation is not None:  # type: ignore[attr-defined]
            continue
        _fold(layer, norm)
        # The folded layer takes the name of the normalisation, by which the others know its result.
        layers[name], before[name] = layer, before[source]
        del layers[source], before[source]
    state = {
        f"{name}.{key}": value.copy()  # a new graph draws its weights anew
        for name, layer in layers.items()
        if name not in model.twins
        for key, value in {**layer.parameters, **layer.buffers}.items()
    }
    nodes = {name: (layers[model.twins.get(name, name)], before[name]) for name in layers}
    folded = Graph(model.inputs, nodes, outputs)
    for name, value in folded.state.items():
        value[...] = state[name]
    return folded
