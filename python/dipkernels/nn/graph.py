"""The lecture's finite acyclic graph of layers, and its simplest form, the sequence."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from dipkernels import cuda
from dipkernels.arguments import described, size_of_one
from dipkernels.checks import checked, instance, listed, one_of, random_seed, string
from dipkernels.nn.fusion import Step, fused
from dipkernels.nn.initializers import INITIALIZERS
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray, to_host


class Graph:
    """Layers as the nodes of a finite acyclic graph.

    Parameters
    ----------
    inputs
        A name for each input of the network, with its shape without the batch axis.
    nodes
        For each node its name and (layer, names of its predecessors). A predecessor may come later in the mapping;
        several successors of one node, shortcuts among them, are allowed.
    outputs
        The names of the nodes that are the network's results (its heads).
    seed, initializer
        The weights are drawn from this seed, in topological order.

    Raises
    ------
    TypeError
        A node that is no layer.
    ValueError
        A name that is missing or given twice, a cycle, a node that leads to no output, or shapes that do not fit.

    A layer that is several nodes has one set of weights, under the name of the first; their gradients are added.

    In training a `Conv2d` and the `MaxPool2d` that alone follows it are computed by one kernel, with the same results.

    Source: lecture, multilayer perceptron as a finite acyclic graph; backpropagation in reverse topological order.

    >>> from dipkernels import nn
    >>> block = nn.Graph(
    ...     inputs={"x": (4, 8, 8)},
    ...     nodes={
    ...         "conv": (nn.Conv2d(4, 4, 3, padding=1, activation="relu"), ["x"]),
    ...         "sum": (nn.Add(), ["conv", "x"]),
    ...     },
    ...     outputs=["sum"],
    ... )
    >>> block.forward(np.zeros((2, 4, 8, 8), np.float32)).shape
    (2, 4, 8, 8)
    """

    @checked(inputs=instance(Mapping), nodes=instance(Mapping), seed=random_seed, initializer=one_of(INITIALIZERS))
    def __init__(
        self,
        inputs: Mapping[str, Shape],
        nodes: Mapping[str, tuple[Layer, Sequence[str]]],
        outputs: Sequence[str],
        *,
        seed: int = 0,
        initializer: str = "he_normal",
    ) -> None:
        for name in (*inputs, *nodes):
            string("Graph", "the name of an input or node", name)
        for name, node in nodes.items():
            if not (isinstance(node, Sequence) and len(node) == 2):
                raise TypeError(f"Graph: node {name!r} must be (layer, names of predecessors), got {described(node)}")
        self.inputs = {
            name: size_of_one("Graph", f"the shape of input {name!r}", shape) for name, shape in inputs.items()
        }
        self.outputs = [outputs] if isinstance(outputs, str) else listed(string)("Graph", "outputs", outputs)
        self.on_device = False
        self.predecessors = {name: list(before) for name, (_, before) in nodes.items()}
        self.layers: dict[str, Layer] = {}
        self.twins: dict[str, str] = {}
        self._set_layers({name: layer for name, (layer, _) in nodes.items()})
        self._check_names()
        try:
            order = TopologicalSorter(self._needs()).static_order()
            self.order = [name for name in order if name in self.layers]
        except CycleError as error:
            raise ValueError(f"Graph: the nodes {' → '.join(error.args[1])} form a cycle") from None
        self.shapes = dict(self.inputs)
        for name in self.order:
            shapes = [self.shapes[before] for before in self.predecessors[name]]
            try:
                self.shapes[name] = self.layers[name].output_shape(*shapes)
            except ValueError as error:
                raise ValueError(f"Graph: node {name!r}: {error}") from None
        for number, name in enumerate(self.order, 1):
            self.layers[name].place(number)
        self._values: dict[str, FloatArray] = {}
        self._single_steps = [Step(name, self.layers[name], self.predecessors[name]) for name in self.order]
        self._training_steps = fused(self._single_steps, self.outputs)
        self._steps = self._single_steps
        self._trained: set[str] = set()  # nodes with parameters, or with such a node before them
        for name in self.order:
            if self.layers[name].parameters or not self._trained.isdisjoint(self.predecessors[name]):
                self._trained.add(name)
        self.initialize(seed, initializer)

    def _set_layers(self, layers: Mapping[str, Any]) -> None:
        """A layer that is several nodes has one set of weights, which all of them train: siamese networks want that."""
        first: dict[int, str] = {}
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                kind = "the class" if isinstance(layer, type) else "an object of type"
                what = layer.__name__ if isinstance(layer, type) else type(layer).__name__
                raise TypeError(f"Graph: node {name!r} must be a layer, such as Linear(784, 10), got {kind} {what}")
            if id(layer) in first:
                self.twins[name] = first[id(layer)]
                self.layers[name] = layer.twin()
            else:
                first[id(layer)] = name
                self.layers[name] = layer

    def _needs(self) -> dict[str, list[str]]:
        """What must be computed before each node: its predecessors, and layers whose results it reads besides."""
        names = {id(layer): name for name, layer in self.layers.items()}
        return {
            name: before + [names[id(read)] for read in self.layers[name].reads if id(read) in names]
            for name, before in self.predecessors.items()
        }

    def _check_names(self) -> None:
        both = self.inputs.keys() & self.layers.keys()
        if both:
            raise ValueError(f"Graph: {sorted(both)} are names of inputs and of nodes")
        known = self.inputs.keys() | self.layers.keys()
        for name, before in [*self.predecessors.items(), ("outputs", self.outputs)]:
            if not before:
                raise ValueError(f"Graph: {name!r} has no predecessor")
            missing = set(before) - known
            if missing:
                raise ValueError(
                    f"Graph: {name!r} refers to {sorted(missing)}, which are no nodes; there are {sorted(known)}"
                )
        used = {name for before in self.predecessors.values() for name in before} | set(self.outputs)
        if self.layers.keys() - used:
            raise ValueError(f"Graph: {sorted(self.layers.keys() - used)} lead to no output")

    def initialize(self, seed: int, initializer: str = "he_normal") -> None:
        """Draws all weights anew."""
        rng = np.random.default_rng(seed)
        for name in self.order:
            if name not in self.twins:
                self.layers[name].initialize(rng, initializer)

    def to_device(self, device: int | None = None) -> None:
        """Moves all weights to the GPU; inputs must then be arrays there. RuntimeError without a GPU."""
        self.on_device = True
        for layer in self.layers.values():
            for arrays in (layer.parameters, layer.buffers):
                for name, value in arrays.items():
                    arrays[name] = cuda.to_device(to_host(value), device)  # type: ignore[assignment]

    def to_host(self) -> None:
        """Moves all weights back to NumPy arrays."""
        self.on_device = False
        for layer in self.layers.values():
            for arrays in (layer.parameters, layer.buffers):
                arrays.update({name: to_host(value) for name, value in arrays.items()})
            layer.gradients = {}

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The weights of all layers, named "node.parameter", in topological order."""
        own = [name for name in self.order if name not in self.twins]
        return {f"{n}.{key}": value for n in own for key, value in self.layers[n].parameters.items()}

    @property
    def state(self) -> dict[str, FloatArray]:
        """All that training changes and a file of weights holds: `parameters`, and the layers' buffers named alike."""
        own = [name for name in self.order if name not in self.twins]
        buffers = {f"{n}.{key}": value for n in own for key, value in self.layers[n].buffers.items()}
        return {**self.parameters, **buffers}

    @property
    def gradients(self) -> dict[str, FloatArray]:
        """What the last `backward` set, under the names of `parameters`; of a layer that is several nodes the sum."""
        sums: dict[str, FloatArray] = {}
        for node in self.order:
            for key, value in self.layers[node].gradients.items():
                name = f"{self.twins.get(node, node)}.{key}"
                sums[name] = sums[name] + value if name in sums else value
        return sums

    @property
    def parameter_count(self) -> int:
        """The number of trained weights."""
        return sum(value.size for value in self.parameters.values())

    def forward(self, *inputs: FloatArray, training: bool = False) -> Any:
        """The result, or a tuple of the results of several outputs, from the inputs in their order, batch first.

        Raises ValueError for a wrong number of inputs or one of another shape.
        """
        if len(inputs) != len(self.inputs):
            raise ValueError(f"forward: takes {len(self.inputs)} inputs ({', '.join(self.inputs)}), got {len(inputs)}")
        for (name, shape), x in zip(self.inputs.items(), inputs, strict=True):
            if not hasattr(x, "shape"):
                raise TypeError(f"forward: {name} must be an array, got {described(x)}")
            if len(x.shape) != len(shape) + 1 or tuple(x.shape[1:]) != shape:
                raise ValueError(f"forward: {name} must have shape (N, {', '.join(map(str, shape))}), got {x.shape}")
        self._values = dict(zip(self.inputs, inputs, strict=True))
        for step in self._single_steps + self._training_steps:
            step.layer.forget()
        self._steps = self._training_steps if training else self._single_steps
        for step in self._steps:
            arguments = [self._values[before] for before in step.before]
            self._values[step.name] = step.layer.forward(*arguments, training=training)
        results = tuple(self._values[name] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def __call__(self, *inputs: FloatArray) -> Any:
        """`forward`."""
        return self.forward(*inputs)

    def summary(self) -> None:
        """Prints the table of `nn.summary`."""
        from dipkernels.nn.summary import summary

        print(summary(self))

    def _repr_html_(self) -> str:
        """In a notebook: the table of `nn.summary`."""
        from dipkernels.nn.summary import summary_rows

        heads, *rows = ([html.escape(cell) for cell in row] for row in summary_rows(self))
        lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in heads)}</tr>"]
        lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
        return f"<table>{''.join(lines)}</table>"

    def value(self, name: str) -> FloatArray:
        """What node or input `name` held in the last `forward`.

        KeyError where there is none, as for a convolution that was pooled by the same kernel in training.
        """
        if name in self.layers and name not in self._values:
            raise KeyError(f"value: node {name!r} has none; it has after a forward with training=False")
        return self._values[name]

    def backward(self, *dys: FloatArray, input_gradient: bool = False) -> Any:
        """Sets all gradients from those of the outputs; where `input_gradient`, returns those of the inputs.

        The gradients of a node with several successors are added.
        """
        if len(dys) != len(self.outputs):
            raise ValueError(
                f"backward: takes {len(self.outputs)} gradients ({', '.join(self.outputs)}), got {len(dys)}"
            )
        with cuda.branches() if self.on_device else contextlib.nullcontext():
            gradients = self._backward(dys, input_gradient)
        if not input_gradient:
            return None
        results = tuple(gradients[name] for name in self.inputs)
        return results[0] if len(results) == 1 else results

    def _backward(self, dys: Sequence[FloatArray], input_gradient: bool) -> dict[str, FloatArray]:
        """The gradients of the inputs, where they are wanted."""
        gradients: dict[str, FloatArray] = {}
        for name, dy in zip(self.outputs, dys, strict=True):
            gradients[name] = gradients[name] + dy if name in gradients else dy
        for name, layer, before in reversed(self._steps):
            if name not in gradients:
                continue
            wanted = input_gradient or not self._trained.isdisjoint(before)
            for each, dx in zip(before, layer.backward(gradients.pop(name), input_gradient=wanted), strict=True):
                if dx is not None and (input_gradient or each in self._trained):
                    gradients[each] = gradients[each] + dx if each in gradients else dx
        return gradients


class Sequential(Graph):
    """A graph with one path. Layers are named after their class and number, or as a mapping names them.

    >>> from dipkernels import nn
    >>> model = nn.Sequential((4,), nn.Linear(4, 3, activation="relu"), nn.Linear(3, 2))
    >>> model.forward(np.ones((1, 4), np.float32)).shape
    (1, 2)
    """

    def __init__(
        self,
        input_shape: Shape,
        *layers: Layer | Mapping[str, Layer],
        seed: int = 0,
        initializer: str = "he_normal",
    ) -> None:
        if isinstance(input_shape, (Layer, type, Mapping)):
            raise TypeError(
                "Sequential: the input's shape without the batch axis comes first, as in "
                f"Sequential((784,), Linear(784, 10)), got {type(input_shape).__name__}"
            )
        named: dict[str, Layer] = {}
        for layer in layers:
            if isinstance(layer, Mapping):
                named.update(layer)
            else:
                number = 1 + sum(type(other) is type(layer) for other in named.values())
                named[f"{type(layer).__name__.lower()}{number}"] = layer
        if not named:
            raise ValueError("Sequential: give at least one layer")
        names = ["input", *named]
        nodes = {name: (layer, [names[i]]) for i, (name, layer) in enumerate(named.items())}
        super().__init__({"input": input_shape}, nodes, [names[-1]], seed=seed, initializer=initializer)
