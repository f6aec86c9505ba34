"""2-D convolution (a cross-correlation, as in every deep learning library) and its gradients.

A tap that falls on padding adds nothing: an infinite or NaN number spoils only the results that it meets, in every
kernel alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels.arguments import size
from dipkernels.ops.activation import Activation, activation_arguments
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
from dipkernels.ops.precision import Precision, precision_or_current
from dipkernels.ops.single_images import single_images

__all__ = ["conv2d", "conv2d_backward", "conv2d_backward_bias", "conv2d_backward_data", "conv2d_backward_weight"]


def convolution_options(
    op: str,
    stride: Pair | Triple,
    padding: Padding | Padding3d,
    dilation: Pair | Triple,
    groups: int,
    rounding: Rounding,
    precision: Precision | None,
    x_size: Sequence[int],
    weight_size: Sequence[int],
    axes: int = 2,
) -> dict[str, Any]:
    """What every convolution's geometry and precision are to the compiled modules, of images or, with three axes, of
    clips.
    """
    of_axes, pads = (pair, padding_pairs) if axes == 2 else (triple, padding_triples)
    strides, dilations = of_axes(op, "stride", stride), of_axes(op, "dilation", dilation)
    if isinstance(padding, str):
        sizes = x_size[-axes:], weight_size[-axes:]
        padding, rounding = resolved_padding(op, padding, rounding, *sizes, strides, dilations)
    return {
        "stride": strides,
        "padding": pads(op, padding),
        "dilation": dilations,
        "groups": groups,
        "rounding": rounding,
        "precision": precision_or_current(precision),
    }


@single_images("x")
def conv2d(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """y = activation(x ⋆ weight + bias), in one kernel.

    Parameters
    ----------
    x : float32 (N, C, H, W), or (C, H, W) for one image
    weight : float32 (K, C/groups, F_h, F_w)
    bias : float32 (K,), optional
    stride, dilation
        One int, or (height, width).
    padding
        Zeros around x: one int, (height, width), or ((top, bottom), (left, right)); "same" for a result of
        ⌈input/stride⌉, "valid" for none.
    groups
        Channels and filters are split into this many independent groups; C and K must be multiples of it.
    activation
        None, "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", or (name, parameter).
    rounding
        "exact" refuses an output size that is no whole number; "floor" rounds it down.
    precision
        "highest", "high" or "medium"; None for what `dipkernels.precision` has set.
    out
        Where to write y, C-contiguous, apart from the inputs.

    Returns
    -------
    y : float32 (N, K, O_h, O_w) with O = (I − F + P_start + P_end)/S + 1 on each axis

    Raises
    ------
    TypeError
        An array is not float32.
    ValueError
        Shapes do not fit together, or the window does not fit the padded input.

    Source: lecture, convolutional layer, h_j^n = max(0, Σ_k h_k^{n−1} ∗ w_kj^n); LeCun et al. 1998.

    >>> x = np.float32([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])
    >>> kernel = np.float32([[0, 1, 2], [2, 2, 0], [0, 1, 2]])
    >>> conv2d(x[None, None], kernel[None, None])[0, 0]
    array([[12., 12., 17.],
           [10., 17., 19.],
           [ 9.,  6., 14.]], dtype=float32)
    """
    name, alpha = activation_arguments("conv2d", activation)
    return backend_of("conv2d", x, weight, bias).conv2d(
        x,
        weight,
        bias,
        activation=name,
        alpha=alpha,
        out=out,
        **convolution_options(
            "conv2d",
            stride,
            padding,
            dilation,
            groups,
            rounding,
            precision,
            shape_of("conv2d", "x", x),
            shape_of("conv2d", "weight", weight),
        ),
    )


@single_images("dy", size="input_size")
def conv2d_backward_data(
    dy: FloatArray,
    weight: FloatArray,
    input_size: Sequence[int],
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dx: the gradient of ⟨dy, conv2d(x, weight)⟩ with respect to x. Also known as the transposed convolution of dy.

    Parameters
    ----------
    dy : float32 (N, K, O_h, O_w)
    weight : float32 (K, C/groups, F_h, F_w)
    input_size
        The shape (N, C, H, W) of x; dy alone leaves it open when a stride rounds.

    The other parameters are those of `conv2d`. Source: lecture, backpropagation.

    >>> conv2d_backward_data(np.float32([[[[1, 0]]]]), np.float32([[[[1, 2]]]]), (1, 1, 1, 3))
    array([[[[1., 2., 0.]]]], dtype=float32)
    """
    op = "conv2d_backward_data"
    sizes = size(op, "input_size", input_size, "NCHW"), shape_of(op, "weight", weight)
    return backend_of(op, dy, weight).conv2d_backward_data(
        dy,
        weight,
        list(sizes[0]),
        out=out,
        **convolution_options(op, stride, padding, dilation, groups, rounding, precision, *sizes),
    )


@single_images("dy", "x", results=())
def conv2d_backward_weight(
    dy: FloatArray,
    x: FloatArray,
    weight_size: Sequence[int],
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dweight: every position's gradient, summed into the one set of shared weights a filter has.

    Parameters
    ----------
    dy : float32 (N, K, O_h, O_w)
    x : float32 (N, C, H, W)
    weight_size
        The shape (K, C/groups, F_h, F_w) of the weight.

    The other parameters are those of `conv2d`. Source: lecture, shared weights.

    >>> conv2d_backward_weight(np.float32([[[[1, 1]]]]), np.float32([[[[1, 2, 3]]]]), (1, 1, 1, 2))
    array([[[[3., 5.]]]], dtype=float32)
    """
    op = "conv2d_backward_weight"
    sizes = shape_of(op, "x", x), size(op, "weight_size", weight_size, "KCHW")
    return backend_of(op, dy, x).conv2d_backward_weight(
        dy,
        x,
        list(sizes[1]),
        out=out,
        **convolution_options(op, stride, padding, dilation, groups, rounding, precision, *sizes),
    )


@single_images("dy", results=())
def conv2d_backward_bias(dy: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dbias (K,): the sum of dy (N, K, O_h, O_w) over images and positions, accumulated in float64.

    TypeError where dy is not float32, ValueError where it has not four axes. Source: lecture, backpropagation.

    >>> conv2d_backward_bias(np.float32([[[[1, 2]], [[3, 4]]]]))
    array([3., 7.], dtype=float32)
    """
    return backend_of("conv2d_backward_bias", dy).conv2d_backward_bias(dy, out)


@single_images("dy", "x")
def conv2d_backward(
    dy: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """All three gradients, (dx, dweight, dbias), of ⟨dy, conv2d(x, weight, bias)⟩.

    With a fused activation, first pass dy through that activation's backward function.

    >>> dx, dweight, dbias = conv2d_backward(
    ...     np.ones((1, 1, 1, 1), np.float32), np.float32([[[[3]]]]), np.float32([[[[2]]]])
    ... )
    >>> dx.item(), dweight.item(), dbias.item()
    (2.0, 3.0, 1.0)
    """
    x_size, weight_size = shape_of("conv2d_backward", "x", x), shape_of("conv2d_backward", "weight", weight)
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    options |= {"rounding": rounding, "precision": precision}
    return (
        conv2d_backward_data(dy, weight, x_size, **options),
        conv2d_backward_weight(dy, x, weight_size, **options),
        conv2d_backward_bias(dy),
    )
