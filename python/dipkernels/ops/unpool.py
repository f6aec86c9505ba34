"""Max unpooling, nearest-neighbour and bed-of-nails upsampling, and their gradients.

TypeError for arrays that are not float32 (int32 or int64 for indices), ValueError for shapes that do not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dipkernels import arguments
from dipkernels.ops.backend import FloatArray, IndexArray, backend_of, shape_of
from dipkernels.ops.geometry import Padding, Pair, padding_pairs, padding_triples, pair, resampled_size, triple
from dipkernels.ops.single_images import single_images

__all__ = [
    "bed_of_nails2d",
    "bed_of_nails2d_backward",
    "max_unpool2d",
    "max_unpool2d_backward",
    "upsample_nearest2d",
    "upsample_nearest2d_backward",
]


def unpooled_size(
    op: str, y: FloatArray, kernel_size: Any, stride: Any, padding: Any, axes: Literal[2, 3] = 2
) -> tuple[int, ...]:
    """(O − 1)·S + F − P along the last two or three axes: what a pooling made y from, if it rounded no window away."""
    names, shape = "NCHW" if axes == 2 else "NCDHW", shape_of(op, "y", y)
    if len(shape) != len(names):
        raise ValueError(f"{op}: y must have {len(names)} dimensions ({', '.join(names)}), got shape {shape}")
    if kernel_size is None:
        raise ValueError(f"{op}: give output_size, or kernel_size to compute it from")
    extents, pads = (pair, padding_pairs) if axes == 2 else (triple, padding_triples)
    kernel = extents(op, "kernel_size", kernel_size)
    steps = extents(op, "stride", kernel_size if stride is None else stride)
    lost = [sum(sides) for sides in pads(op, padding)]
    return tuple((n - 1) * s + f - p for n, s, f, p in zip(shape[2:], steps, kernel, lost, strict=True))


@single_images("y", "indices", size="output_size")
def max_unpool2d(
    y: FloatArray,
    indices: IndexArray,
    kernel_size: Pair | None = None,
    stride: Pair | None = None,
    padding: Padding = 0,
    *,
    output_size: Sequence[int] | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Puts every element back where its maximum came from, zeros elsewhere; where indices repeat, their sum.

    The sum makes unpooling linear and deterministic, and `max_unpool2d_backward` exactly its gradient.

    Parameters
    ----------
    y : float32 (N, C, O_h, O_w)
    indices : int32 or int64 (N, C, O_h, O_w)
        Flat positions h·W + w in the large plane, from `max_pool2d_with_indices`.
    kernel_size, stride, padding
        Of the pooling, to compute the size of the large plane where no window was rounded away: (O − 1)·S + F − P.
    output_size
        That size, (H, W) or (N, C, H, W), exactly.

    Returns
    -------
    float32 (N, C, H, W)

    Raises
    ------
    IndexError
        An index is outside the plane; the message names its position, its value and the range.

    Source: lecture, max unpooling with the stored positions; Zeiler, Fergus 2014.

    >>> max_unpool2d(np.float32([[[[5]]]]), np.int32([[[[2]]]]), output_size=(2, 2))
    array([[[[0., 0.],
             [5., 0.]]]], dtype=float32)
    """
    op = "max_unpool2d"
    if output_size is None:
        plane = unpooled_size(op, y, kernel_size, stride, padding)
    else:
        shape = arguments.size(op, "output_size", output_size, "NCHW" if np.shape(output_size) == (4,) else "HW")
        if len(shape) == 4 and shape[:2] != shape_of(op, "y", y)[:2]:
            raise ValueError(f"{op}: output_size must be (H, W) or (N, C, H, W) with y's N and C, got {output_size!r}")
        plane = shape[-2:]
    return backend_of(op, y, indices).max_unpool(y, indices, plane, out)


@single_images("dy", "indices")
def max_unpool2d_backward(dy: FloatArray, indices: IndexArray, *, out: FloatArray | None = None) -> FloatArray:
    """The gradient of max_unpool2d: dy (N, C, H, W) at the stored positions, (N, C, O_h, O_w) as `indices`.

    >>> max_unpool2d_backward(np.float32([[[[1, 2], [3, 4]]]]), np.int32([[[[2]]]]))
    array([[[[3.]]]], dtype=float32)
    """
    return backend_of("max_unpool2d_backward", dy, indices).max_unpool_backward(dy, indices, 2, out)


@single_images("x")
def upsample_nearest2d(
    x: FloatArray,
    scale_factor: Pair | None = None,
    *,
    size: Sequence[int] | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Makes planes larger, or smaller, by taking for every element the nearest one of x (N, C, H, W).

    Parameters
    ----------
    scale_factor
        Repeats every element in a block of this size, an int or (height, width).
    size
        Or the size (H', W') of the result: its element (h, w) is x's at (⌊h·H/H'⌋, ⌊w·W/W'⌋).

    Source: lecture, upsampling by nearest neighbour.

    >>> upsample_nearest2d(np.float32([[[[1, 2]]]]), 2)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]], dtype=float32)
    >>> upsample_nearest2d(np.float32([[[[1, 2]]]]), size=(1, 3))
    array([[[[1., 1., 2.]]]], dtype=float32)
    """
    op = "upsample_nearest2d"
    plane = resampled_size(op, shape_of(op, "x", x), scale_factor, "size", size, True)
    return backend_of(op, x).upsample_nearest2d(False, x, plane, out)


@single_images("dy")
def upsample_nearest2d_backward(
    dy: FloatArray,
    scale_factor: Pair | None = None,
    *,
    input_size: Sequence[int] | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """The sum of dy (N, C, H', W') over all places that an element of x went to, (N, C, H, W).

    With `size` instead of `scale_factor` in the forward pass, `input_size` is (H, W).

    >>> upsample_nearest2d_backward(np.float32([[[[1, 2], [3, 4]]]]), 2)
    array([[[[10.]]]], dtype=float32)
    """
    op = "upsample_nearest2d_backward"
    plane = resampled_size(op, shape_of(op, "dy", dy), scale_factor, "input_size", input_size, False)
    return backend_of(op, dy).upsample_nearest2d(True, dy, plane, out)


@single_images("x")
def bed_of_nails2d(x: FloatArray, scale_factor: Pair, offset: Pair = 0, *, out: FloatArray | None = None) -> FloatArray:
    """Every element of x (N, C, H, W) at one place of a block of scale_factor, zeros elsewhere.

    `offset`, an int or (row, column) from 0 to scale_factor − 1, is that place; 0 is the upper left corner.

    Source: lecture, bed of nails.

    >>> bed_of_nails2d(np.float32([[[[1, 2]]]]), 2)
    array([[[[1., 0., 2., 0.],
             [0., 0., 0., 0.]]]], dtype=float32)
    """
    op = "bed_of_nails2d"
    scale, place = pair(op, "scale_factor", scale_factor), pair(op, "offset", offset)
    return backend_of(op, x).bed_of_nails2d(False, x, scale, place, out)


@single_images("dy")
def bed_of_nails2d_backward(
    dy: FloatArray, scale_factor: Pair, offset: Pair = 0, *, out: FloatArray | None = None
) -> FloatArray:
    """dy (N, C, H·scale, W·scale) at the places of the nails, (N, C, H, W).

    >>> bed_of_nails2d_backward(np.float32([[[[1, 2], [3, 4]]]]), 2, offset=(1, 0))
    array([[[[3.]]]], dtype=float32)
    """
    op = "bed_of_nails2d_backward"
    scale, place = pair(op, "scale_factor", scale_factor), pair(op, "offset", offset)
    return backend_of(op, dy).bed_of_nails2d(True, dy, scale, place, out)
