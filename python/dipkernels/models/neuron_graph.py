"""A multilayer perceptron given neuron by neuron, as a list of connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from dipkernels import ops
from dipkernels.arguments import described
from dipkernels.checks import checked, listed, string
from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.activation import Activation, apply_activation_backward
from dipkernels.ops.backend import FloatArray


class _Neurons(Layer):
    """All neurons, level by level: a level is what can be computed at once. Connections that are not there are zeros
    of a level's weight matrix, which neither the initialiser nor the gradient touches."""

    def __init__(
        self,
        levels: list[list[str]],
        predecessors: dict[str, list[str]],
        inputs: int,
        outputs: list[int],
        f: Activation,
    ) -> None:
        super().__init__()
        self.activation, self.outputs, self.inputs = f, outputs, inputs
        self.column: dict[str, int] = {}
        self.starts, self.masks = [0], []
        for depth, level in enumerate(levels):
            if depth:
                mask = np.zeros((len(level), len(self.column)), np.float32)
                for row, name in enumerate(level):
                    mask[row, [self.column[before] for before in predecessors[name]]] = 1.0
                self.masks.append(mask)
                self.parameters[f"weight{depth}"] = np.zeros_like(mask)
                self.parameters[f"bias{depth}"] = np.zeros(len(level), np.float32)
            for name in level:
                self.column[name] = len(self.column)
            self.starts.append(len(self.column))
        self._a: FloatArray | None = None

    def initialize(self, rng: np.random.Generator, initializer: str = "glorot_uniform") -> None:
        for depth, mask in enumerate(self.masks, 1):
            scale = np.sqrt(3.0 / np.maximum(mask.sum(1, keepdims=True), 1))
            weights = (2 * rng.random(mask.shape, np.float32) - 1) * scale * mask
            self.parameters[f"weight{depth}"][...] = weights
            self.parameters[f"bias{depth}"][...] = 0.0

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._a = np.empty((len(inputs[0]), self.starts[-1]), np.float32)
        self._a[:, : self.inputs] = inputs[0]
        for depth in range(1, len(self.masks) + 1):
            start, end = self.starts[depth : depth + 2]
            weight, bias = self.parameters[f"weight{depth}"], self.parameters[f"bias{depth}"]
            self._a[:, start:end] = ops.linear(self._a[:, :start], weight, bias, self.activation)
        return self._a[:, self.outputs]

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        a = self._saved(self._a)
        da = np.zeros_like(a)
        for column, output in enumerate(self.outputs):
            da[:, output] += dy[:, column]
        for depth in range(len(self.masks), 0, -1):
            start, end = self.starts[depth : depth + 2]
            dnet = apply_activation_backward(da[:, start:end], a[:, start:end], self.activation)
            self.gradients[f"weight{depth}"] = ops.linear_backward_weight(dnet, a[:, :start]) * self.masks[depth - 1]
            self.gradients[f"bias{depth}"] = ops.linear_backward_bias(dnet)
            da[:, :start] += ops.linear_backward_data(dnet, self.parameters[f"weight{depth}"])
        return (da[:, : self.inputs],)

    def output_shape(self, *shapes: Shape) -> Shape:
        return (len(self.outputs),)


def _pairs(connections: Any) -> list[tuple[str, str]]:
    try:
        pairs = [tuple(each) for each in connections]
    except TypeError:
        pairs = [()]
    if any(len(pair) != 2 or not all(isinstance(name, str) for name in pair) for pair in pairs):
        raise TypeError(f"NeuronGraph: connections must be pairs of names, got {described(connections)}")
    return [(str(before), str(after)) for before, after in pairs]


class NeuronGraph(Graph):
    """A finite acyclic graph of neurons: net_i ← w_i0 + Σ_{j ∈ Pred(i)} w_ij·a_j, a_i ← f(net_i).

    Parameters
    ----------
    inputs, outputs
        The names of the input and of the output neurons.
    connections
        Pairs (j, i), one for each weight, from neuron j to neuron i; shortcuts are allowed.
    activation
        f, of all neurons but the inputs.

    `forward` takes float32 (N, inputs) and gives (N, outputs); it trains like every other network.

    Raises
    ------
    ValueError
        A cycle, a connection given twice or into an input, or an output that nothing leads to.

    Source: lecture, the MLP as a finite acyclic graph.

    >>> xor = NeuronGraph(["x1", "x2"], [("x1", "h"), ("x2", "h"), ("x1", "y"), ("x2", "y"), ("h", "y")], ["y"])
    >>> xor.parameter_count
    7
    """

    @checked(inputs=listed(string), outputs=listed(string))
    def __init__(
        self,
        inputs: Sequence[str],
        connections: Iterable[tuple[str, str]],
        outputs: Sequence[str],
        activation: Activation = "sigmoid",
        *,
        seed: int = 0,
    ) -> None:
        predecessors: dict[str, list[str]] = {}
        for before, after in _pairs(connections):
            if after in inputs:
                raise ValueError(f"NeuronGraph: connection {before!r} → {after!r} leads into an input")
            if before in predecessors.setdefault(after, []):
                raise ValueError(f"NeuronGraph: connection {before!r} → {after!r} is given twice")
            predecessors[after].append(before)
        loose = {j for before in predecessors.values() for j in before} - predecessors.keys() - set(inputs)
        if loose:
            raise ValueError(f"NeuronGraph: {sorted(loose)} have no predecessor and are no inputs")
        missing = set(outputs) - predecessors.keys()
        if missing:
            raise ValueError(f"NeuronGraph: no connection leads to the outputs {sorted(missing)}")
        depth = dict.fromkeys(inputs, 0)
        try:
            for name in TopologicalSorter(predecessors).static_order():
                if name in predecessors:
                    depth[name] = 1 + max(depth[before] for before in predecessors[name])
        except CycleError as error:
            raise ValueError(f"NeuronGraph: the neurons {' → '.join(error.args[1])} form a cycle") from None
        levels = [[name for name, d in depth.items() if d == level] for level in range(max(depth.values()) + 1)]
        order = [name for level in levels for name in level]
        self.neurons = _Neurons(levels, predecessors, len(inputs), [order.index(o) for o in outputs], activation)
        self.connections = [(before, after) for after, befores in predecessors.items() for before in befores]
        super().__init__({"x": (len(inputs),)}, {"neurons": (self.neurons, ["x"])}, ["neurons"], seed=seed)

    @property
    def parameter_count(self) -> int:
        """One weight for each connection and one bias for each hidden and output neuron."""
        return len(self.connections) + sum(len(mask) for mask in self.neurons.masks)

    def _place(self, name: str) -> tuple[int, int]:
        column = self.neurons.column[name]
        depth = max(d for d, start in enumerate(self.neurons.starts[:-1]) if start <= column)
        return depth, column - self.neurons.starts[depth]

    def weight(self, before: str, after: str) -> float:
        """The weight of the connection from `before` to `after`; KeyError where there is none."""
        if (before, after) not in self.connections:
            raise KeyError(f"there is no connection {before!r} → {after!r}")
        depth, row = self._place(after)
        return float(self.neurons.parameters[f"weight{depth}"][row, self.neurons.column[before]])

    def set_weight(self, before: str, after: str, value: float) -> None:
        """Sets that weight."""
        self.weight(before, after)
        depth, row = self._place(after)
        self.neurons.parameters[f"weight{depth}"][row, self.neurons.column[before]] = value

    def bias(self, name: str) -> float:
        """The bias w_i0 of neuron `name`."""
        depth, row = self._place(name)
        return float(self.neurons.parameters[f"bias{depth}"][row])

    def set_bias(self, name: str, value: float) -> None:
        """Sets that bias."""
        depth, row = self._place(name)
        self.neurons.parameters[f"bias{depth}"][row] = value
