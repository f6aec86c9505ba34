"""Layers, graphs, optimizers, initialisers, summaries, saved states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import models, nn, ops
from support.gradients import check_gradients


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(2, 3, 3, padding=1, activation="tanh"), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 4)],
        [nn.Conv2d(2, 4, 3, stride=1, groups=2, bias=False), nn.L2Pool2d(2), nn.UpsampleNearest2d(2)],
        [nn.Conv2d(2, 4, 3, activation="tanh"), nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, groups=2)],
        [nn.Conv2d(2, 4, (3, 1), activation="sigmoid"), nn.SumPool2d((4, 6)), nn.Flatten(), nn.Softmax()],
        [nn.Flatten(), nn.Linear(72, 6, activation=("elu", 0.5)), nn.Activation("sigmoid")],
        [nn.UpsampleBilinear2d(size=(7, 9)), nn.LocalResponseNorm(3, 1.0), nn.Conv2d(2, 3, 3), nn.GlobalAvgPool2d()],
        [nn.Pad2d(((1, -2), (0, 3))), nn.UpsampleBilinear2d(2), nn.Conv2d(2, 2, 3, activation="tanh")],
        [nn.BedOfNails2d(2, (1, 0)), nn.Conv2d(2, 2, 3, dilation=2), nn.Activation("tanh")],
    ],
)
def test_sequential_gradients(layers: list[nn.Layer]) -> None:
    check_gradients(nn.Sequential((2, 6, 6), *layers, seed=1, initializer="glorot_uniform"), normal(3, 2, 6, 6))


def branching_graph() -> nn.Graph:
    """Two inputs, a shortcut, a concatenation, and two heads of one trunk."""
    return nn.Graph(
        inputs={"a": (2, 6, 6), "b": (3, 6, 6)},
        nodes={
            "head2": (nn.Linear(36 * 5, 3), ["flat"]),  # successors may come first
            "flat": (nn.Flatten(), ["both"]),
            "conv": (nn.Conv2d(2, 2, 3, padding=1, activation="tanh"), ["a"]),
            "shortcut": (nn.Add(), ["conv", "a"]),
            "both": (nn.Concatenate(), ["shortcut", "b"]),
            "head1": (nn.Conv2d(5, 1, 1), ["both"]),
        },
        outputs=["head1", "head2"],
        seed=2,
        initializer="glorot_uniform",
    )


def test_graph_gradients() -> None:
    check_gradients(branching_graph(), normal(2, 2, 6, 6), normal(2, 3, 6, 6, seed=1))


def test_graph_runs_in_topological_order() -> None:
    model = branching_graph()
    for name in model.order:
        for before in model.predecessors[name]:
            assert before in model.inputs or model.order.index(before) < model.order.index(name)


def test_unpooling_puts_the_maxima_back() -> None:
    pool = nn.MaxPool2d(2)
    model = nn.Sequential((1, 6, 6), {"pool": pool, "unpool": nn.MaxUnpool2d(pool)})
    x = normal(2, 1, 6, 6)
    y = model.forward(x)
    kept = y != 0
    assert kept.sum() == 2 * 9
    np.testing.assert_array_equal(y[kept], x[kept])
    np.testing.assert_array_equal(model.backward(np.ones_like(x), input_gradient=True), kept.astype("f4"))


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ({"f": (nn.Flatten(), ["y"])}, ["f"], "refers to"),
        ({"f": (nn.Flatten(), ["x"])}, ["g"], "refers to"),
        ({"f": (nn.Flatten(), [])}, ["f"], "no predecessor"),
        ({"x": (nn.Flatten(), ["x"])}, ["x"], "names of inputs and of nodes"),
        ({"f": (nn.Add(), ["x", "g"]), "g": (nn.Add(), ["f"])}, ["g"], "cycle"),
        ({"f": (nn.Flatten(), ["x"]), "g": (nn.Flatten(), ["x"])}, ["f"], "lead to no output"),
        ({"f": (nn.Linear(5, 2), ["x"])}, ["f"], "node 'f': Linear: needs an input"),
        ({"f": (nn.Conv2d(3, 2, 3), ["x"])}, ["f"], "node 'f': Conv2d: needs an input"),
        ({"f": (nn.MaxPool2d(3, 2), ["x"])}, ["f"], "no whole number"),
        ({"f": (nn.Maxout(4), ["x"])}, ["f"], "do not divide"),
        ({"f": (nn.Flatten(), ["x"]), "g": (nn.Add(), ["f", "x"])}, ["g"], "one shape"),
    ],
)
def test_impossible_graphs(nodes: dict[str, Any], outputs: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Graph({"x": (2, 6, 6)}, nodes, outputs)


def test_wrong_use() -> None:
    model = models.lenet5()
    with pytest.raises(ValueError, match=r"input must have shape \(N, 1, 32, 32\), got \(2, 1, 28, 28\)"):
        model.forward(np.zeros((2, 1, 28, 28), "f4"))
    with pytest.raises(ValueError, match="takes 1 inputs"):
        model.forward()
    with pytest.raises(ValueError, match="takes 1 gradients"):
        model.backward()
    with pytest.raises(RuntimeError, match="needs a forward first"):
        nn.Linear(2, 2).backward(np.zeros((1, 2), "f4"))
    with pytest.raises(ValueError, match="no gradient for"):
        nn.SGD(0.1).step(model.parameters, {})
    with pytest.raises(ValueError, match="nesterov"):
        nn.SGD(0.1, nesterov=True)
    with pytest.raises(ValueError, match="activation must be"):
        nn.Activation("swish")
    with pytest.raises(ValueError, match="groups must divide"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="p must be"):
        nn.Dropout(1.5)
    with pytest.raises(ValueError, match='initializer must be "he_normal"'):
        nn.Sequential((2,), nn.Linear(2, 2), initializer="ones")


def test_maxout_layer() -> None:
    model = nn.Sequential((3,), nn.Linear(3, 8), nn.Maxout(2), seed=0)
    check_gradients(model, normal(4, 3), step=1e-3, tolerance=2e-2)
    assert model.shapes["maxout1"] == (4,)


def test_dropout_only_in_training_and_never_twice_the_same() -> None:
    layer = nn.Dropout(0.5, seed=3)
    x = np.ones((4, 50), "f4")
    assert layer.forward(x) is x
    first = layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.backward(x)[0], first)
    assert (layer.forward(x, training=True) != first).any()
    layer.set_counters({"step": 0})
    np.testing.assert_array_equal(layer.forward(x, training=True), first)


@pytest.mark.parametrize(
    "optimizer",
    [
        nn.SGD(0.1),
        nn.SGD(0.05, 0.9),
        nn.SGD(0.05, 0.9, nesterov=True),
        nn.AdaGrad(0.5),
        nn.AdaDelta(1.0, eps=1e-3),
        nn.Adam(0.1),
    ],
)
def test_optimizers_descend(optimizer: nn.Optimizer) -> None:
    w = {"w": np.float32([3, -2, 1])}
    first = float((w["w"] ** 2).sum())
    for _ in range(200):
        optimizer.step(w, {"w": 2 * w["w"]})
    assert float((w["w"] ** 2).sum()) < 0.05 * first
    assert optimizer.steps == 200


@pytest.mark.parametrize(
    ("name", "variance"), [("he_normal", 2 / 400), ("lecun_normal", 1 / 400), ("glorot_uniform", 2 / 700), ("zeros", 0)]
)
def test_initializers(name: str, variance: float) -> None:
    weights = nn.INITIALIZERS[name](np.random.default_rng(0), (300, 400), 400, 300)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(0, abs=1e-3)
    assert weights.var() == pytest.approx(variance, rel=0.02)


def test_seeds_make_weights() -> None:
    one, same, other = (models.lenet5(seed=s).parameters for s in (1, 1, 2))
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
    assert (one["conv1.weight"] != other["conv1.weight"]).any()


def test_state_is_saved_and_loaded(tmp_path: Path) -> None:
    model, other = models.lenet5(seed=1), models.lenet5(seed=2)
    nn.save_state(model, tmp_path / "weights.safetensors", {"note": "é"})
    assert nn.load_state(other, tmp_path / "weights.safetensors") == {"note": "é"}
    x = normal(2, 1, 32, 32)
    np.testing.assert_array_equal(model.forward(x), other.forward(x))


def test_states_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        nn.load_state(models.lenet5(), path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="no safetensors file"):
        nn.load_state(models.lenet5(), path)
    nn.save_state(models.mlp(), path)
    with pytest.raises(ValueError, match="another model"):
        nn.load_state(models.lenet5(), path)
    nn.save_state(models.lenet5(classes=7), path)
    model = models.lenet5()
    before = {n: v.copy() for n, v in model.parameters.items()}
    with pytest.raises(ValueError, match=r"fc3.weight must be float32 \(10, 100\)"):
        nn.load_state(model, path)
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(value, before[name])


def test_summary_of_lenet5() -> None:
    lines = nn.summary(models.lenet5()).splitlines()
    assert lines[3].split() == ["conv1", "Conv2d", "6", "×", "28", "×", "28", "156", "5", "×", "5"]
    assert lines[-1].split() == ["total", "63,802"]


def test_neuron_graph_refuses_what_is_no_graph() -> None:
    for connections, outputs, message in [
        ([("x", "h"), ("h", "g"), ("g", "h")], ["h"], "cycle"),
        ([("x", "h"), ("x", "h")], ["h"], "twice"),
        ([("h", "x")], ["h"], "into an input"),
        ([("x", "h"), ("u", "h")], ["h"], "no predecessor"),
        ([("x", "h")], ["y"], "outputs"),
    ]:
        with pytest.raises(ValueError, match=message):
            models.NeuronGraph(["x"], connections, outputs)
    with pytest.raises(KeyError, match="no connection"):
        models.NeuronGraph(["x"], [("x", "h")], ["h"]).weight("h", "x")


def test_fully_connected_as_convolution_gives_the_same_values() -> None:
    """A fully connected layer of all of a 5×5×3 image is a 5×5 convolution; a larger image it maps window by window."""
    weight, bias = normal(4, 75), normal(4)
    image = normal(1, 3, 9, 8)
    maps = ops.conv2d(image, weight.reshape(4, 3, 5, 5), bias)
    for i in range(5):
        for j in range(4):
            window = np.ascontiguousarray(image[:, :, i : i + 5, j : j + 5])
            vector = ops.conv2d(window, weight.reshape(4, 3, 5, 5), bias)[0, :, 0, 0]
            np.testing.assert_array_equal(maps[0, :, i, j], vector)
            np.testing.assert_allclose(vector, ops.linear(window.reshape(1, 75), weight, bias)[0], rtol=1e-4, atol=1e-5)


def test_a_forward_pass_gets_the_memory_of_the_last_one() -> None:
    """What layers keep for backward is dropped before new results are made, not after."""
    model = nn.Sequential((3, 40, 40), nn.Conv2d(3, 8, 3, activation="relu"), nn.MaxPool2d(2), seed=0)
    x = normal(32, 3, 40, 40)
    for training, node in [(False, "conv2d1"), (True, "maxpool2d1")]:
        addresses = set()
        for _ in range(5):
            y = model.forward(x, training=training)
            addresses.add(model.value(node).ctypes.data)
            del y
        assert len(addresses) <= 1 + training  # the maxima and their indices are equally large
    model.forward(x)
    model.layers["conv2d1"].forget()
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        model.backward(np.zeros((32, 8, 19, 19), np.float32))


@pytest.mark.parametrize("images", [3, 40])
def test_convolution_and_pooling_are_one_in_training_alone(images: int) -> None:
    model = models.lenet5(activation="tanh", seed=1)
    x, dy = normal(images, 1, 32, 32), normal(images, 10)
    y = model.forward(x)
    dx = model.backward(dy, input_gradient=True)
    gradients, indices = model.gradients, model.layers["pool1"].indices  # type: ignore[attr-defined]
    assert model.value("conv1").shape == (images, 6, 28, 28)
    np.testing.assert_allclose(model.forward(x, training=True), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.layers["pool1"].indices, indices)  # type: ignore[attr-defined]
    with pytest.raises(KeyError, match=r"'conv1' has none; it has after a forward with training=False"):
        model.value("conv1")
    np.testing.assert_allclose(model.backward(dy, input_gradient=True), dx, atol=1e-5)
    for name, gradient in model.gradients.items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_what_more_than_the_pooling_sees_is_kept_in_training() -> None:
    def graph(outputs: list[str], stride: int) -> nn.Graph:
        conv, pool = nn.Conv2d(2, 3, 3, activation="relu"), nn.MaxPool2d(2, stride, rounding="floor")
        return nn.Graph({"x": (2, 9, 9)}, {"conv": (conv, ["x"]), "pool": (pool, ["conv"])}, outputs)

    for model, kept in [(graph(["pool"], 2), False), (graph(["pool"], 1), True), (graph(["conv", "pool"], 2), True)]:
        model.forward(normal(2, 2, 9, 9), training=True)
        if kept:
            assert model.value("conv").shape == (2, 3, 7, 7)
        else:
            with pytest.raises(KeyError, match="'conv' has none"):
                model.value("conv")


def test_no_gradient_is_computed_that_nobody_needs() -> None:
    """Those of the network's input, and of what only reshapes it, cost as much as a layer."""
    model = nn.Sequential((1, 4, 4), nn.Flatten(), nn.Linear(16, 3), nn.Linear(3, 2))
    asked = {}
    for name, layer in model.layers.items():

        def spy(dy: Any, *, input_gradient: bool = True, layer: Any = layer, name: str = name) -> Any:
            asked[name] = input_gradient
            return type(layer).backward(layer, dy, input_gradient=input_gradient)

        layer.backward = spy  # type: ignore[method-assign]
    model.forward(normal(2, 1, 4, 4), training=True)
    model.backward(normal(2, 2))
    assert asked == {"linear2": True, "linear1": False}
    assert model.backward(normal(2, 2), input_gradient=True).shape == (2, 1, 4, 4)
    assert asked == {"linear2": True, "linear1": True, "flatten1": True}
