"""Max pooling with stored argmax, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipkernels.arguments import size
from dipkernels.ops.backend import FloatArray, IndexArray, backend_of, shape_of
from dipkernels.ops.geometry import Padding, Pair, Rounding, pair
from dipkernels.ops.pool import window
from dipkernels.ops.single_images import single_images

__all__ = ["max_pool2d", "max_pool2d_backward", "max_pool2d_with_indices"]


@single_images("x", results=(0, 1))
def max_pool2d_with_indices(
    x: FloatArray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> tuple[FloatArray, IndexArray]:
    """The largest element of every window, and where it stands.

    Parameters
    ----------
    x : float32 (N, C, H, W), H·W below 2³¹
    kernel_size, stride, dilation
        One int, or (height, width). `stride=None` means kernel_size; a smaller one makes windows overlap.
    padding
        One int, (height, width), or ((top, bottom), (left, right)), smaller than the window; "same" or "valid". Padding
        never wins.
    rounding
        "exact" refuses an output size that is no whole number; "floor" rounds it down; "ceil" up, where the last window
        has what there is of the input.

    Returns
    -------
    y : float32 (N, C, O_h, O_w)
    indices : int32 (N, C, O_h, O_w)
        The flat position h·W + w of each maximum in its plane of x, as `max_unpool2d` takes it. The first maximum
        wins a tie; NaN beats every number, and the first NaN wins; a window of −∞ has the index of its first element.

    Raises TypeError for other dtypes, ValueError for a geometry that does not fit.

    Source: lecture, max pooling stores the argmax in the forward pass.

    >>> max_pool2d_with_indices(np.float32([[[[1, 2], [4, 3]]]]), 2)
    (array([[[[4.]]]], dtype=float32), array([[[[2]]]], dtype=int32))
    """
    op = "max_pool2d"
    kernel, strides, pads, rounding = window(op, x, kernel_size, stride, padding, dilation, rounding)
    dilations = pair(op, "dilation", dilation)
    return backend_of(op, x).max_pool2d(x, kernel, strides, pads, dilations, rounding, out)


@single_images("x")
def max_pool2d(
    x: FloatArray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """The first result of `max_pool2d_with_indices`.

    float32 (N, C, O_h, O_w). Parameters and errors as there. Source: lecture, max pooling.

    >>> max_pool2d(np.float32([[[[1, 2, 7], [4, 3, 0]]]]), 2, stride=1)
    array([[[[4., 7.]]]], dtype=float32)
    """
    return max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, rounding=rounding, out=out)[0]


@single_images("dy", "indices", size="input_size")
def max_pool2d_backward(
    dy: FloatArray, indices: IndexArray, input_size: Sequence[int], *, out: FloatArray | None = None
) -> FloatArray:
    """Routes dy to the maxima, where several windows share one as their sum.

    Parameters
    ----------
    dy : float32 (N, C, O_h, O_w)
    indices : int32 or int64 (N, C, O_h, O_w), from `max_pool2d_with_indices`
    input_size
        The shape (N, C, H, W) of x, or (H, W).

    Returns
    -------
    dx : float32 (N, C, H, W)

    Raises IndexError, with position and value, for an index outside the plane. Source: lecture, max pooling.

    >>> max_pool2d_backward(np.float32([[[[5]]]]), np.int32([[[[2]]]]), (2, 2))
    array([[[[0., 0.],
             [5., 0.]]]], dtype=float32)
    """
    op = "max_pool2d_backward"
    shape = size(op, "input_size", input_size, "HW" if np.shape(input_size) == (2,) else "NCHW")
    if len(shape) == 4 and shape[:2] != shape_of(op, "dy", dy)[:2]:
        raise ValueError(f"{op}: input_size must have dy's N and C, {shape_of(op, 'dy', dy)[:2]}, got {shape}")
    return backend_of(op, dy, indices).max_pool_backward(dy, indices, shape[-2:], out)
