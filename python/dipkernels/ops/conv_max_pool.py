"""2-D convolution followed by max pooling, in one kernel where that is faster, and its gradients."""

from __future__ import annotations

from dipkernels.ops.activation import Activation, activation_arguments
from dipkernels.ops.backend import FloatArray, IndexArray, backend_of, shape_of
from dipkernels.ops.conv import convolution_options
from dipkernels.ops.geometry import Padding, Pair, Rounding, pair
from dipkernels.ops.precision import Precision
from dipkernels.ops.single_images import single_images

__all__ = ["conv2d_max_pool2d", "conv2d_max_pool2d_backward"]


@single_images("x", results=(0, 1))
def conv2d_max_pool2d(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    pool_size: Pair = 2,
    *,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
) -> tuple[FloatArray, IndexArray]:
    """`max_pool2d_with_indices(conv2d(...), pool_size)`, of which the large result in between need not be written.

    With precision "high" or "medium" the two may differ by what that precision allows: a convolution alone may go
    another way, and of results that are nearly equal another may be the largest.

    Parameters
    ----------
    pool_size
        The windows that are pooled, and their distance: one int, or (height, width).
    rounding
        "exact" or "floor", for the convolution and for the pooling.

    The other parameters are those of `conv2d`.

    Returns
    -------
    y : float32 (N, K, P_h, P_w) with P = O / pool_size for the size O of the convolution's result
    indices : int32 (N, K, P_h, P_w)
        Where in the plane of O_h × O_w each maximum stands, as `max_pool2d_with_indices` has it.

    Raises TypeError and ValueError as `conv2d` and `max_pool2d_with_indices` do.

    Source: lecture, convolutional layer and max pooling; LeCun et al. 1998.

    >>> x = np.float32([[[[1, 2, 5], [4, 3, 0]]]])
    >>> conv2d_max_pool2d(x, np.float32([[[[1, 1]]]]))
    (array([[[[7.]]]], dtype=float32), array([[[[1]]]], dtype=int32))
    """
    op = "conv2d_max_pool2d"
    name, alpha = activation_arguments(op, activation)
    return backend_of(op, x, weight, bias).conv2d_max_pool2d(
        x,
        weight,
        bias,
        activation=name,
        alpha=alpha,
        pool_size=pair(op, "pool_size", pool_size),
        **convolution_options(
            op,
            stride,
            padding,
            dilation,
            groups,
            rounding,
            precision,
            shape_of(op, "x", x),
            shape_of(op, "weight", weight),
        ),
    )


@single_images("dy", "indices", "x")
def conv2d_max_pool2d_backward(
    dy: FloatArray,
    indices: IndexArray,
    x: FloatArray,
    weight: FloatArray,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    pool_size: Pair = 2,
    *,
    input_gradient: bool = True,
    rounding: Rounding = "exact",
    precision: Precision | None = None,
) -> tuple[FloatArray | None, FloatArray, FloatArray]:
    """The gradients (dx, dweight, dbias) of `conv2d_max_pool2d`.

    With a fused activation, first pass dy through that activation's backward function, with the pooled y.

    Parameters
    ----------
    dy : float32 (N, K, P_h, P_w)
    indices : int32 or int64 (N, K, P_h, P_w), from `conv2d_max_pool2d`
    x : float32 (N, C, H, W)
    weight : float32 (K, C/groups, F_h, F_w)
    input_gradient
        Whether dx is wanted; None stands in its place otherwise.

    The other parameters are those of `conv2d_max_pool2d`.

    Raises IndexError, with position and value, for an index outside the plane. Source: lecture, backpropagation; max
    pooling routes the gradient to the argmax.

    >>> x = np.float32([[[[1, 2, 5], [4, 3, 0]]]])
    >>> dx, dweight, dbias = conv2d_max_pool2d_backward(
    ...     np.float32([[[[1]]]]), np.int32([[[[1]]]]), x, np.float32([[[[1, 2]]]])
    ... )
    >>> dx[0, 0], dweight[0, 0], dbias
    (array([[0., 1., 2.],
           [0., 0., 0.]], dtype=float32), array([[2., 5.]], dtype=float32), array([1.], dtype=float32))
    """
    op = "conv2d_max_pool2d_backward"
    return backend_of(op, dy, indices, x, weight).conv2d_max_pool2d_backward(
        dy,
        indices,
        x,
        weight,
        pool_size=pair(op, "pool_size", pool_size),
        input_gradient=input_gradient,
        **convolution_options(
            op,
            stride,
            padding,
            dilation,
            groups,
            rounding,
            precision,
            shape_of(op, "x", x),
            shape_of(op, "weight", weight),
        ),
    )
