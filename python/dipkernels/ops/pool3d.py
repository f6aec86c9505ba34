"""Pooling of clips or volumes: maximum with stored argmax, its gradient and unpooling, and the average.

Common parameters: `x` float32 (N, C, D, H, W), or (C, D, H, W) for one clip; `kernel_size` and `stride` an int or
(depth, height, width), `stride=None` meaning kernel_size; `padding` an int, (depth, height, width) or ((front, back),
(top, bottom), (left, right)), smaller than the window, "same" or "valid"; `rounding` "exact", "floor" or "ceil", where
the last window has what there is. Results are (N, C, O_d, O_h, O_w) with O = (I − F + P_start + P_end)/S + 1. TypeError
for other dtypes, ValueError for a geometry that does not fit. Source: lecture, pooling; Tran et al. 2015 (C3D).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipkernels.arguments import size
from dipkernels.ops.backend import FloatArray, IndexArray, backend_of, shape_of
from dipkernels.ops.geometry import Padding3d, Rounding, Triple, triple
from dipkernels.ops.pool import pooling_geometry, window
from dipkernels.ops.single_images import single_clips
from dipkernels.ops.unpool import unpooled_size

__all__ = [
    "avg_pool3d",
    "avg_pool3d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "max_pool3d_with_indices",
    "max_unpool3d",
    "max_unpool3d_backward",
]


@single_clips("x", results=(0, 1))
def max_pool3d_with_indices(
    x: FloatArray,
    kernel_size: Triple,
    stride: Triple | None = None,
    padding: Padding3d = 0,
    dilation: Triple = 1,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> tuple[FloatArray, IndexArray]:
    """The largest element of every window float32 (N, C, O_d, O_h, O_w), and where it stands, int32 of the same shape.

    The index is the flat position (d·H + h)·W + w in the channel of x, as `max_unpool3d` takes it; D·H·W must be below
    2³¹. The first maximum wins a tie, NaN beats every number, padding never wins. `dilation` is an int or (depth,
    height, width).

    >>> x = np.float32([1, 5, 3, 2]).reshape(1, 1, 4, 1, 1)
    >>> y, indices = max_pool3d_with_indices(x, (2, 1, 1))
    >>> y.ravel(), indices.ravel()
    (array([5., 3.], dtype=float32), array([1, 2], dtype=int32))
    """
    op = "max_pool3d"
    kernel, strides, pads, rounding = window(op, x, kernel_size, stride, padding, dilation, rounding, axes=3)
    return backend_of(op, x).max_pool3d(x, kernel, strides, pads, triple(op, "dilation", dilation), rounding, out)


@single_clips("x")
def max_pool3d(
    x: FloatArray,
    kernel_size: Triple,
    stride: Triple | None = None,
    padding: Padding3d = 0,
    dilation: Triple = 1,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """The first result of `max_pool3d_with_indices`, float32 (N, C, O_d, O_h, O_w).

    >>> max_pool3d(np.float32([1, 5, 3, 2]).reshape(1, 1, 4, 1, 1), (2, 1, 1)).ravel()
    array([5., 3.], dtype=float32)
    """
    return max_pool3d_with_indices(x, kernel_size, stride, padding, dilation, rounding=rounding, out=out)[0]


def _volume(op: str, name: str, value: Sequence[int], of: str, array: FloatArray) -> tuple[int, ...]:
    """(D, H, W) from that or the whole shape, which must have the array's N and C."""
    shape = size(op, name, value, "DHW" if np.shape(value) == (3,) else "NCDHW")
    if len(shape) == 5 and shape[:2] != shape_of(op, of, array)[:2]:
        raise ValueError(f"{op}: {name} must have {of}'s N and C, {shape_of(op, of, array)[:2]}, got {shape}")
    return shape[-3:]


@single_clips("dy", "indices", size="input_size")
def max_pool3d_backward(
    dy: FloatArray, indices: IndexArray, input_size: Sequence[int], *, out: FloatArray | None = None
) -> FloatArray:
    """dx float32 (N, C, D, H, W): dy (N, C, O_d, O_h, O_w) at the maxima, where several windows share one as their sum.

    `indices` int32 or int64, of dy's shape, come from `max_pool3d_with_indices`; `input_size` is the shape of x, or (D,
    H, W). IndexError, with position and value, for an index outside the volume.

    >>> dy, indices = np.float32([[[[[7]]]]]), np.int32([[[[[1]]]]])
    >>> max_pool3d_backward(dy, indices, (2, 1, 1)).ravel()
    array([0., 7.], dtype=float32)
    """
    op = "max_pool3d_backward"
    volume = _volume(op, "input_size", input_size, "dy", dy)
    return backend_of(op, dy, indices).max_pool_backward(dy, indices, volume, out)


@single_clips("y", "indices", size="output_size")
def max_unpool3d(
    y: FloatArray,
    indices: IndexArray,
    kernel_size: Triple | None = None,
    stride: Triple | None = None,
    padding: Padding3d = 0,
    *,
    output_size: Sequence[int] | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """float32 (N, C, D, H, W): every element of y (N, C, O_d, O_h, O_w) where its maximum came from, zeros elsewhere.

    Where indices, int32 or int64, repeat, their sum. The size comes from the pooling's `kernel_size`, `stride` and
    `padding`, (O − 1)·S + F − P, or is `output_size`, (D, H, W) or (N, C, D, H, W). IndexError for an index outside.

    >>> max_unpool3d(np.float32([[[[[7]]]]]), np.int32([[[[[1]]]]]), (2, 1, 1)).ravel()
    array([0., 7.], dtype=float32)
    """
    op = "max_unpool3d"
    if output_size is None:
        volume = unpooled_size(op, y, kernel_size, stride, padding, axes=3)
    else:
        volume = _volume(op, "output_size", output_size, "y", y)
    return backend_of(op, y, indices).max_unpool(y, indices, volume, out)


@single_clips("dy", "indices")
def max_unpool3d_backward(dy: FloatArray, indices: IndexArray, *, out: FloatArray | None = None) -> FloatArray:
    """The gradient of `max_unpool3d`: dy float32 (N, C, D, H, W) at the stored positions, of the shape of `indices`.

    >>> max_unpool3d_backward(np.float32([3, 4]).reshape(1, 1, 2, 1, 1), np.int32([[[[[1]]]]])).ravel()
    array([4.], dtype=float32)
    """
    return backend_of("max_unpool3d_backward", dy, indices).max_unpool_backward(dy, indices, 3, out)


@single_clips("x")
def avg_pool3d(
    x: FloatArray,
    kernel_size: Triple,
    stride: Triple | None = None,
    padding: Padding3d = 0,
    count_include_pad: bool = True,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """The mean of every window, float32 (N, C, O_d, O_h, O_w); with `count_include_pad=False` of those elements alone
    that are not padding.

    >>> avg_pool3d(np.float32([1, 5, 3, 2]).reshape(1, 1, 4, 1, 1), (2, 1, 1)).ravel()
    array([3. , 2.5], dtype=float32)
    """
    geometry = pooling_geometry("avg_pool3d", x, kernel_size, stride, padding, rounding, axes=3)
    return backend_of("avg_pool3d", x).pool3d(x, kind="avg", count_include_pad=count_include_pad, out=out, **geometry)


@single_clips("dy", size="input_size")
def avg_pool3d_backward(
    dy: FloatArray,
    input_size: Sequence[int],
    kernel_size: Triple,
    stride: Triple | None = None,
    padding: Padding3d = 0,
    count_include_pad: bool = True,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """dx float32 (N, C, D, H, W) = input_size: dy (N, C, O_d, O_h, O_w), divided as its window was, onto all of it.

    >>> avg_pool3d_backward(np.float32([[[[[4]]]]]), (1, 1, 2, 1, 1), (2, 1, 1)).ravel()
    array([2., 2.], dtype=float32)
    """
    op = "avg_pool3d_backward"
    shape = size(op, "input_size", input_size, "NCDHW")
    return backend_of(op, dy).pool3d_backward(
        dy,
        list(shape),
        None,
        None,
        kind="avg",
        count_include_pad=count_include_pad,
        out=out,
        **pooling_geometry(op, shape, kernel_size, stride, padding, rounding, axes=3),
    )
