"""Networks as ONNX files, which other programs and devices run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dipkernels.checks import checked, file_path, network
from dipkernels.nn.activation import Activation, Maxout, Softmax
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.conv_transpose import ConvTranspose2d
from dipkernels.nn.convolution import Conv2d, Conv3d
from dipkernels.nn.dropout import Dropout
from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.linear import Linear
from dipkernels.nn.local_response_norm import LocalResponseNorm
from dipkernels.nn.merge import Add, Concatenate
from dipkernels.nn.pooling import (
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool2d,
    GlobalAvgPool3d,
    L2Pool2d,
    MaxPool2d,
    MaxPool3d,
    SumPool2d,
)
from dipkernels.nn.reshape import Flatten, Frame, Pad2d
from dipkernels.nn.upsampling import BedOfNails2d, MaxUnpool2d, UpsampleBilinear2d, UpsampleNearest2d
from dipkernels.ops.activation import Activation as ActivationName
from dipkernels.ops.activation import activation_arguments
from dipkernels.ops.backend import to_host
from dipkernels.ops.geometry import resolved_padding

OPSET = 18
"""The version of ONNX's operators: the first whose Resize can leave the batch alone."""

_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "leaky_relu": "LeakyRelu", "elu": "Elu"}


class _Writer:
    """What has been written of a network: nodes, and the arrays they use."""

    def __init__(self, model: Graph) -> None:
        self.model = model
        self.nodes: list[Any] = []
        self.arrays: dict[str, Any] = {}
        self.node = ""  # of the network, that is being written

    def add(self, op: str, inputs: Sequence[str], part: str = "", outputs: int = 1, **attributes: Any) -> str:
        """One ONNX node, the last or a `part` of what a layer becomes. Returns the name of its (first) output."""
        from onnx import helper

        name = f"{self.node}.{part}" if part else self.node
        names = [name, *(f"{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attributes))
        return name

    def constant(self, part: str, values: Any) -> str:
        """An array of this node."""
        return self.array(f"{self.node}.{part}", values)

    def array(self, name: str, values: Any) -> str:
        """An array by its full name: layers that share their weights write them once."""
        from onnx import numpy_helper

        self.arrays.setdefault(name, numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def weights(self, layer: Layer, *names: str) -> list[str]:
        """The layer's parameters and buffers of these names, as far as there are any."""
        owner = self.model.twins.get(self.node, self.node)
        held = {**layer.parameters, **layer.buffers}
        return [self.array(f"{owner}.{name}", to_host(held[name])) for name in names if name in held]

    def activate(self, x: str, activation: ActivationName) -> str:
        """The activation as the node's last part."""
        name, alpha = activation_arguments("export_onnx", activation)
        if name == "step":
            positive = self.add("Greater", [x, self.constant("zero", np.float32(0))], "positive")
            return self.add("Cast", [positive], to=1)  # 1: float32
        with_alpha: dict[str, Any] = {"alpha": alpha} if name in ("leaky_relu", "elu") else {}
        return self.add(_ACTIVATIONS[name], [x], **with_alpha)

    def computed(self, op: str, inputs: Sequence[str], activation: ActivationName, **attributes: Any) -> str:
        """A node and the activation behind it, if there is one."""
        if activation is None or activation == "none":
            return self.add(op, inputs, **attributes)
        return self.activate(self.add(op, inputs, "linear", **attributes), activation)

    def pads(self, layer: Any, shape: Shape, size: Shape) -> list[int]:
        """[top, left, bottom, right], of clips too all starts first; with these, rounding down leads to an output of
        `size`.
        """
        window = layer.kernel_size, layer.stride, layer.dilation
        sides, _ = resolved_padding("export_onnx", layer.padding, layer.rounding, shape[1:], *window)
        ends = []
        for (begin, end), n, out, f, s, d in zip(sides, shape[1:], size[1:], *window, strict=True):
            ends.append(max(end, (out - 1) * s + d * (f - 1) + 1 - n - begin))
        return [begin for begin, _ in sides] + ends


_Write = Callable[[_Writer, Any, list[str], list[Shape], Shape], str]


def _conv(w: _Writer, layer: Conv2d | Conv3d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    window = {"strides": layer.stride, "dilations": layer.dilation, "group": layer.groups}
    return w.computed(
        "Conv", [*inputs, *w.weights(layer, "weight", "bias")], layer.activation,
        kernel_shape=layer.kernel_size, pads=w.pads(layer, shapes[0], size), **window,
    )  # fmt: skip


def _conv_transpose(w: _Writer, layer: ConvTranspose2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    (top, bottom), (left, right) = layer.padding
    return w.computed(
        "ConvTranspose", [*inputs, *w.weights(layer, "weight", "bias")], layer.activation,
        kernel_shape=layer.kernel_size, strides=layer.stride, dilations=layer.dilation, group=layer.groups,
        pads=[top, left, bottom, right], output_padding=layer.output_padding,
    )  # fmt: skip


def _linear(w: _Writer, layer: Linear, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    if len(size) == 1:
        return w.computed("Gemm", [*inputs, *w.weights(layer, "weight", "bias")], layer.activation, transB=1)
    weight, *bias = w.weights(layer, "weight", "bias")
    product = [*inputs, w.add("Transpose", [weight], "transposed", perm=[1, 0])]
    if not bias:
        return w.computed("MatMul", product, layer.activation)
    return w.computed("Add", [w.add("MatMul", product, "product"), *bias], layer.activation)


def _batch_norm(w: _Writer, layer: BatchNorm, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    weights = w.weights(layer, "weight", "bias", "running_mean", "running_var")
    return w.computed("BatchNormalization", [*inputs, *weights], layer.activation, epsilon=layer.eps)


def _local_response_norm(
    w: _Writer, layer: LocalResponseNorm, inputs: list[str], shapes: list[Shape], size: Shape
) -> str:
    if layer.size % 2 == 0:
        raise ValueError("its size is even, and ONNX has the odd channel on the other side")
    return w.add("LRN", inputs, size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)


def _max_pool(w: _Writer, layer: MaxPool2d | MaxPool3d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return w.add(
        "MaxPool", inputs, outputs=2, kernel_shape=layer.kernel_size, strides=layer.stride, dilations=layer.dilation,
        pads=w.pads(layer, shapes[0], size),
    )  # fmt: skip


def _means(w: _Writer, layer: Any, x: str, shape: Shape, size: Shape, part: str, count_include_pad: bool) -> str:
    pads = w.pads(layer, shape, size)
    sides, _ = resolved_padding(
        "export_onnx", layer.padding, layer.rounding, shape[1:], layer.kernel_size, layer.stride, layer.dilation
    )
    if layer.rounding == "ceil" and pads[len(sides) :] != [end for _, end in sides]:
        raise ValueError('its last windows reach beyond the padding (rounding="ceil"), which ONNX counts otherwise')
    return w.add(
        "AveragePool", [x], part, kernel_shape=layer.kernel_size, strides=layer.stride, pads=pads,
        count_include_pad=int(count_include_pad),
    )  # fmt: skip


def _avg_pool(w: _Writer, layer: AvgPool2d | AvgPool3d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return _means(w, layer, inputs[0], shapes[0], size, "", layer.count_include_pad)


def _sums(w: _Writer, layer: Any, x: str, shape: Shape, size: Shape, part: str) -> str:
    count = w.constant("count", np.float32(math.prod(layer.kernel_size)))
    return w.add("Mul", [_means(w, layer, x, shape, size, "means", True), count], part)


def _sum_pool(w: _Writer, layer: SumPool2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return _sums(w, layer, inputs[0], shapes[0], size, "")


def _l2_pool(w: _Writer, layer: L2Pool2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    squares = w.add("Mul", [inputs[0], inputs[0]], "squares")
    return w.add("Sqrt", [_sums(w, layer, squares, shapes[0], size, "sums")])


def _global_avg_pool(w: _Writer, layer: Layer, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return w.add("Flatten", [w.add("GlobalAveragePool", inputs, "means")], axis=1)


def _max_unpool(w: _Writer, layer: MaxUnpool2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    pool = next(name for name, other in w.model.layers.items() if other is layer.pool)
    batch = w.add("Shape", inputs, "batch", start=0, end=1)
    whole = w.add("Concat", [batch, w.constant("size", np.array(size, np.int64))], "whole", axis=0)
    return w.add(
        "MaxUnpool", [*inputs, f"{pool}.1", whole], kernel_shape=layer.pool.kernel_size, strides=layer.pool.stride
    )


def _resize(w: _Writer, inputs: list[str], size: Shape, **attributes: Any) -> str:
    return w.add(
        "Resize", [*inputs, "", "", w.constant("size", np.array(size[1:], np.int64))], axes=[2, 3], **attributes
    )


def _nearest(w: _Writer, layer: UpsampleNearest2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return _resize(
        w, inputs, size, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
    )  # fmt: skip


def _bilinear(w: _Writer, layer: UpsampleBilinear2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return _resize(w, inputs, size, mode="linear", coordinate_transformation_mode="half_pixel")


def _bed_of_nails(w: _Writer, layer: BedOfNails2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    channels = shapes[0][0]
    nails = np.zeros((channels, 1, *layer.scale_factor), np.float32)
    nails[:, :, layer.offset[0], layer.offset[1]] = 1
    weights = w.constant("nails", nails)
    return w.add("ConvTranspose", [*inputs, weights], strides=layer.scale_factor, group=channels)


def _maxout(w: _Writer, layer: Maxout, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    pieces = w.constant("pieces", np.array([0, size[0], layer.pieces, *size[1:]], np.int64))  # 0: as it is
    apart = w.add("Reshape", [*inputs, pieces], "apart")
    return w.add("ReduceMax", [apart, w.constant("axis", np.array([2], np.int64))], keepdims=0)


def _pad(w: _Writer, layer: Pad2d, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    (top, bottom), (left, right) = layer.padding
    return w.add("Pad", [*inputs, w.constant("pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))])


def _frame(w: _Writer, layer: Frame, inputs: list[str], shapes: list[Shape], size: Shape) -> str:
    return w.add("Gather", [*inputs, w.constant("index", np.array(layer.index, np.int64))], axis=2)


_WRITERS: dict[type[Layer], _Write] = {
    Activation: lambda w, layer, inputs, shapes, size: w.activate(inputs[0], layer.activation),
    Add: lambda w, layer, inputs, shapes, size: w.add("Sum", inputs),
    AvgPool2d: _avg_pool,
    AvgPool3d: _avg_pool,
    BatchNorm: _batch_norm,
    BedOfNails2d: _bed_of_nails,
    Concatenate: lambda w, layer, inputs, shapes, size: w.add("Concat", inputs, axis=1),
    Conv2d: _conv,
    Conv3d: _conv,
    ConvTranspose2d: _conv_transpose,
    Dropout: lambda w, layer, inputs, shapes, size: w.add("Identity", inputs),
    Flatten: lambda w, layer, inputs, shapes, size: w.add("Flatten", inputs, axis=1),
    Frame: _frame,
    GlobalAvgPool2d: _global_avg_pool,
    GlobalAvgPool3d: _global_avg_pool,
    L2Pool2d: _l2_pool,
    Linear: _linear,
    LocalResponseNorm: _local_response_norm,
    MaxPool2d: _max_pool,
    MaxPool3d: _max_pool,
    MaxUnpool2d: _max_unpool,
    Maxout: _maxout,
    Pad2d: _pad,
    Softmax: lambda w, layer, inputs, shapes, size: w.add("Softmax", inputs, axis=1),
    SumPool2d: _sum_pool,
    UpsampleBilinear2d: _bilinear,
    UpsampleNearest2d: _nearest,
}


@checked(model=network, path=file_path)
def export_onnx(model: Graph, path: str | Path) -> None:
    """Writes a network as an ONNX file: its layers as they compute without training, for batches of any size.

    Inputs and outputs have the names and shapes (N, …) that they have in the graph, and are float32. What the file
    computes is the same up to rounding, and was checked with onnxruntime.

    Parameters
    ----------
    model
        Weights on the GPU are fetched.
    path
        Where to write, usually a name that ends in .onnx. Missing folders are made.

    Raises ValueError, with the node's name, for a layer that ONNX does not have, and ImportError without the package
    onnx, which `pip install "dipkernels[onnx]"` brings. Source: ONNX operator schemas, version 18.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise ImportError('export_onnx needs the package onnx: pip install "dipkernels[onnx]"') from error
    writer = _Writer(model)
    for name in model.order:
        layer, before = model.layers[name], model.predecessors[name]
        write = _WRITERS.get(type(layer))
        if write is None:
            raise ValueError(f"export_onnx: node {name!r} is a {type(layer).__name__}, which has no form in ONNX")
        writer.node = name
        try:
            write(writer, layer, before, [model.shapes[each] for each in before], model.shapes[name])
        except ValueError as error:
            raise ValueError(f"export_onnx: node {name!r}, a {type(layer).__name__}: {error}") from error

    def described(names: Sequence[str]) -> list[Any]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *model.shapes[n]]) for n in names]

    graph = helper.make_graph(
        writer.nodes,
        "dipkernels",
        described(list(model.inputs)),
        described(model.outputs),
        list(writer.arrays.values()),
    )
    written = helper.make_model(
        graph, producer_name="dipkernels", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8
    )
    onnx.checker.check_model(written)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(written, str(path))
