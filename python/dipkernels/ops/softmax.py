"""Softmax, its logarithm, and their gradients, along any axis of a float32 array.

TypeError for other dtypes, IndexError for an axis that is not there.
"""

from __future__ import annotations

from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def softmax(x: FloatArray, dim: int = -1, *, out: FloatArray | None = None) -> FloatArray:
    """σ_j(x) = e^{x_j} / Σ_k e^{x_k} along axis `dim`; the maximum is subtracted first, so nothing overflows.

    x float32 of any shape, the result likewise, or `out`. TypeError for other dtypes, IndexError for an axis that is
    not there.

    Source: lecture, softmax.

    >>> softmax(np.float32([0, 0]))
    array([0.5, 0.5], dtype=float32)
    """
    return backend_of("softmax", x).softmax(x, dim, False, out)


def softmax_backward(dy: FloatArray, y: FloatArray, dim: int = -1, *, out: FloatArray | None = None) -> FloatArray:
    """dx = y·(dy − Σ dy·y), from y = softmax(x).

    dy, y and dx float32 of one shape. TypeError for other dtypes, ValueError for shapes that differ, IndexError for an
    axis that is not there. Source: lecture, softmax.
    """
    return backend_of("softmax_backward", dy, y).softmax_backward(dy, y, dim, False, out)


def log_softmax(x: FloatArray, dim: int = -1, *, out: FloatArray | None = None) -> FloatArray:
    """log softmax(x) = x − log Σ e^x along axis `dim`, without the loss of taking the logarithm afterwards.

    x float32 of any shape, the result likewise, or `out`. TypeError for other dtypes, IndexError for an axis that is
    not there. Source: lecture, softmax.

    >>> log_softmax(np.float32([0, -1000]))
    array([    0., -1000.], dtype=float32)
    """
    return backend_of("log_softmax", x).softmax(x, dim, True, out)


def log_softmax_backward(dy: FloatArray, y: FloatArray, dim: int = -1, *, out: FloatArray | None = None) -> FloatArray:
    """dx = dy − e^y·Σ dy, from y = log_softmax(x).

    dy, y and dx float32 of one shape. TypeError for other dtypes, ValueError for shapes that differ, IndexError for an
    axis that is not there. Source: lecture, softmax.
    """
    return backend_of("log_softmax_backward", dy, y).softmax_backward(dy, y, dim, True, out)
