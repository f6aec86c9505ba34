"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from dipkernels import cuda, ops
from dipkernels.arguments import flag, integer
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.activation import Activation, apply_activation_backward, check_activation
from dipkernels.ops.backend import FloatArray


class Linear(Layer):
    """y = activation(x·weightᵀ + bias), x (N, …, in_features), y (N, …, out_features).

    ValueError for sizes below 1 and for an unknown activation.
    """

    _remembered = ("_x", "_y")

    def __init__(self, in_features: int, out_features: int, bias: bool = True, activation: Activation = None) -> None:
        super().__init__()
        size = integer("Linear", "out_features", out_features, 1), integer("Linear", "in_features", in_features, 1)
        check_activation("Linear", activation)
        self.activation = activation
        self.parameters["weight"] = np.zeros(size, np.float32)
        if flag("Linear", "bias", bias):
            self.parameters["bias"] = np.zeros(size[0], np.float32)
        self.initialize(np.random.default_rng(0))
        self._x: FloatArray | None = None
        self._y: FloatArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        self._y = ops.linear(self._x, self.parameters["weight"], self.parameters.get("bias"), self.activation)
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        x = self._saved(self._x)
        dy = apply_activation_backward(dy, self._saved(self._y), self.activation)
        with cuda.weights_beside():
            self.gradients["weight"] = ops.linear_backward_weight(dy, x)
            if "bias" in self.parameters:
                self.gradients["bias"] = ops.linear_backward_bias(dy)
        return (ops.linear_backward_data(dy, self.parameters["weight"]) if input_gradient else None,)

    def output_shape(self, *shapes: Shape) -> Shape:
        out_features, in_features = self.parameters["weight"].shape
        if not shapes[0] or shapes[0][-1] != in_features:
            raise ValueError(f"Linear: needs an input (…, {in_features}), got {shapes[0]}")
        return (*shapes[0][:-1], out_features)

    def fans(self) -> tuple[int, int]:
        out_features, in_features = self.parameters["weight"].shape
        return in_features, out_features
