"""Padding and cropping of planes, and their gradient.

Common parameters: `x` float32 (N, C, H, W), or (C, H, W) for one image; `padding` how many elements are added on each
side, or, where it is below 0, cropped off: an int, (height, width) or ((top, bottom), (left, right)). TypeError for
other dtypes, ValueError where less than nothing would be left.
"""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels.ops.backend import FloatArray, backend_of
from dipkernels.ops.geometry import padding_pairs
from dipkernels.ops.single_images import single_images

__all__ = ["pad2d", "pad2d_backward"]


@single_images("x")
def pad2d(
    x: FloatArray,
    padding: int | Sequence[int] | Sequence[Sequence[int]],
    value: float = 0.0,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """x with rows and columns of `value` around it, or without some of its own.

    As `torch.nn.functional.pad` does it, whose sides stand in another order.

    >>> pad2d(np.float32([[[[1, 2, 3]]]]), ((0, 1), (1, -2)))
    array([[[[0., 1.],
             [0., 0.]]]], dtype=float32)
    """
    return backend_of("pad2d", x).pad2d(False, x, padding_pairs("pad2d", padding), value, out)


@single_images("dy")
def pad2d_backward(
    dy: FloatArray, padding: int | Sequence[int] | Sequence[Sequence[int]], *, out: FloatArray | None = None
) -> FloatArray:
    """dx: dy without what was added, and zeros where x was cropped.

    dy float32 (N, C, H', W') to dx (N, C, H, W). TypeError for another dtype, ValueError for a padding that leaves
    nothing. Source: backpropagation of `pad2d`.

    >>> pad2d_backward(np.float32([[[[9, 1], [9, 9]]]]), ((0, 1), (1, -2)))
    array([[[[1., 0., 0.]]]], dtype=float32)
    """
    op = "pad2d_backward"
    return backend_of(op, dy).pad2d(True, dy, padding_pairs(op, padding), 0.0, out)
