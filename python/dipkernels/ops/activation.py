"""Activation functions and their gradients. Every gradient is computed from the result y = f(x).

All take float32 arrays of any shape and return a new array of that shape, or write into `out` (which may be the input
itself). Wrong dtypes raise TypeError, wrong shapes and parameters ValueError. NaN gives NaN; a gradient is NaN where y
is, and 0 where the activation is flat (step; relu where y ≤ 0), whatever dy is there.
"""

from __future__ import annotations

from typing import TypeAlias

from dipkernels.arguments import choice, described, limited, number
from dipkernels.ops.backend import FloatArray, IndexArray, backend_of

__all__ = [
    "elu",
    "elu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "maxout",
    "maxout_backward",
    "maxout_with_indices",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "step",
    "step_backward",
    "tanh",
    "tanh_backward",
]

Activation: TypeAlias = str | tuple[str, float] | None
"""None, the name of an activation, or (name, parameter), as layers and fused operators take it."""

_default_parameter = {"leaky_relu": 0.01, "elu": 1.0}


def activation_arguments(op: str, activation: Activation) -> tuple[str, float]:
    """The (name, parameter) the kernels take.

    >>> activation_arguments("conv2d", "elu")
    ('elu', 1.0)
    """
    if activation is None:
        return "none", 0.0
    if isinstance(activation, str):
        return activation, _default_parameter.get(activation, 0.0)
    if isinstance(activation, (tuple, list)) and len(activation) == 2 and isinstance(activation[0], str):
        return activation[0], number(op, "activation[1]", activation[1])
    raise TypeError(f"{op}: activation must be None, a name, or (name, parameter), got {described(activation)}")


def check_activation(op: str, activation: Activation) -> None:
    """TypeError or ValueError, in the name of `op`, for an activation that is none of those."""
    name, parameter = activation_arguments(op, activation)
    choice(op, "activation", name, ("none", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu"))
    limited(op, "activation[1]", parameter)


def apply_activation(x: FloatArray, activation: Activation) -> FloatArray:
    """The activation of that name; x itself for None."""
    name, parameter = activation_arguments("activation", activation)
    return x if name == "none" else _forward(name, x, parameter, None)


def apply_activation_backward(dy: FloatArray, y: FloatArray, activation: Activation) -> FloatArray:
    """dy through the activation of that name, from its result y; dy itself for None."""
    name, parameter = activation_arguments("activation", activation)
    return dy if name == "none" else _backward(name, dy, y, parameter, None)


def _forward(name: str, x: FloatArray, alpha: float, out: FloatArray | None) -> FloatArray:
    return backend_of(name, x).activation(x, name, alpha, out)


def _backward(name: str, dy: FloatArray, y: FloatArray, alpha: float, out: FloatArray | None) -> FloatArray:
    op = f"{name}_backward"
    return backend_of(op, dy, y).activation_backward(dy, y, name, alpha, out)


def step(x: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """The step function of the perceptron: 1 where x > 0, else 0.

    Source: Rosenblatt 1958, "The perceptron".

    >>> step(np.float32([-1, 0, 2]))
    array([0., 0., 1.], dtype=float32)
    """
    return _forward("step", x, 0.0, out)


def step_backward(dy: FloatArray, y: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """Zero: the step function is flat wherever it has a derivative.

    dy and y = step(x) : float32 of any shape; the result has that shape, or is `out`, which may be dy itself. TypeError
    for other dtypes, ValueError for shapes that differ. Source: lecture, backpropagation, the derivative of the
    activation.
    """
    return _backward("step", dy, y, 0.0, out)


def sigmoid(x: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """The logistic function 1/(1 + e^−x), monotone, with f(x) = 1 − f(−x). Source: lecture, logistic neuron.

    x : float32 of any shape; the result has that shape, or is `out`, which may be x itself. TypeError for other dtypes,
    ValueError for shapes that differ.

    >>> sigmoid(np.float32([0]))
    array([0.5], dtype=float32)
    """
    return _forward("sigmoid", x, 0.0, out)


def sigmoid_backward(dy: FloatArray, y: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dx = dy·y·(1 − y), from y = sigmoid(x).

    dy and y = sigmoid(x) : float32 of any shape; the result has that shape, or is `out`, which may be dy itself.
    TypeError for other dtypes, ValueError for shapes that differ. Source: lecture, backpropagation, the derivative of
    the activation.
    """
    return _backward("sigmoid", dy, y, 0.0, out)


def tanh(x: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """The hyperbolic tangent.

    x : float32 of any shape; the result has that shape, or is `out`, which may be x itself. TypeError for other dtypes,
    ValueError for shapes that differ. Source: lecture, activation functions.

    >>> tanh(np.float32([0, 100]))
    array([0., 1.], dtype=float32)
    """
    return _forward("tanh", x, 0.0, out)


def tanh_backward(dy: FloatArray, y: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dx = dy·(1 − y²), from y = tanh(x).

    dy and y = tanh(x) : float32 of any shape; the result has that shape, or is `out`, which may be dy itself. TypeError
    for other dtypes, ValueError for shapes that differ. Source: lecture, backpropagation, the derivative of the
    activation.
    """
    return _backward("tanh", dy, y, 0.0, out)


def relu(x: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """max(0, x). Source: lecture; Nair and Hinton 2010.

    x : float32 of any shape; the result has that shape, or is `out`, which may be x itself. TypeError for other dtypes,
    ValueError for shapes that differ.

    >>> relu(np.float32([-1, 2]))
    array([0., 2.], dtype=float32)
    """
    return _forward("relu", x, 0.0, out)


def relu_backward(dy: FloatArray, y: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dx = dy where y > 0, else 0, from y = relu(x).

    dy and y = relu(x) : float32 of any shape; the result has that shape, or is `out`, which may be dy itself. TypeError
    for other dtypes, ValueError for shapes that differ. Source: lecture, backpropagation, the derivative of the
    activation.
    """
    return _backward("relu", dy, y, 0.0, out)


def leaky_relu(x: FloatArray, negative_slope: float = 0.01, *, out: FloatArray | None = None) -> FloatArray:
    """x where x ≥ 0, negative_slope·x below. The lecture's max(0.1x, x) is `leaky_relu(x, 0.1)`.

    `negative_slope` must be at least 0, so that the result tells on which side x lay.

    >>> leaky_relu(np.float32([-1, 2]), 0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return _forward("leaky_relu", x, negative_slope, out)


def leaky_relu_backward(
    dy: FloatArray, y: FloatArray, negative_slope: float = 0.01, *, out: FloatArray | None = None
) -> FloatArray:
    """dx = dy where y > 0, else negative_slope·dy, from y = leaky_relu(x).

    dy and y = leaky_relu(x) : float32 of any shape; the result has that shape, or is `out`, which may be dy itself.
    TypeError for other dtypes, ValueError for shapes that differ. Source: lecture, backpropagation, the derivative of
    the activation; ValueError too for a negative_slope below 0.
    """
    return _backward("leaky_relu", dy, y, negative_slope, out)


def elu(x: FloatArray, alpha: float = 1.0, *, out: FloatArray | None = None) -> FloatArray:
    """x where x ≥ 0, alpha·(eˣ − 1) below, alpha ≥ 0. Source: Clevert, Unterthiner, Hochreiter 2016.

    x : float32 of any shape; the result has that shape, or is `out`, which may be x itself. TypeError for other dtypes,
    ValueError for shapes that differ, and for an alpha below 0.

    >>> elu(np.float32([-100, 2]))
    array([-1.,  2.], dtype=float32)
    """
    return _forward("elu", x, alpha, out)


def elu_backward(dy: FloatArray, y: FloatArray, alpha: float = 1.0, *, out: FloatArray | None = None) -> FloatArray:
    """dx = dy where y > 0, else dy·(y + alpha), from y = elu(x).

    dy and y = elu(x) : float32 of any shape; the result has that shape, or is `out`, which may be dy itself. TypeError
    for other dtypes, ValueError for shapes that differ. Source: lecture, backpropagation, the derivative of the
    activation; ValueError too for an alpha below 0.
    """
    return _backward("elu", dy, y, alpha, out)


def maxout_with_indices(x: FloatArray, pieces: int, *, out: FloatArray | None = None) -> tuple[FloatArray, IndexArray]:
    """The largest of `pieces` neighbouring channels, and which of them it was.

    With x = linear(...) of 2·C outputs, `pieces=2` is the lecture's max(w₁ᵀx + b₁, w₂ᵀx + b₂).

    Parameters
    ----------
    x : float32 (N, C·pieces, ...)
    pieces : int
        At least 1; must divide the number of channels.

    Returns
    -------
    y : float32 (N, C, ...), y[n, c] = max over j of x[n, c·pieces + j]
    indices : int32 (N, C, ...), that j; the first where several are equal.

    Source: Goodfellow et al. 2013, "Maxout networks".

    >>> maxout_with_indices(np.float32([[1, 5, 2, 0]]), 2)
    (array([[5., 2.]], dtype=float32), array([[1, 0]], dtype=int32))
    """
    return backend_of("maxout", x).maxout(x, pieces, out)


def maxout(x: FloatArray, pieces: int, *, out: FloatArray | None = None) -> FloatArray:
    """The first result of `maxout_with_indices`.

    x float32 (N, C·pieces, …) to (N, C, …). ValueError where `pieces` does not divide the channels. Source: Goodfellow
    et al. 2013.
    """
    return maxout_with_indices(x, pieces, out=out)[0]


def maxout_backward(dy: FloatArray, indices: IndexArray, pieces: int, *, out: FloatArray | None = None) -> FloatArray:
    """Routes dy (N, C, ...) to the channel that was largest; the result is (N, C·pieces, ...).

    Raises IndexError where an index is not from 0 to pieces − 1.
    """
    return backend_of("maxout_backward", dy, indices).maxout_backward(dy, indices, pieces, out)
