"""Average, sum and L2 pooling, and their gradients.

Common parameters: `x` float32 (N, C, H, W), or (C, H, W) for one image; `kernel_size` and `stride` an int or (height,
width), `stride=None` meaning kernel_size; `padding` an int, (height, width) or ((top, bottom), (left, right)) zeros,
smaller than the window, "same" or "valid"; `rounding` "exact", "floor" or "ceil", where the last window has what there
is of input and padding. Results are float32 (N, C, O_h, O_w) with O = (I − F + P_start + P_end)/S + 1. TypeError for
other dtypes, ValueError for a geometry that does not fit. Source: lecture, pooling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels.arguments import size
from dipkernels.ops.backend import FloatArray, backend_of, shape_of
from dipkernels.ops.geometry import (
    Padding,
    Padding3d,
    Pair,
    Rounding,
    Triple,
    padding_pairs,
    padding_triples,
    pair,
    resolved_padding,
    triple,
)
from dipkernels.ops.single_images import single_images

__all__ = ["avg_pool2d", "avg_pool2d_backward", "l2_pool2d", "l2_pool2d_backward", "sum_pool2d", "sum_pool2d_backward"]


def window(
    op: str,
    x: Any,
    kernel_size: Pair | Triple,
    stride: Pair | Triple | None,
    padding: Padding | Padding3d,
    dilation: Pair | Triple,
    rounding: Rounding,
    axes: int = 2,
) -> tuple[Any, Any, Any, Rounding]:
    """kernel_size, stride, padding and rounding as the compiled modules take them, for x or its shape; three axes are
    those of clips.
    """
    of_axes, pads = (pair, padding_pairs) if axes == 2 else (triple, padding_triples)
    kernel = of_axes(op, "kernel_size", kernel_size)
    strides = kernel if stride is None else of_axes(op, "stride", stride)
    if isinstance(padding, str):
        shape = x if isinstance(x, tuple) else shape_of(op, "x", x)
        dilations = of_axes(op, "dilation", dilation)
        padding, rounding = resolved_padding(op, padding, rounding, shape[-axes:], kernel, strides, dilations)
    return kernel, strides, pads(op, padding), rounding


def pooling_geometry(
    op: str,
    x: Any,
    kernel_size: Pair | Triple,
    stride: Pair | Triple | None,
    padding: Padding | Padding3d,
    rounding: Rounding,
    axes: int = 2,
) -> dict[str, Any]:
    """The same by name, without dilation."""
    kernel, strides, pads, rounding = window(op, x, kernel_size, stride, padding, 1, rounding, axes)
    return {"kernel_size": kernel, "stride": strides, "padding": pads, "rounding": rounding}


@single_images("x")
def avg_pool2d(
    x: FloatArray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """The mean of every window; with `count_include_pad=False` the mean of those elements that are not padding.

    x float32 (N, C, H, W) to (N, C, O_h, O_w). TypeError for other dtypes, ValueError for a geometry that does not fit.
    Source: lecture, pooling.

    >>> avg_pool2d(np.float32([[[[1, 2], [3, 6]]]]), 2)
    array([[[[3.]]]], dtype=float32)
    """
    geometry = pooling_geometry("avg_pool2d", x, kernel_size, stride, padding, rounding)
    return backend_of("avg_pool2d", x).pool2d(x, kind="avg", count_include_pad=count_include_pad, out=out, **geometry)


@single_images("dy", size="input_size")
def avg_pool2d_backward(
    dy: FloatArray,
    input_size: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """dx (N, C, H, W) = input_size: dy (N, C, O_h, O_w), divided as the window was, onto every element of it.

    float32; the other parameters, and the errors, are those of `avg_pool2d`. Source: backpropagation.

    >>> avg_pool2d_backward(np.float32([[[[4]]]]), (1, 1, 2, 2), 2)
    array([[[[1., 1.],
             [1., 1.]]]], dtype=float32)
    """
    op = "avg_pool2d_backward"
    shape = size(op, "input_size", input_size, "NCHW")
    return backend_of(op, dy).pool2d_backward(
        dy,
        list(shape),
        None,
        None,
        kind="avg",
        count_include_pad=count_include_pad,
        out=out,
        **pooling_geometry(op, shape, kernel_size, stride, padding, rounding),
    )


@single_images("x")
def sum_pool2d(
    x: FloatArray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """The sum of every window.

    x float32 (N, C, H, W) to (N, C, O_h, O_w). TypeError for other dtypes, ValueError for a geometry that does not fit.
    Source: lecture, pooling.

    >>> sum_pool2d(np.float32([[[[1, 2], [3, 6]]]]), 2)
    array([[[[12.]]]], dtype=float32)
    """
    geometry = pooling_geometry("sum_pool2d", x, kernel_size, stride, padding, rounding)
    return backend_of("sum_pool2d", x).pool2d(x, kind="sum", count_include_pad=True, out=out, **geometry)


@single_images("dy", size="input_size")
def sum_pool2d_backward(
    dy: FloatArray,
    input_size: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """dx (N, C, H, W) = input_size: dy (N, C, O_h, O_w) onto every element of its window.

    float32; the other parameters, and the errors, are those of `sum_pool2d`. Source: backpropagation.

    >>> sum_pool2d_backward(np.float32([[[[4]]]]), (1, 1, 1, 2), (1, 2))
    array([[[[4., 4.]]]], dtype=float32)
    """
    op = "sum_pool2d_backward"
    shape = size(op, "input_size", input_size, "NCHW")
    return backend_of(op, dy).pool2d_backward(
        dy,
        list(shape),
        None,
        None,
        kind="sum",
        count_include_pad=True,
        out=out,
        **pooling_geometry(op, shape, kernel_size, stride, padding, rounding),
    )


@single_images("x")
def l2_pool2d(
    x: FloatArray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """The root of the sum of squares of every window. Squares beyond 3.4e38 (|x| above 1.8e19) overflow to infinity.

    x float32 (N, C, H, W) to (N, C, O_h, O_w). TypeError for other dtypes, ValueError for a geometry that does not fit.
    Source: lecture, pooling.

    >>> l2_pool2d(np.float32([[[[3, 4]]]]), (1, 2))
    array([[[[5.]]]], dtype=float32)
    """
    geometry = pooling_geometry("l2_pool2d", x, kernel_size, stride, padding, rounding)
    return backend_of("l2_pool2d", x).pool2d(x, kind="l2", count_include_pad=True, out=out, **geometry)


@single_images("dy", "x", "y")
def l2_pool2d_backward(
    dy: FloatArray,
    x: FloatArray,
    y: FloatArray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    *,
    rounding: Rounding = "exact",
    out: FloatArray | None = None,
) -> FloatArray:
    """dx (N, C, H, W) = dy·x/y from y = l2_pool2d(x), both (N, C, O_h, O_w); the subgradient 0 where y is 0.

    float32; the other parameters, and the errors, are those of `l2_pool2d`. Source: backpropagation.

    >>> l2_pool2d_backward(np.float32([[[[5]]]]), np.float32([[[[3, 4]]]]), np.float32([[[[5]]]]), (1, 2))
    array([[[[3., 4.]]]], dtype=float32)
    """
    op = "l2_pool2d_backward"
    shape = shape_of(op, "x", x)
    return backend_of(op, dy, x, y).pool2d_backward(
        dy,
        list(shape),
        x,
        y,
        kind="l2",
        count_include_pad=True,
        out=out,
        **pooling_geometry(op, shape, kernel_size, stride, padding, rounding),
    )
