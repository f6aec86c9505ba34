"""Bilinear interpolation of planes, and its gradient.

TypeError for arrays that are not float32, ValueError for sizes that do not fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels.ops.backend import FloatArray, backend_of, shape_of
from dipkernels.ops.geometry import Pair, resampled_size
from dipkernels.ops.single_images import single_images

__all__ = ["upsample_bilinear2d", "upsample_bilinear2d_backward"]


@single_images("x")
def upsample_bilinear2d(
    x: FloatArray,
    scale_factor: Pair | None = None,
    *,
    size: Sequence[int] | None = None,
    align_corners: bool = False,
    out: FloatArray | None = None,
) -> FloatArray:
    """Makes planes larger, or smaller, by linear interpolation between the four neighbours in x (N, C, H, W).

    Parameters
    ----------
    scale_factor
        How many times as large the result is, an int or (height, width).
    size
        Or the size (H', W') of the result.
    align_corners
        False: elements are areas, and the outer edges of both planes fall together: result o lies at
        (o + ½)·H/H' − ½ of x, no less than 0. True: elements are points, and those at the corners fall together:
        o·(H − 1)/(H' − 1). As in PyTorch.

    Source: lecture, upsampling; the weights are those of `torch.nn.functional.interpolate`.

    >>> upsample_bilinear2d(np.float32([[[[0, 4]]]]), (1, 2))
    array([[[[0., 1., 3., 4.]]]], dtype=float32)
    >>> upsample_bilinear2d(np.float32([[[[0, 4]]]]), size=(1, 5), align_corners=True)
    array([[[[0., 1., 2., 3., 4.]]]], dtype=float32)
    """
    op = "upsample_bilinear2d"
    plane = resampled_size(op, shape_of(op, "x", x), scale_factor, "size", size, True)
    return backend_of(op, x).upsample_bilinear2d(False, x, plane, align_corners, out)


@single_images("dy")
def upsample_bilinear2d_backward(
    dy: FloatArray,
    scale_factor: Pair | None = None,
    *,
    input_size: Sequence[int] | None = None,
    align_corners: bool = False,
    out: FloatArray | None = None,
) -> FloatArray:
    """dx (N, C, H, W): the gradient of ⟨dy, upsample_bilinear2d(x)⟩.

    With `size` instead of `scale_factor` in the forward pass, `input_size` is (H, W).

    >>> upsample_bilinear2d_backward(np.float32([[[[1, 1, 1, 5]]]]), (1, 2))
    array([[[[2., 6.]]]], dtype=float32)
    """
    op = "upsample_bilinear2d_backward"
    plane = resampled_size(op, shape_of(op, "dy", dy), scale_factor, "input_size", input_size, False)
    return backend_of(op, dy).upsample_bilinear2d(True, dy, plane, align_corners, out)
