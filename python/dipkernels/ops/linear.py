"""The fully connected layer and its gradients."""

from __future__ import annotations

import math

from dipkernels.ops.activation import Activation, activation_arguments
from dipkernels.ops.backend import FloatArray, backend_of, shape_of
from dipkernels.ops.precision import Precision, precision_or_current

__all__ = ["linear", "linear_backward", "linear_backward_bias", "linear_backward_data", "linear_backward_weight"]


def _rows(array: FloatArray) -> FloatArray:
    """(…, features) as (rows, features): all axes but the last are positions."""
    shape = tuple(getattr(array, "shape", (0, 0)))
    return array if len(shape) in (0, 2) else array.reshape((math.prod(shape[:-1]), shape[-1]))


def _like(array: FloatArray, result: FloatArray, out: FloatArray | None) -> FloatArray:
    """`result` (rows, features) with the positions that `array` has; `out` itself where it was given."""
    shape = tuple(array.shape)
    if out is not None:
        return out
    return result if len(shape) == 2 else result.reshape((*shape[:-1], result.shape[-1]))


def linear(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    activation: Activation = None,
    *,
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """y = activation(x·weightᵀ + bias), in one kernel: O neurons that each see all of x.

    Parameters
    ----------
    x : float32 (N, I), or (…, I) with any axes before the last; y has the same
    weight : float32 (O, I)
    bias : float32 (O,), optional
    activation
        None, "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", or (name, parameter).
    precision
        "highest", "high" or "medium"; None for what `dipkernels.precision` has set.

    Returns
    -------
    y : float32 (N, O)

    Raises TypeError for other dtypes and ValueError for shapes that do not fit. Source: lecture, y = f(w₀ + wᵀx).

    >>> linear(np.float32([[1, 2]]), np.float32([[3, 4]]), np.float32([0.5]))
    array([[11.5]], dtype=float32)
    """
    name, alpha = activation_arguments("linear", activation)
    y = backend_of("linear", x, weight, bias).linear(
        _rows(x), weight, bias, name, alpha, precision_or_current(precision), out if out is None else _rows(out)
    )
    return _like(x, y, out)


def linear_backward_data(
    dy: FloatArray, weight: FloatArray, *, precision: Precision | None = None, out: FloatArray | None = None
) -> FloatArray:
    """dx (N, I) = dy (N, O) · weight (O, I).

    float32 arrays; more axes may stand before the last, as in `linear`. TypeError for another dtype, ValueError for
    shapes that do not fit. Source: lecture, backpropagation.

    >>> linear_backward_data(np.float32([[2]]), np.float32([[3, 4]]))
    array([[6., 8.]], dtype=float32)
    """
    dx = backend_of("linear_backward_data", dy, weight).linear_backward_data(
        _rows(dy), weight, precision_or_current(precision), out if out is None else _rows(out)
    )
    return _like(dy, dx, out)


def linear_backward_weight(
    dy: FloatArray, x: FloatArray, *, precision: Precision | None = None, out: FloatArray | None = None
) -> FloatArray:
    """dweight (O, I) = dyᵀ · x, for dy (N, O) and x (N, I).

    float32 arrays; more axes may stand before the last, as in `linear`. TypeError for another dtype, ValueError for
    shapes that do not fit. Source: lecture, backpropagation.

    >>> linear_backward_weight(np.float32([[2]]), np.float32([[3, 4]]))
    array([[6., 8.]], dtype=float32)
    """
    if shape_of("linear_backward_weight", "dy", dy)[:-1] != shape_of("linear_backward_weight", "x", x)[:-1]:
        raise ValueError(
            "linear_backward_weight: dy and x must have the same axes before the last, "
            f"got {tuple(dy.shape)} and {tuple(x.shape)}"
        )
    return backend_of("linear_backward_weight", dy, x).linear_backward_weight(
        _rows(dy), _rows(x), precision_or_current(precision), out
    )


def linear_backward_bias(dy: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dbias (O,): the sum of dy (N, O) over the batch, accumulated in float64.

    TypeError where dy is not float32. Source: lecture, backpropagation.

    >>> linear_backward_bias(np.float32([[1, 2], [3, 4]]))
    array([4., 6.], dtype=float32)
    """
    return backend_of("linear_backward_bias", dy).linear_backward_bias(_rows(dy), out)


def linear_backward(
    dy: FloatArray, x: FloatArray, weight: FloatArray, *, precision: Precision | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """All three gradients, (dx, dweight, dbias), of ⟨dy, linear(x, weight, bias)⟩.

    dy float32 (N, O), x (N, I), weight (O, I); the gradients have the shapes of x, weight and bias. Errors as in
    `linear`. Source: lecture, backpropagation.

    >>> [g.tolist() for g in linear_backward(np.float32([[2]]), np.float32([[3]]), np.float32([[5]]))]
    [[[10.0]], [[6.0]], [2.0]]
    """
    return (
        linear_backward_data(dy, weight, precision=precision),
        linear_backward_weight(dy, x, precision=precision),
        linear_backward_bias(dy),
    )
