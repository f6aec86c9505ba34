"""Activations as layers of their own. `Conv2d` and `Linear` can also do them on the way."""

from __future__ import annotations

from dipkernels import ops
from dipkernels.arguments import integer
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.activation import apply_activation, apply_activation_backward, check_activation
from dipkernels.ops.backend import FloatArray, IndexArray


class Activation(Layer):
    """`Activation("relu")`, or `Activation(("leaky_relu", 0.1))`: y = f(x), any shape.

    ValueError for an unknown name.
    """

    _remembered = ("_y",)

    def __init__(self, activation: str | tuple[str, float]) -> None:
        super().__init__()
        check_activation("Activation", activation)
        self.activation = activation
        self._y: FloatArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._y = apply_activation(inputs[0], self.activation)
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (apply_activation_backward(dy, self._saved(self._y), self.activation),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]


class Maxout(Layer):
    """The largest of `pieces` neighbouring channels: `Linear(n, 2·c)` then `Maxout(2)` is the lecture's maxout."""

    _remembered = ("_indices",)

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = integer("Maxout", "pieces", pieces, 1)
        self._indices: IndexArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        y, self._indices = ops.maxout_with_indices(inputs[0], self.pieces)
        return y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.maxout_backward(dy, self._saved(self._indices), self.pieces),)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, *rest = shapes[0]
        if channels % self.pieces:
            raise ValueError(f"Maxout: {channels} channels do not divide into pieces of {self.pieces}")
        return (channels // self.pieces, *rest)


class Softmax(Layer):
    """Softmax over the channels. For training use `cross_entropy` on the logits before it instead."""

    _remembered = ("_y",)

    def __init__(self) -> None:
        super().__init__()
        self._y: FloatArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        self._y = ops.softmax(inputs[0], 1)
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        return (ops.softmax_backward(dy, self._saved(self._y), 1),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]
