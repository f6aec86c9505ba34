"""Layers with several inputs: where the paths of a graph come together."""

from __future__ import annotations

import numpy as np

from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray


class Add(Layer):
    """The sum of its inputs, all of one shape: the end of a shortcut connection."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._count = len(inputs)
        y = inputs[0]
        for x in inputs[1:]:
            y = y + x
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (dy,) * self._count

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"Add: the inputs must have one shape, got {shapes}")
        return shapes[0]


class Concatenate(Layer):
    """Its inputs one behind the other along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[int] = []

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._ends = [int(end) for end in np.cumsum([x.shape[1] for x in inputs])[:-1]]
        return np.concatenate(inputs, axis=1)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return tuple(np.ascontiguousarray(part) for part in np.split(dy, self._ends, axis=1))

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(shape[1:] != shapes[0][1:] for shape in shapes):
            raise ValueError(f"Concatenate: the inputs may differ only in their channels, got {shapes}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])
