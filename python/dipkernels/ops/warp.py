"""Warping: an image as it looks from elsewhere, by a flow field or an affine matrix, and the gradients of both.

TypeError for arrays that are not float32, ValueError for shapes that do not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from dipkernels.arguments import size as size_of
from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["affine_flow", "affine_flow_backward", "warp", "warp_backward"]

Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic"]
"""How a value between elements comes from 1, 4 or 16 of them."""


def warp(
    x: FloatArray, flow: FloatArray, interpolation: Interpolation = "bilinear", *, out: FloatArray | None = None
) -> FloatArray:
    """Reads x elsewhere: y[n, c, i, j] is x[n, c] at the place (i + flow[n, 1, i, j], j + flow[n, 0, i, j]).

    Parameters
    ----------
    x : float32 (N, C, H, W)
    flow : float32 (N, 2, H', W')
        How many elements to the right, flow[:, 0], and down, flow[:, 1], of its own place each result is read.
    interpolation
        "nearest", halves up; "bilinear"; "bicubic", the convolution of Keys 1981 with a = −3/4.

    Returns float32 (N, C, H', W'). What is outside x is 0, and so is everything at a place that is no number. Source:
    Jaderberg, Simonyan, Zisserman, Kavukcuoglu 2015, "Spatial transformer networks"; lecture, registration.

    >>> warp(np.float32([[[[1, 2, 4]]]]), np.float32([[[[0.5, 1, 1]], [[0, 0, 0]]]]))
    array([[[[1.5, 4. , 0. ]]]], dtype=float32)
    """
    return backend_of("warp", x, flow).warp(x, flow, interpolation, out)


def warp_backward(
    dy: FloatArray, x: FloatArray, flow: FloatArray, interpolation: Interpolation = "bilinear"
) -> tuple[FloatArray, FloatArray]:
    """From dy (N, C, H', W') the gradients dx (N, C, H, W) and dflow (N, 2, H', W').

    dflow is 0 for "nearest"; for "bilinear" it is that of the side of larger coordinates where a place is an element.

    >>> warp_backward(np.float32([[[[2]]]]), np.float32([[[[1, 4]]]]), np.float32([[[[0.25]], [[0]]]]))[0]
    array([[[[1.5, 0.5]]]], dtype=float32)
    """
    return backend_of("warp_backward", dy, x, flow).warp_backward(dy, x, flow, interpolation)


def affine_flow(matrices: FloatArray, size: Sequence[int], *, out: FloatArray | None = None) -> FloatArray:
    """The flow field (N, 2, height, width) by which `warp` reads at A·p + b for the place p = (x, y).

    Parameters
    ----------
    matrices : float32 (N, 2, 3)
        A, and behind it b; p and A·p + b are counted from the middle of the image, in elements.
    size
        (height, width).

    >>> affine_flow(np.float32([[[1, 0, 2], [0, 1, 0]]]), (1, 2))[0, 0]
    array([[2., 2.]], dtype=float32)
    """
    height, width = size_of("affine_flow", "size", size, "HW")
    return backend_of("affine_flow", matrices).affine_flow(matrices, (height, width), out)


def affine_flow_backward(dflow: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """From dflow (N, 2, height, width) the gradient of the matrices, (N, 2, 3).

    >>> affine_flow_backward(np.float32([[[[1, 3]], [[0, 0]]]]))
    array([[[1., 0., 4.],
            [0., 0., 0.]]], dtype=float32)
    """
    return backend_of("affine_flow_backward", dflow).affine_flow_backward(dflow, out)
