"""Dropout with a counter-based generator: the mask is a function of seed, offset and position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["dropout", "dropout_backward"]

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray


def dropout(
    x: FloatArray,
    p: float = 0.5,
    *,
    seed: int,
    offset: int = 0,
    device_offset: DeviceArray | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Sets elements to zero with probability p and multiplies the others by 1/(1 − p).

    Parameters
    ----------
    x : float32, any shape
    p
        From 0 to 1; with 1 everything is zero.
    seed, offset
        From 0 to 2⁶⁴ − 1. The same pair gives the same mask on every machine; take another offset for every layer and
        step.
    device_offset : int64 (1,), optional
        An array where x is, added to `offset` modulo 2⁶⁴: on a GPU each replay of a captured step reads it again.

    Source: Srivastava et al. 2014; generator Philox4x32-10, Salmon et al. 2011.

    >>> dropout(np.ones(8, np.float32), 0.5, seed=3)
    array([2., 0., 2., 2., 0., 2., 0., 2.], dtype=float32)
    """
    return backend_of("dropout", x).dropout("dropout", "x", x, p, seed, offset, device_offset, out)


def dropout_backward(
    dy: FloatArray,
    p: float = 0.5,
    *,
    seed: int,
    offset: int = 0,
    device_offset: DeviceArray | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dy through the mask that `dropout` made with the same p, seed and offsets; nothing has to be stored.

    dy float32 of any shape, the result likewise. The other parameters, and the errors, are those of `dropout`. Source:
    Srivastava et al. 2014.

    >>> dropout_backward(np.ones(4, np.float32), 0.5, seed=3)
    array([2., 0., 2., 2.], dtype=float32)
    """
    op = "dropout_backward"
    return backend_of(op, dy).dropout(op, "dy", dy, p, seed, offset, device_offset, out)
