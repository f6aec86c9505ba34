"""Transposed 2-D convolution, which enlarges, and its gradients.

It is the gradient of a convolution's data as an operator of its own, computed by the same kernels. As there, a tap that
falls on padding adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels.arguments import size
from dipkernels.ops.activation import Activation, activation_arguments
from dipkernels.ops.backend import FloatArray, backend_of, shape_of
from dipkernels.ops.geometry import Pair, padding_pairs, pair
from dipkernels.ops.precision import Precision, precision_or_current
from dipkernels.ops.single_images import single_images

__all__ = [
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_backward_bias",
    "conv_transpose2d_backward_data",
    "conv_transpose2d_backward_weight",
]


def _options(
    op: str,
    stride: Pair,
    padding: int | Sequence[int] | Sequence[Sequence[int]],
    output_padding: Pair,
    groups: int,
    dilation: Pair,
    precision: Precision | None,
) -> dict[str, Any]:
    return {
        "stride": pair(op, "stride", stride),
        "padding": padding_pairs(op, padding),
        "output_padding": pair(op, "output_padding", output_padding),
        "groups": groups,
        "dilation": pair(op, "dilation", dilation),
        "precision": precision_or_current(precision),
    }


@single_images("x")
def conv_transpose2d(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    stride: Pair = 1,
    padding: int | Sequence[int] | Sequence[Sequence[int]] = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    activation: Activation = None,
    *,
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """y: every x times the filters of its channel, added up where they overlap, plus bias, through the activation.

    Parameters
    ----------
    x : float32 (N, C, H, W), or (C, H, W) for one image
    weight : float32 (C, K/groups, F_h, F_w)
    bias : float32 (K,), optional
    stride, dilation
        One int, or (height, width): how far apart in y neighbours of x, and taps, lie.
    padding
        How much of y's sides is left out: one int, (height, width), or ((top, bottom), (left, right)).
    output_padding
        Rows and columns more at y's end, fewer than the stride: which of the sizes that a convolution of this stride
        would round down to x's.
    groups
        Channels and filters are split into this many independent groups.
    activation, precision, out
        As of `conv2d`.

    Returns
    -------
    y : float32 (N, K, O_h, O_w) with O = (I − 1)·S − P_start − P_end + D·(F − 1) + output_padding + 1 on each axis

    Raises
    ------
    TypeError
        An array is not float32.
    ValueError
        Shapes do not fit together, or nothing is left of y.

    Source: lecture, upsampling in fully convolutional networks; Zeiler et al. 2010; Dumoulin and Visin 2016.

    >>> conv_transpose2d(np.float32([[[[1, 2]]]]), np.float32([[[[1, 1, 3]]]]), stride=(1, 2))
    array([[[[1., 1., 5., 2., 6.]]]], dtype=float32)
    """
    op = "conv_transpose2d"
    name, alpha = activation_arguments(op, activation)
    options = _options(op, stride, padding, output_padding, groups, dilation, precision)
    return backend_of(op, x, weight, bias).conv_transpose2d(
        x, weight, bias, activation=name, alpha=alpha, out=out, **options
    )


@single_images("dy", size="input_size")
def conv_transpose2d_backward_data(
    dy: FloatArray,
    weight: FloatArray,
    input_size: Sequence[int],
    stride: Pair = 1,
    padding: int | Sequence[int] | Sequence[Sequence[int]] = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    *,
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dx: the gradient of ⟨dy, conv_transpose2d(x, weight)⟩ with respect to x, a convolution of dy.

    dy : float32 (N, K, O_h, O_w); weight : float32 (C, K/groups, F_h, F_w); input_size: the shape (N, C, H, W) of x.
    The other parameters are those of `conv_transpose2d`.

    >>> conv_transpose2d_backward_data(np.float32([[[[1, 1, 1, 2]]]]), np.float32([[[[1, 3]]]]), (1, 1, 1, 2), (1, 2))
    array([[[[4., 7.]]]], dtype=float32)
    """
    op = "conv_transpose2d_backward_data"
    options = _options(op, stride, padding, output_padding, groups, dilation, precision)
    x_size = size(op, "input_size", input_size, "NCHW")
    return backend_of(op, dy, weight).conv_transpose2d_backward_data(dy, weight, list(x_size), out=out, **options)


@single_images("dy", "x", results=())
def conv_transpose2d_backward_weight(
    dy: FloatArray,
    x: FloatArray,
    weight_size: Sequence[int],
    stride: Pair = 1,
    padding: int | Sequence[int] | Sequence[Sequence[int]] = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    *,
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dweight: the gradient of ⟨dy, conv_transpose2d(x, weight)⟩ with respect to the weight, of shape `weight_size`.

    dy : float32 (N, K, O_h, O_w); x : float32 (N, C, H, W). The other parameters are those of `conv_transpose2d`.

    >>> conv_transpose2d_backward_weight(np.float32([[[[1, 1, 1, 2]]]]), np.float32([[[[1, 3]]]]), (1, 1, 1, 2), (1, 2))
    array([[[[4., 7.]]]], dtype=float32)
    """
    op = "conv_transpose2d_backward_weight"
    options = _options(op, stride, padding, output_padding, groups, dilation, precision)
    shape = size(op, "weight_size", weight_size, "CKHW")
    return backend_of(op, dy, x).conv_transpose2d_backward_weight(dy, x, list(shape), out=out, **options)


@single_images("dy", results=())
def conv_transpose2d_backward_bias(dy: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dbias (K,): the sum of dy (N, K, O_h, O_w) over images and positions, accumulated in float64.

    TypeError where dy is not float32, ValueError where it has not four axes. Source: backpropagation of
    `conv_transpose2d`.

    >>> conv_transpose2d_backward_bias(np.float32([[[[1, 2]], [[3, 4]]]]))
    array([3., 7.], dtype=float32)
    """
    return backend_of("conv_transpose2d_backward_bias", dy).conv_transpose2d_backward_bias(dy, out)


@single_images("dy", "x")
def conv_transpose2d_backward(
    dy: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    stride: Pair = 1,
    padding: int | Sequence[int] | Sequence[Sequence[int]] = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    *,
    precision: Precision | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """All three gradients, (dx, dweight, dbias), of ⟨dy, conv_transpose2d(x, weight, bias)⟩.

    With a fused activation, first pass dy through that activation's backward function.

    >>> dx, dweight, dbias = conv_transpose2d_backward(
    ...     np.ones((1, 1, 1, 1), np.float32), np.float32([[[[3]]]]), np.float32([[[[2]]]])
    ... )
    >>> dx.item(), dweight.item(), dbias.item()
    (2.0, 3.0, 1.0)
    """
    op = "conv_transpose2d_backward"
    x_size, weight_size = shape_of(op, "x", x), shape_of(op, "weight", weight)
    geometry = (stride, padding, output_padding, groups, dilation)
    return (
        conv_transpose2d_backward_data(dy, weight, x_size, *geometry, precision=precision),
        conv_transpose2d_backward_weight(dy, x, weight_size, *geometry, precision=precision),
        conv_transpose2d_backward_bias(dy),
    )
