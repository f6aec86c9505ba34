"""Batch normalisation as a layer."""

from __future__ import annotations

import numpy as np

from dipkernels import ops
from dipkernels.arguments import integer, limited
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.activation import Activation, apply_activation_backward, check_activation
from dipkernels.ops.backend import FloatArray, assign


class BatchNorm(Layer):
    """Every channel of x (N, C, …) with mean 0 and variance 1, times `weight`, plus `bias`, through the activation.

    In training mean and variance are the batch's own, and running averages take them in, each batch with the weight
    `momentum`; otherwise they are those averages. `nn.fold_batch_norm` puts a trained one into the convolution before
    it.

    Source: Ioffe, Szegedy 2015.
    """

    _remembered = ("_x", "_y", "_mean", "_var")

    def __init__(
        self, channels: int, momentum: float = 0.1, eps: float = 1e-5, *, activation: Activation = None
    ) -> None:
        super().__init__()
        channels = integer("BatchNorm", "channels", channels, 1)
        self.momentum = limited("BatchNorm", "momentum", momentum, 1 + 1e-9)
        self.eps = limited("BatchNorm", "eps", eps)
        check_activation("BatchNorm", activation)
        self.activation = activation
        self.parameters = {name: np.zeros(channels, np.float32) for name in ("weight", "bias")}
        self.buffers = {name: np.zeros(channels, np.float32) for name in ("running_mean", "running_var")}
        self.initialize(np.random.default_rng(0))
        self._x: FloatArray | None = None
        self._y: FloatArray | None = None
        self._mean: FloatArray | None = None
        self._var: FloatArray | None = None
        self._own = False

    def initialize(self, rng: np.random.Generator, initializer: str = "he_normal") -> None:
        for values, value in ((self.parameters["weight"], 1.0), (self.parameters["bias"], 0.0)):
            assign(values, np.full(values.shape, value, np.float32))
        for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
            assign(self.buffers[name], np.full(self.buffers[name].shape, value, np.float32))

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        self._own = training
        weight, bias = self.parameters["weight"], self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        if training:
            self._y, self._mean, self._var = ops.batch_norm_with_stats(
                self._x, mean, var, weight, bias, self.momentum, self.eps, self.activation
            )
        else:
            self._mean, self._var = mean, var
            self._y = ops.batch_norm(self._x, mean, var, weight, bias, self.eps, self.activation)
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        dy = apply_activation_backward(dy, self._saved(self._y), self.activation)
        mean, var = self._saved(self._mean), self._saved(self._var)
        dx, self.gradients["weight"], self.gradients["bias"] = ops.batch_norm_backward(
            dy, self._saved(self._x), mean, var, self.parameters["weight"], self.eps, self._own
        )
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        channels = self.parameters["weight"].size
        if shapes[0][0] != channels:
            raise ValueError(f"BatchNorm: needs an input of {channels} channels, got {shapes[0]}")
        return shapes[0]
