"""What the page shows of a network: the values of all layers for a drawing, and how one unit came to its value."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from dipkernels import ops
from dipkernels.data.pictures import digit_of
from dipkernels.demo.networks import Network
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Graph
from dipkernels.nn.linear import Linear
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.ops.backend import FloatArray

SIDE = 196
"""The page's drawing has so many pixels a side."""

TITLES = {
    "input": "Input", "conv1": "Convolution 1", "pool1": "Downsampling 1", "conv2": "Convolution 2",
    "pool2": "Downsampling 2", "fc1": "Fully connected 1", "fc2": "Fully connected 2", "fc3": "Output",
}  # fmt: skip


def drawing_of(body: bytes) -> FloatArray:
    """The drawing (SIDE, SIDE), 0 paper and 1 ink, from one byte a pixel. ValueError for another number of bytes."""
    if len(body) != SIDE * SIDE:
        raise ValueError(f"a drawing must have {SIDE} × {SIDE} bytes, got {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(SIDE, SIDE).astype(np.float32) / np.float32(255)


def packed(values: Any) -> str:
    """float32 numbers as text that JavaScript turns into a Float32Array."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _forward(network: Network, drawing: FloatArray) -> tuple[Graph, FloatArray]:
    """The network after it has seen the drawing, and what it saw. ValueError where it is not trained yet, or there is
    no ink.
    """
    if network.model is None:
        raise ValueError(network.error or "the network is still being trained")
    if drawing.max() < 0.1:
        raise ValueError("there is no ink yet")
    framed = np.pad(drawing, 1)  # so that the border is paper
    x = digit_of(framed, network.size, network.extent)
    network.model.forward(x)
    return network.model, x


def _shown(model: Graph) -> list[str]:
    return [name for name in model.order if name in TITLES]


def layers(network: Network, drawing: FloatArray) -> dict[str, Any]:
    """The guess and the values of every layer: {"probabilities", "first", "second", "layers"}."""
    with network.lock:
        model, x = _forward(network, drawing)
        values = {"input": x[0]} | {name: model.value(name)[0] for name in _shown(model)}
    probabilities = ops.softmax(values["fc3"][None], 1)[0]
    first, second = (int(i) for i in np.argsort(-probabilities, kind="stable")[:2])
    return {
        "probabilities": [float(p) for p in probabilities],
        "first": first,
        "second": second,
        "layers": [
            {
                "name": name,
                "title": TITLES[name],
                "shape": list(value.shape),
                "least": float(value.min()),
                "most": float(value.max()),
                "values": packed(value),
            }
            for name, value in values.items()
        ],
    }


def _before(model: Graph, name: str) -> str:
    """The shown layer whose values `name` takes."""
    names = ["input", *_shown(model)]
    return names[names.index(name) - 1]


def field_of(model: Graph, name: str, row: int, column: int) -> list[int]:
    """The part of the input, [top, left, height, width], that unit (row, column) of a layer of maps depends on."""
    top, left, height, width = row, column, 1, 1
    chain: list[Any] = []
    for node in _shown(model):
        chain.append(model.layers[node])
        if node == name:
            break
    for layer in reversed(chain):
        (kernel_h, kernel_w), (stride_h, stride_w) = layer.kernel_size, layer.stride
        top, left = top * stride_h, left * stride_w
        height, width = (height - 1) * stride_h + kernel_h, (width - 1) * stride_w + kernel_w
    return [top, left, height, width]


def unit(network: Network, drawing: FloatArray, name: str, index: int) -> dict[str, Any]:
    """How unit `index` of layer `name`, counted along its last axis first, came to its value.

    ValueError for a layer or a unit that is none.
    """
    with network.lock:
        model, x = _forward(network, drawing)
        if name != "input" and name not in _shown(model):
            raise ValueError(f"layer must be one of input, {', '.join(_shown(model))}, got {name!r}")
        value = x[0] if name == "input" else model.value(name)[0]
        if not 0 <= index < value.size:
            raise ValueError(f"{name} has units from 0 to {value.size - 1}, got {index}")
        place = [int(i) for i in np.unravel_index(index, value.shape)]
        result: dict[str, Any] = {"layer": name, "place": place, "value": float(value.reshape(-1)[index])}
        if name == "input":
            return {**result, "kind": "input", "field": [place[1], place[2], 1, 1]}
        layer = model.layers[name]
        source = _before(model, name)
        before = x[0] if source == "input" else model.value(source)[0]
        return result | _worked_out(model, layer, name, source, before, place)


def _worked_out(
    model: Graph, layer: Any, name: str, source: str, before: FloatArray, place: list[int]
) -> dict[str, Any]:
    if isinstance(layer, Linear):
        weights = layer.parameters["weight"][place[0]]
        bias, flat = float(layer.parameters["bias"][place[0]]), before.reshape(-1)
        products = weights * flat
        return {
            "kind": "linear",
            "from": source,
            "activation": layer.activation or "none",
            "bias": bias,
            "sum": float(products.sum(dtype=np.float64) + bias),
            "strongest": [[int(i), float(flat[i]), float(weights[i])] for i in np.argsort(-np.abs(products))[:5]],
            "shape": list(before.shape),
            "weights": packed(weights),
            "products": packed(products),
        }
    channel, row, column = place
    field = field_of(model, name, row, column)
    (kernel_h, kernel_w), (stride_h, stride_w) = layer.kernel_size, layer.stride
    top, left = row * stride_h, column * stride_w
    where = {"from": source, "window": [top, left, kernel_h, kernel_w], "field": field}
    if isinstance(layer, MaxPool2d):
        indices = layer.indices
        assert indices is not None
        at = int(np.asarray(indices)[0, channel, row, column])
        patch = before[channel, top : top + kernel_h, left : left + kernel_w]
        argmax = [channel, at // before.shape[2], at % before.shape[2]]
        return {"kind": "pool", **where, "argmax": argmax, "patch": packed(patch)}
    assert isinstance(layer, Conv2d)
    weights = layer.parameters["weight"][channel]
    patch = before[:, top : top + kernel_h, left : left + kernel_w]
    bias, products = float(layer.parameters["bias"][channel]), patch * weights
    return {
        "kind": "conv",
        **where,
        "activation": layer.activation or "none",
        "bias": bias,
        "sum": float(products.sum(dtype=np.float64) + bias),
        "shape": list(weights.shape),
        "weights": packed(weights),
        "patch": packed(patch),
        "products": packed(products),
    }
