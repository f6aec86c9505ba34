"""Concatenation of feature maps along the channels, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels.arguments import arrays, integers
from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["concatenate", "concatenate_backward"]


def concatenate(inputs: Sequence[FloatArray], *, out: FloatArray | None = None) -> FloatArray:
    """The inputs, float32 (N, C_i, …), one behind the other along the channels: (N, ΣC_i, …).

    TypeError for other dtypes, ValueError for shapes that differ in more than the channels, or no input. Source:
    Ronneberger, Fischer, Brox 2015, "U-Net", where skip connections end so.

    >>> concatenate([np.float32([[1, 2]]), np.float32([[3]])])
    array([[1., 2., 3.]], dtype=float32)
    """
    given = arrays("concatenate", "inputs", inputs)
    return backend_of("concatenate", *given).concatenate(given, out)


def concatenate_backward(dy: FloatArray, channels: Sequence[int]) -> tuple[FloatArray, ...]:
    """Each input's part of dy (N, C, …), from their numbers of channels, which add up to C.

    A list of float32 arrays (N, channels[i], …). TypeError for another dtype, ValueError where the channels do not add
    up. Source: backpropagation of `concatenate`.

    >>> [each.tolist() for each in concatenate_backward(np.float32([[1, 2, 3]]), [2, 1])]
    [[[1.0, 2.0]], [[3.0]]]
    """
    op = "concatenate_backward"
    return backend_of(op, dy).concatenate_backward(dy, integers(op, "channels", channels))
