"""3-D convolution, of clips or volumes, and its gradients: kernels that move along time, height and width.

As in `conv2d`, a tap that falls on padding adds nothing, whatever its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels.arguments import size
from dipkernels.ops.activation import Activation, activation_arguments
from dipkernels.ops.backend import FloatArray, backend_of, shape_of
from dipkernels.ops.conv import convolution_options
from dipkernels.ops.geometry import Padding3d, Rounding, Triple
from dipkernels.ops.precision import Precision
from dipkernels.ops.single_images import single_clips

__all__ = ["conv3d", "conv3d_backward", "conv3d_backward_bias", "conv3d_backward_data", "conv3d_backward_weight"]


@single_clips("x")
def conv3d(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    stride: Triple = 1,
    padding: Padding3d = 0,
    dilation: Triple = 1,
    groups: int = 1,
    activation: Activation = None,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """y = activation(x ⋆ weight + bias) of clips: every frame of y is computed from as many frames of x as weight has.

    Parameters
    ----------
    x : float32 (N, C, D, H, W), or (C, D, H, W) for one clip; D counts frames, or slices of a volume
    weight : float32 (K, C/groups, F_d, F_h, F_w)
    bias : float32 (K,), optional
    stride, dilation
        One int, or (depth, height, width).
    padding
        Zeros around x: one int, (depth, height, width), or ((front, back), (top, bottom), (left, right)); "same" for a
        result of ⌈input/stride⌉, "valid" for none.
    groups, activation, rounding, precision, out
        As in `conv2d`.

    Returns
    -------
    y : float32 (N, K, O_d, O_h, O_w) with O = (I − F + P_start + P_end)/S + 1 on each axis

    Raises
    ------
    TypeError
        An array is not float32.
    ValueError
        Shapes do not fit together, or the window does not fit the padded input.

    Source: lecture, temporal fusion, the stride moves in width, height and time; Tran et al. 2015 (C3D).

    >>> clip = np.float32([1, 2, 4, 8]).reshape(1, 1, 4, 1, 1)
    >>> conv3d(clip, np.float32([-1, 1]).reshape(1, 1, 2, 1, 1)).ravel()  # what changes from frame to frame
    array([1., 2., 4.], dtype=float32)
    """
    name, alpha = activation_arguments("conv3d", activation)
    sizes = shape_of("conv3d", "x", x), shape_of("conv3d", "weight", weight)
    return backend_of("conv3d", x, weight, bias).conv3d(
        x,
        weight,
        bias,
        activation=name,
        alpha=alpha,
        out=out,
        **convolution_options("conv3d", stride, padding, dilation, groups, rounding, precision, *sizes, axes=3),
    )


@single_clips("dy", size="input_size")
def conv3d_backward_data(
    dy: FloatArray,
    weight: FloatArray,
    input_size: Sequence[int],
    stride: Triple = 1,
    padding: Padding3d = 0,
    dilation: Triple = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dx: the gradient of ⟨dy, conv3d(x, weight)⟩ with respect to x.

    Parameters
    ----------
    dy : float32 (N, K, O_d, O_h, O_w)
    weight : float32 (K, C/groups, F_d, F_h, F_w)
    input_size
        The shape (N, C, D, H, W) of x.

    The other parameters are those of `conv3d`, and so are the errors. Source: lecture, backpropagation.

    >>> dy, weight = np.ones((1, 1, 1, 1, 1), np.float32), np.float32([3, 5]).reshape(1, 1, 2, 1, 1)
    >>> conv3d_backward_data(dy, weight, (1, 1, 2, 1, 1)).ravel()
    array([3., 5.], dtype=float32)
    """
    op = "conv3d_backward_data"
    sizes = size(op, "input_size", input_size, "NCDHW"), shape_of(op, "weight", weight)
    return backend_of(op, dy, weight).conv3d_backward_data(
        dy,
        weight,
        list(sizes[0]),
        out=out,
        **convolution_options(op, stride, padding, dilation, groups, rounding, precision, *sizes, axes=3),
    )


@single_clips("dy", "x", results=())
def conv3d_backward_weight(
    dy: FloatArray,
    x: FloatArray,
    weight_size: Sequence[int],
    stride: Triple = 1,
    padding: Padding3d = 0,
    dilation: Triple = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """dweight: every position's gradient, summed into the one set of shared weights a filter has.

    Parameters
    ----------
    dy : float32 (N, K, O_d, O_h, O_w)
    x : float32 (N, C, D, H, W)
    weight_size
        The shape (K, C/groups, F_d, F_h, F_w) of the weight.

    The other parameters are those of `conv3d`, and so are the errors. Source: lecture, shared weights.

    >>> dy, x = np.ones((1, 1, 1, 1, 1), np.float32), np.float32([3, 5]).reshape(1, 1, 2, 1, 1)
    >>> conv3d_backward_weight(dy, x, (1, 1, 2, 1, 1)).ravel()
    array([3., 5.], dtype=float32)
    """
    op = "conv3d_backward_weight"
    sizes = shape_of(op, "x", x), size(op, "weight_size", weight_size, "KCDHW")
    return backend_of(op, dy, x).conv3d_backward_weight(
        dy,
        x,
        list(sizes[1]),
        out=out,
        **convolution_options(op, stride, padding, dilation, groups, rounding, precision, *sizes, axes=3),
    )


@single_clips("dy", results=())
def conv3d_backward_bias(dy: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """dbias float32 (K,): the sum of dy (N, K, O_d, O_h, O_w) over clips and positions, accumulated in float64.

    TypeError where dy is not float32, ValueError where it has not five axes.

    >>> conv3d_backward_bias(np.float32([[[[[1, 2]]], [[[3, 4]]]]]))
    array([3., 7.], dtype=float32)
    """
    return backend_of("conv3d_backward_bias", dy).conv3d_backward_bias(dy, out)


@single_clips("dy", "x")
def conv3d_backward(
    dy: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    stride: Triple = 1,
    padding: Padding3d = 0,
    dilation: Triple = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """All three gradients, (dx, dweight, dbias), of ⟨dy, conv3d(x, weight, bias)⟩, in the shapes of x, weight and bias.

    With a fused activation, first pass dy through that activation's backward function. The parameters are those of
    `conv3d`, and so are the errors.

    >>> one = np.ones((1, 1, 1, 1, 1), np.float32)
    >>> [gradient.item() for gradient in conv3d_backward(one, 3 * one, 2 * one)]
    [2.0, 3.0, 1.0]
    """
    x_size, weight_size = shape_of("conv3d_backward", "x", x), shape_of("conv3d_backward", "weight", weight)
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    options |= {"rounding": rounding, "precision": precision}
    return (
        conv3d_backward_data(dy, weight, x_size, **options),
        conv3d_backward_weight(dy, x, weight_size, **options),
        conv3d_backward_bias(dy),
    )
