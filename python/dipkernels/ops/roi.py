"""Pooling of regions of interest: every box of a feature map, whatever its size, as so many bins.

In all of them `boxes` float32 (K, 4) are corners in any unit, such as pixels of the image, and `batch` (K,), of any
integer dtype, says which of the N images each is on; `spatial_scale` are elements of the map for each unit. TypeError
for other dtypes, ValueError for shapes that do not fit, IndexError for the number of an image that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels.arguments import size
from dipkernels.ops.backend import FloatArray, IndexArray, LabelArray, backend_of
from dipkernels.ops.geometry import Pair, pair

__all__ = ["roi_align", "roi_align_backward", "roi_pool", "roi_pool_backward", "roi_pool_with_indices"]


def roi_pool_with_indices(
    x: FloatArray,
    boxes: FloatArray,
    batch: LabelArray,
    output_size: Pair,
    spatial_scale: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> tuple[FloatArray, IndexArray]:
    """The largest element of every bin, and where it stands.

    Parameters
    ----------
    x : float32 (N, C, H, W), H·W below 2³¹
    output_size
        The number of bins, an int or (height, width). Corners are rounded to whole elements, both of which belong to
        the box; bins are as near to equal as whole elements allow, and neighbours may share a row or column.

    Returns
    -------
    y : float32 (K, C, *output_size)
        0 for a bin with no element of the map.
    indices : int32, of the same shape
        The flat position h·W + w of each maximum in its map, the first of several; −1 for a bin with no element.

    Source: Girshick 2015, "Fast R-CNN".

    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> roi_pool_with_indices(x, np.float32([[0, 0, 3, 3]]), np.int64([0]), 2)[1].tolist()
    [[[[5, 7], [13, 15]]]]
    """
    op = "roi_pool"
    bins = pair(op, "output_size", output_size)
    return backend_of(op, x, boxes, batch).roi_pool(x, boxes, batch, bins, spatial_scale, out)


def roi_pool(
    x: FloatArray,
    boxes: FloatArray,
    batch: LabelArray,
    output_size: Pair,
    spatial_scale: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """The first result of `roi_pool_with_indices`.

    float32 (K, C, *output_size). Parameters and errors as there. Source: Girshick 2015, "Fast R-CNN".

    >>> roi_pool(np.float32([[[[1, 2], [4, 3]]]]), np.float32([[0, 0, 1, 1]]), np.int64([0]), 1)
    array([[[[4.]]]], dtype=float32)
    """
    return roi_pool_with_indices(x, boxes, batch, output_size, spatial_scale, out=out)[0]


def roi_pool_backward(
    dy: FloatArray,
    boxes: FloatArray,
    batch: LabelArray,
    indices: IndexArray,
    input_size: Sequence[int],
    spatial_scale: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """dy (K, C, *output_size) at the maxima, added where boxes share one: dx (N, C, H, W), which is `input_size`.

    Boxes and scale are those of the forward pass. IndexError, too, for an index outside its map.

    >>> roi_pool_backward(
    ...     np.float32([[[[5]]]]), np.float32([[0, 0, 1, 1]]), np.int64([0]), np.int32([[[[2]]]]), (1, 1, 2, 2)
    ... )
    array([[[[0., 0.],
             [5., 0.]]]], dtype=float32)
    """
    op = "roi_pool_backward"
    shape = size(op, "input_size", input_size, "NCHW")
    backend = backend_of(op, dy, boxes, batch, indices)
    return backend.roi_pool_backward(dy, boxes, batch, indices, shape, spatial_scale, out)


def roi_align(
    x: FloatArray,
    boxes: FloatArray,
    batch: LabelArray,
    output_size: Pair,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """The mean of samples of every bin, each interpolated between the four elements around it; nothing is rounded.

    Parameters
    ----------
    x : float32 (N, C, H, W)
    output_size
        The number of bins, an int or (height, width), each an equal share of the box.
    sampling_ratio
        From 1 to 64: samples along each axis of a bin.
    aligned
        Element i of the map has its centre at i + ½, as a pixel has. False: at i, and boxes are at least one element
        large, as in the first implementations.

    Returns float32 (K, C, *output_size). A sample more than one element outside the map is 0, between that and the map
    the element at the edge. Source: He, Gkioxari, Dollár, Girshick 2017, "Mask R-CNN".

    >>> x = np.float32([[[[1, 2], [3, 4]]]])
    >>> roi_align(x, np.float32([[0, 0, 2, 2]]), np.int64([0]), 1)
    array([[[[2.5]]]], dtype=float32)
    """
    op = "roi_align"
    bins = pair(op, "output_size", output_size)
    backend = backend_of(op, x, boxes, batch)
    return backend.roi_align(x, boxes, batch, bins, spatial_scale, sampling_ratio, aligned, out)


def roi_align_backward(
    dy: FloatArray,
    boxes: FloatArray,
    batch: LabelArray,
    input_size: Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """The gradient of roi_align from dy (K, C, *output_size): dx (N, C, H, W), which is `input_size`.

    float32; the other parameters, and the errors, are those of `roi_align`. Source: He et al. 2017, "Mask R-CNN".

    >>> roi_align_backward(np.float32([[[[8]]]]), np.float32([[0, 0, 2, 2]]), np.int64([0]), (1, 1, 2, 2))
    array([[[[2., 2.],
             [2., 2.]]]], dtype=float32)
    """
    op = "roi_align_backward"
    shape = size(op, "input_size", input_size, "NCHW")
    backend = backend_of(op, dy, boxes, batch)
    return backend.roi_align_backward(dy, boxes, batch, shape, spatial_scale, sampling_ratio, aligned, out)
