"""Neurons, perceptrons and multilayer perceptrons."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from dipkernels import models, nn, ops, train
from dipkernels.data import Dataset
from dipkernels.lecture.example import Chapter, Example, Number
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
_GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NAND": [1, 1, 1, 0], "XOR": [0, 1, 1, 0]}


def activations() -> Example:
    """Their values and curves."""
    x = np.linspace(-4, 4, 401, dtype=np.float32)
    curves = {"step": ops.step(x), "sigmoid": ops.sigmoid(x), "tanh": ops.tanh(x), "ReLU": ops.relu(x),
              "leaky ReLU": ops.leaky_relu(x, 0.1), "ELU": ops.elu(x, 1.0)}  # fmt: skip

    def figure() -> Figure:
        drawn = figure_class()(figsize=(9, 4), layout="constrained")
        for axes, (name, y) in zip(drawn.subplots(2, 3).flat, curves.items(), strict=True):
            axes.plot(x, y)
            axes.set_title(name)
            axes.axhline(0, color="grey", lw=0.5)
            axes.axvline(0, color="grey", lw=0.5)
        return drawn

    z = np.array([1.3], np.float32)
    return Example(
        "Activation functions",
        "A neuron is y = f(w₀ + wᵀx). The step function asks on which side of a hyperplane x lies; the logistic "
        "function "
        "is monotone, ends at 1, and f(z) = 1 − f(−z). Leaky ReLU is max(0.1·x, x), ELU α·(eˣ − 1) below 0.",
        [
            Number("f_step(0)", float(ops.step(np.zeros(1, np.float32))[0]), 0.0),
            Number("f_log(0)", float(ops.sigmoid(np.zeros(1, np.float32))[0]), 0.5),
            Number("f_log(1.3) + f_log(−1.3)", float(ops.sigmoid(z)[0] + ops.sigmoid(-z)[0]), 1.0),
            Number("leaky ReLU of −2", float(ops.leaky_relu(np.array([-2], np.float32), 0.1)[0]), -0.2),
        ],
        figure=figure,
    )


def perceptron() -> Example:
    """Rosenblatt's rule on the logical gates."""
    lines, numbers = {}, []
    for name, t in _GATES.items():
        neuron = models.perceptron(2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of XOR, which it cannot learn
            mistakes = neuron.learn(_CORNERS, np.array(t, np.float32), epochs=100)
        lines[name] = (neuron.parameters["neuron.weight"][0].copy(), float(neuron.parameters["neuron.bias"][0]))
        learned = mistakes[-1] == 0
        numbers.append(Number(f"{name} is learned", "yes" if learned else "no", "no" if name == "XOR" else "yes"))

    def figure() -> Figure:
        drawn = figure_class()(figsize=(9, 2.6), layout="constrained")
        x = np.linspace(-0.5, 1.5, 2)
        for axes, (name, (w, w0)) in zip(drawn.subplots(1, 4).flat, lines.items(), strict=True):
            for corner, t in zip(_CORNERS, _GATES[name], strict=True):
                axes.plot(*corner, "o", ms=10, mfc="black" if t else "white", mec="black")
            if name != "XOR" and w[1]:
                axes.plot(x, -(w0 + w[0] * x) / w[1])
            axes.set(title=name, xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), aspect="equal")
        return drawn

    return Example(
        "The perceptron and its rule",
        "w₀ + wᵀx = 0 is a hyperplane. Rosenblatt's rule, w ← w + ε·(t − y)·x, finds one that parts two classes where "
        "there is one; for XOR there is none.",
        numbers,
        figure=figure,
    )


def xor() -> Example:
    """A graph of neurons with a shortcut learns XOR."""
    connections = [("x1", "h"), ("x2", "h"), ("x1", "y"), ("x2", "y"), ("h", "y")]
    net = models.NeuronGraph(["x1", "x2"], connections, ["y"], "tanh", seed=0)
    t = np.array(_GATES["XOR"], np.float32)[:, None]
    history = train.fit(
        net, Dataset(_CORNERS, t), loss=ops.half_sum_of_squares_with_grad, optimizer=nn.Adam(0.05), epochs=800,
        batch_size="epoch", progress=False,
    )  # fmt: skip
    right = int(((net.forward(_CORNERS) > 0.5) == (t > 0.5)).sum())
    return Example(
        "A graph of neurons learns XOR",
        "A multilayer perceptron is any finite acyclic graph of neurons. This one has a single hidden neuron and "
        "shortcuts from the inputs to the output; backpropagation through E = ½·Σ‖y − t‖² trains it.",
        [
            Number("weights and biases", net.parameter_count),
            Number("patterns that are right after 800 epochs", right, 4),
            Number("E at the end", f"{history.epochs[-1].train_loss:.2g}"),
        ],
    )


def counts() -> Example:
    """The weights of the MLP for MNIST."""
    model = models.mlp()
    each = [model.parameters[f"fc{i}.weight"].size + model.parameters[f"fc{i}.bias"].size for i in (1, 2, 3)]
    return Example(
        "The MLP for MNIST has 266,610 weights",
        "784-300-100-10: 28·28·300 + 300, 300·100 + 100 and 10·100 + 10. Of an image of 256 × 256 the first layer "
        "alone "
        "has almost 20 million; the lecture's “almost 2 million” is a slip.",
        [
            Number("the layers", each, [235_500, 30_100, 1_010]),
            Number("all", model.parameter_count, 266_610),
            Number("first layer at 256 × 256", models.mlp((256 * 256, 300)).parameter_count, 256 * 256 * 300 + 300),
        ],
    )


CHAPTER: Chapter = [activations, perceptron, xor, counts]
