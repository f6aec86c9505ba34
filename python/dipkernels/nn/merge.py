"""Layers with several inputs: where the paths of a graph come together."""

from __future__ import annotations

from dipkernels import ops
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
        self._channels: list[int] = []

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._channels = [x.shape[1] for x in inputs]
        return ops.concatenate(inputs)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return ops.concatenate_backward(dy, self._channels)

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(shape[1:] != shapes[0][1:] for shape in shapes):
            raise ValueError(f"Concatenate: the inputs may differ only in their channels, got {shapes}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])
