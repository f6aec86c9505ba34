"""Bad input gets an exception that names operator and argument, or a right answer; the interpreter never dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import normal
from dipkernels import reference
from support.device_ops import DEVICE, ops


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


def huge(*shape: int, dtype: Any = np.float32) -> Any:
    """An array of any size that takes no memory: one element, seen again and again."""
    return np.broadcast_to(np.ones((), dtype), shape)


def read_only(a: Any) -> Any:
    a.flags.writeable = False
    return a


BOXES = np.float32([[0, 0, 4, 4], [1, 1, 6, 3], [2, 2, 9, 9]])
IMAGE, FILTER = normal(1, 2, 8, 8), normal(3, 2, 3, 3)
NAN, INF = float("nan"), float("inf")

BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    # The lecture's impossible convolution, with what would fit.
    ("W10_F3_S2_P0", lambda: ops.conv2d(zeros(1, 1, 10, 10), zeros(1, 1, 3, 3), stride=2), ValueError, r"7/2 \+ 1.*stride 1, 7 would fit, or 1 more padding"),
    ("pool_10_3_2", lambda: ops.max_pool2d(zeros(1, 1, 10, 10), 3, 2), ValueError, "no whole number"),
    ("avg_10_3_2", lambda: ops.avg_pool2d(zeros(1, 1, 10, 10), 3, 2), ValueError, "no whole number"),
    ("output_size", lambda: ops.output_size(10, 3, 2), ValueError, "no whole number"),
    ("rounding_word", lambda: ops.conv2d(IMAGE, FILTER, rounding="up"), ValueError, "rounding"),  # type: ignore[arg-type]
    # Geometry.
    *[
        (f"conv_{name}_{value}", lambda n=name, v=value: ops.conv2d(IMAGE, FILTER, **{n: v}), error, name)
        for name in ("stride", "dilation", "padding")
        for value, error in [
            (-1, ValueError), ((1, -1), ValueError), ("2", TypeError), (1.5, TypeError), (None, TypeError),
            ((1, 2, 3), ValueError), ((), ValueError), (True, TypeError), (2**62, ValueError), (2**70, ValueError), ((1, None), TypeError),
        ]
    ],
    *[(f"conv_{name}_0", lambda n=name: ops.conv2d(IMAGE, FILTER, **{n: 0}), ValueError, name) for name in ("stride", "dilation")],
    ("padding_3_sides", lambda: ops.conv2d(IMAGE, FILTER, padding=((1, 2), (3,))), ValueError, "padding"),
    ("padding_2e40", lambda: ops.conv2d(IMAGE, FILTER, padding=2**41), ValueError, "padding"),
    ("huge_output", lambda: ops.conv2d(IMAGE, FILTER, padding=2**39), ValueError, "more elements"),
    ("huge_stride", lambda: ops.conv2d(IMAGE, FILTER, stride=2**50), ValueError, "stride"),
    ("huge_dilation", lambda: ops.conv2d(IMAGE, FILTER, dilation=2**50), ValueError, "dilation"),
    ("window_too_large", lambda: ops.conv2d(IMAGE, zeros(1, 2, 9, 9)), ValueError, "does not fit into height 8"),
    ("window_too_wide", lambda: ops.conv2d(IMAGE, zeros(1, 2, 1, 9)), ValueError, "does not fit into width 8"),
    ("empty_window", lambda: ops.conv2d(IMAGE, zeros(1, 2, 0, 3)), ValueError, "kernel_size"),
    ("empty_image", lambda: ops.conv2d(zeros(1, 2, 0, 8), FILTER), ValueError, "height"),
    ("bilinear_both", lambda: ops.upsample_bilinear2d(IMAGE, 2, size=(3, 3)), ValueError, "give one of scale_factor and size"),
    ("bilinear_empty", lambda: ops.upsample_bilinear2d(zeros(1, 1, 0, 3), size=(3, 3)), ValueError, "at least one row"),
    ("bilinear_zero", lambda: ops.upsample_bilinear2d(IMAGE, size=(0, 3)), ValueError, "from 1 to"),
    ("bilinear_huge", lambda: ops.upsample_bilinear2d(IMAGE, size=(2**30, 3)), ValueError, "from 1 to"),
    ("norm_size", lambda: ops.local_response_norm(IMAGE, 0), ValueError, "size must be from 1"),
    ("norm_k", lambda: ops.local_response_norm(IMAGE, 3, k=0), ValueError, "k must be above 0"),
    ("norm_alpha", lambda: ops.local_response_norm(IMAGE, 3, alpha=-1), ValueError, "alpha must be at least 0"),
    ("norm_axes", lambda: ops.local_response_norm(zeros(3), 3), ValueError, "at least 2 dimensions"),
    ("concatenate_nothing", lambda: ops.concatenate([]), ValueError, "at least one array"),
    ("concatenate_array", lambda: ops.concatenate(IMAGE), TypeError, "list of arrays"),
    ("concatenate_sizes", lambda: ops.concatenate([IMAGE, zeros(1, 2, 8, 7)]), ValueError, r"inputs\[1\] may differ"),
    ("concatenate_axes", lambda: ops.concatenate([zeros(3)]), ValueError, "at least 2 dimensions"),
    ("concatenate_dtype", lambda: ops.concatenate([IMAGE, IMAGE.astype("f8")]), TypeError, r"inputs\[1\]"),
    ("concatenate_channels", lambda: ops.concatenate_backward(IMAGE, [1, 2]), ValueError, "add up to those of dy, 2"),
    ("concatenate_none", lambda: ops.concatenate_backward(IMAGE, []), ValueError, "add up"),
    ("pad_less_than_nothing", lambda: ops.pad2d(IMAGE, -5), ValueError, r"less than nothing of x's height 8"),
    ("pad_huge", lambda: ops.pad2d(IMAGE, 2**41), ValueError, "too large"),
    ("box_three_numbers", lambda: ops.box_convert(zeros(5, 3), "xyxy", "xywh"), ValueError, r"boxes must have shape \(\.\.\., 4\)"),
    ("box_format", lambda: ops.box_convert(BOXES, "xyxy", "yxyx"), ValueError, "out_fmt must be xyxy, xywh or cxcywh, got 'yxyx'"),  # type: ignore[arg-type]
    ("box_iou_shape", lambda: ops.box_iou(BOXES, zeros(3, 5)), ValueError, r"boxes2 must have shape \(3, 4\)"),
    ("nms_scores", lambda: ops.nms(BOXES, zeros(4), 0.5), ValueError, r"scores must have shape \(3,\)"),
    ("nms_threshold", lambda: ops.nms(BOXES, zeros(3), 1.5), ValueError, "iou_threshold must be from 0 to 1, got 1.5"),
    ("nms_classes", lambda: ops.batched_nms(BOXES, zeros(3), zeros(2, dtype=np.int64), 0.5), ValueError, r"classes must have shape \(3,\)"),
    ("roi_image", lambda: ops.roi_align(IMAGE, BOXES, np.int64([0, 1, 0]), 2), IndexError, r"batch\[1\] is 1; the number of an image must be from 0 to 0"),
    ("roi_batch", lambda: ops.roi_pool(IMAGE, BOXES, np.int64([0]), 2), ValueError, r"batch must have shape \(3,\)"),
    ("roi_bins", lambda: ops.roi_align(IMAGE, BOXES, np.int64([0, 0, 0]), 0), ValueError, "output_size must be from 1"),
    ("roi_scale", lambda: ops.roi_pool(IMAGE, BOXES, np.int64([0, 0, 0]), 2, -1.0), ValueError, "spatial_scale must be positive"),
    ("roi_samples", lambda: ops.roi_align(IMAGE, BOXES, np.int64([0, 0, 0]), 2, 1.0, 65), ValueError, "sampling_ratio must be from 1 to 64"),
    ("roi_no_elements", lambda: ops.roi_align(zeros(1, 2, 0, 4), BOXES, np.int64([0, 0, 0]), 2), ValueError, "at least one row and column"),
    ("roi_index", lambda: ops.roi_pool_backward(zeros(3, 2, 1, 1), BOXES, np.int64([0, 0, 0]), np.full((3, 2, 1, 1), 64, np.int32), IMAGE.shape), IndexError, r"indices.flat\[0\] is 64: it must be from -1 to 63"),
    ("roi_index_int64", lambda: ops.roi_pool_backward(zeros(3, 2, 1, 1), BOXES, np.int64([0, 0, 0]), np.full((3, 2, 1, 1), -2), IMAGE.shape), IndexError, "it must be from -1 to 63"),
    ("warp_flow", lambda: ops.warp(IMAGE, zeros(1, 3, 4, 4)), ValueError, r"flow must have shape \(1, 2, H, W\)"),
    ("warp_word", lambda: ops.warp(IMAGE, zeros(1, 2, 4, 4), "cubic"), ValueError, "interpolation must be nearest, bilinear or bicubic, got 'cubic'"),  # type: ignore[arg-type]
    ("warp_dy", lambda: ops.warp_backward(IMAGE, IMAGE, zeros(1, 2, 4, 4)), ValueError, r"dy must have shape \(1, 2, 4, 4\)"),
    ("affine_flow", lambda: ops.affine_flow(zeros(2, 3), (4, 4)), ValueError, r"matrices must have 3 dimensions \(N, 2, 3\)"),
    ("affine_flow_size", lambda: ops.affine_flow(zeros(1, 2, 3), (-4, 4)), ValueError, "size"),
    ("affine_flow_backward", lambda: ops.affine_flow_backward(zeros(1, 3, 4, 4)), ValueError, r"dflow must have shape \(N, 2, H, W\)"),
    ("pad_backward", lambda: ops.pad2d_backward(IMAGE, 5), ValueError, "less than nothing of dy"),
    ("batch_norm_one_value", lambda: ops.batch_norm_with_stats(zeros(1, 3)), ValueError, "more than one value"),
    ("batch_norm_one_axis", lambda: ops.batch_norm(zeros(3), zeros(3), zeros(3)), ValueError, "at least 2 dimensions"),
    ("batch_norm_channels", lambda: ops.batch_norm(IMAGE, zeros(2), zeros(3)), ValueError, r"var must have shape \(2,\)"),
    ("batch_norm_one_average", lambda: ops.batch_norm_with_stats(IMAGE, zeros(2)), ValueError, "running_mean and running_var, or none"),
    ("batch_norm_same_average", lambda: ops.batch_norm_with_stats(IMAGE, *[zeros(2)] * 2), ValueError, "overlaps running_var"),
    ("batch_norm_read_only", lambda: ops.batch_norm_with_stats(IMAGE, read_only(zeros(2)), zeros(2)), ValueError, "running_mean"),
    ("batch_norm_momentum", lambda: ops.batch_norm_with_stats(IMAGE, momentum=1.5), ValueError, "momentum must be at least 0 and at most 1"),
    ("batch_norm_eps", lambda: ops.batch_norm(IMAGE, zeros(2), zeros(2), eps=-1e-9), ValueError, "eps"),
    ("batch_norm_dy", lambda: ops.batch_norm_backward(zeros(1, 2, 8, 7), IMAGE, zeros(2), zeros(2)), ValueError, "dy must have shape"),
    ("transpose_output_padding", lambda: ops.conv_transpose2d(IMAGE, zeros(2, 3, 3, 3), stride=2, output_padding=2), ValueError, r"output_padding must be from 0 to stride - 1 .* got 2 for stride 2"),
    ("transpose_all_padding", lambda: ops.conv_transpose2d(IMAGE, zeros(2, 3, 3, 3), padding=5), ValueError, r"padding \(5, 5\) leaves nothing of the result's height"),
    ("transpose_channels", lambda: ops.conv_transpose2d(IMAGE, zeros(3, 2, 3, 3)), ValueError, "as many channels in its first axis as x"),
    ("transpose_groups", lambda: ops.conv_transpose2d(IMAGE, zeros(2, 3, 3, 3), groups=3), ValueError, "groups must divide"),
    ("transpose_negative", lambda: ops.conv_transpose2d(IMAGE, zeros(2, 3, 3, 3), padding=-1), ValueError, "padding"),
    ("transpose_huge", lambda: ops.conv_transpose2d(IMAGE, zeros(2, 3, 3, 3), stride=2**29), ValueError, "more elements|too large"),
    ("transpose_bias", lambda: ops.conv_transpose2d(IMAGE, zeros(2, 3, 3, 3), zeros(2)), ValueError, "bias must have shape"),
    ("transpose_empty", lambda: ops.conv_transpose2d(zeros(1, 2, 0, 4), zeros(2, 3, 3, 3)), ValueError, "at least one row"),
    ("transpose_dy", lambda: ops.conv_transpose2d_backward_data(zeros(1, 3, 9, 9), zeros(2, 3, 3, 3), (1, 2, 8, 8)), ValueError, "dy must have shape"),
    ("no_channels", lambda: ops.conv2d(zeros(1, 0, 8, 8), zeros(3, 0, 3, 3)), ValueError, "at least one channel"),
    ("no_filters", lambda: ops.conv2d(IMAGE, zeros(0, 2, 3, 3)), ValueError, "at least one channel"),
    ("channels_differ", lambda: ops.conv2d(IMAGE, zeros(3, 5, 3, 3)), ValueError, "weight must have 2 channels"),
    *[(f"groups_{g}", lambda g=g: ops.conv2d(IMAGE, FILTER, groups=g), ValueError, "groups") for g in (0, -1, 2, 3, 2**40)],
    ("groups_text", lambda: ops.conv2d(IMAGE, FILTER, groups="1"), TypeError, "groups"),  # type: ignore[arg-type]
    ("bias_size", lambda: ops.conv2d(IMAGE, FILTER, zeros(4)), ValueError, r"bias must have shape \(3,\)"),
    ("bias_rank", lambda: ops.conv2d(IMAGE, FILTER, zeros(3, 1)), ValueError, "bias must have 1 dimension"),
    *[
        (f"activation_{value}", lambda v=value: ops.conv2d(IMAGE, FILTER, activation=v), error, "activation")
        for value, error in [("swish", ValueError), (3, TypeError), (("elu",), TypeError), (("elu", -1.0), ValueError), (("elu", NAN), ValueError), (("elu", INF), ValueError), ("", ValueError), ("none ", ValueError)]
    ],
    ("linear_activation", lambda: ops.linear(zeros(2, 3), zeros(1, 3), activation="swish"), ValueError, "activation"),
    ("data_input_size", lambda: ops.conv2d_backward_data(zeros(1, 3, 6, 6), FILTER, (1, 2, 9, 9)), ValueError, "dy must have shape"),
    ("data_short_size", lambda: ops.conv2d_backward_data(zeros(1, 3, 6, 6), FILTER, (8, 8)), ValueError, r"input_size must be \(N, C, H, W\), got \(8, 8\)"),
    ("data_negative_size", lambda: ops.conv2d_backward_data(zeros(1, 3, 6, 6), FILTER, (-1, 2, 8, 8)), ValueError, "negative"),
    ("weight_size", lambda: ops.conv2d_backward_weight(zeros(1, 3, 6, 6), IMAGE, (3, 2, 4, 4)), ValueError, "dy must have shape"),
    ("weight_short_size", lambda: ops.conv2d_backward_weight(zeros(1, 3, 6, 6), IMAGE, (3, 3)), ValueError, r"weight_size must be \(K, C, H, W\), got \(3, 3\)"),
    # Pooling.
    *[
        (f"{op}_{name}_{value}", lambda o=op, n=name, v=value: getattr(ops, o)(IMAGE, **{"kernel_size": 2, n: v}), error, name)
        for op in ("max_pool2d", "avg_pool2d", "sum_pool2d", "l2_pool2d")
        for name, value, error in [
            ("kernel_size", 0, ValueError), ("kernel_size", -2, ValueError), ("kernel_size", "2", TypeError), ("kernel_size", 2.0, TypeError), ("kernel_size", None, TypeError),
            ("stride", 0, ValueError), ("stride", -1, ValueError), ("stride", 0.5, TypeError), ("padding", -1, ValueError), ("padding", 2, ValueError), ("padding", ((0, 2), (0, 0)), ValueError),
        ]
    ],
    ("pool_window", lambda: ops.max_pool2d(IMAGE, 9), ValueError, "does not fit"),
    ("pool_straddles", lambda: ops.max_pool2d(zeros(1, 1, 1, 1), 2, 1, 1, dilation=2), ValueError, "no element of the input"),
    ("pool_2e31_plane", lambda: ops.max_pool2d(huge(1, 1, 2**16, 2**15), 2), ValueError, "int32 indices"),
    ("avg_input_size", lambda: ops.avg_pool2d_backward(zeros(1, 1, 2, 2), (1, 1, 9, 9), 2, rounding="floor"), ValueError, "dy must have shape"),
    ("avg_short_size", lambda: ops.avg_pool2d_backward(zeros(1, 1, 2, 2), (4, 4), 2), ValueError, "input_size"),
    ("l2_y_size", lambda: ops.l2_pool2d_backward(zeros(1, 1, 2, 2), zeros(1, 1, 4, 4), zeros(1, 1, 2, 3), 2), ValueError, "y must have shape"),
    # Unpooling.
    *[
        (f"unpool_index_{i}", lambda i=i: ops.max_unpool2d(zeros(1, 2, 1, 2), np.int32([[[[0, 1]], [[2, i]]]]), output_size=(2, 2)), IndexError, rf"indices\(0, 1, 0, 1\) is {i}, outside the plane of 2 x 2: it must be from 0 to 3")
        for i in (-1, 4, 100, 2**31 - 1, -(2**31))
    ],
    ("pooled_conv_index", lambda: ops.conv2d_max_pool2d_backward(zeros(32, 1, 1, 1), np.full((32, 1, 1, 1), 4, np.int32), zeros(32, 1, 3, 3), zeros(1, 1, 2, 2)), IndexError, r"indices\(0, 0, 0, 0\) is 4.*from 0 to 3"),
    ("pooled_conv_shape", lambda: ops.conv2d_max_pool2d_backward(zeros(1, 1, 2, 1), zeros(1, 1, 2, 1, dtype=np.int32), zeros(1, 1, 3, 3), zeros(1, 1, 2, 2)), ValueError, r"dy must have shape \(1, 1, 1, 1\), got \(1, 1, 2, 1\)"),
    ("pooled_conv_size", lambda: ops.conv2d_max_pool2d(IMAGE, FILTER, pool_size=0), ValueError, "kernel_size along height must be at least 1, got 0"),
    ("pooled_conv_no_fit", lambda: ops.conv2d_max_pool2d(IMAGE, FILTER, pool_size=4), ValueError, "no whole number"),
    ("pooled_conv_bias", lambda: ops.conv2d_max_pool2d(IMAGE, FILTER, zeros(4)), ValueError, r"bias must have shape \(3,\)"),
    ("pool_backward_index", lambda: ops.max_pool2d_backward(zeros(1, 1, 1, 1), np.int32([[[[9]]]]), (3, 3)), IndexError, "from 0 to 8"),
    ("gather_index", lambda: ops.max_unpool2d_backward(zeros(1, 1, 2, 2), np.int32([[[[4]]]])), IndexError, "from 0 to 3"),
    ("index_int16", lambda: ops.max_unpool2d(zeros(1, 1, 1, 1), zeros(1, 1, 1, 1, dtype=np.int16), 2), TypeError, "indices must be int32 or int64, got int16"),
    *[
        (f"unpool_long_index_{i}", lambda i=i: ops.max_unpool2d(zeros(1, 2, 1, 2), np.int64([[[[0, 1]], [[2, i]]]]), output_size=(2, 2)), IndexError, rf"indices\(0, 1, 0, 1\) is {i}: it must be from 0 to 3")
        for i in (-1, 4, 2**32, 2**40)
    ],
    ("pool_backward_other_planes", lambda: ops.max_pool2d_backward(zeros(1, 2, 1, 1), zeros(1, 2, 1, 1, dtype=np.int32), (1, 3, 2, 2)), ValueError, r"input_size must have dy's N and C, \(1, 2\), got \(1, 3, 2, 2\)"),
    ("index_shape", lambda: ops.max_unpool2d(zeros(1, 1, 1, 1), zeros(1, 1, 1, 2, dtype=np.int32), 2), ValueError, "indices must have shape"),
    ("unpool_no_size", lambda: ops.max_unpool2d(zeros(1, 1, 1, 1), zeros(1, 1, 1, 1, dtype=np.int32)), ValueError, "give output_size"),
    *[
        (f"unpool_size_{s}", lambda s=s: ops.max_unpool2d(zeros(1, 1, 1, 1), zeros(1, 1, 1, 1, dtype=np.int32), output_size=s), error, "output_size|plane")
        for s, error in [((2,), ValueError), ((1, 2, 3), ValueError), ((2, 1, 4, 4), ValueError), ((0, 4), ValueError), ((-1, 4), ValueError), ((2**31, 1), ValueError), ((2**16, 2**16), ValueError), ((2.0, 2), TypeError)]
    ],
    ("unpool_other_planes", lambda: ops.max_unpool2d_backward(zeros(1, 2, 2, 2), zeros(1, 1, 1, 1, dtype=np.int32)), ValueError, "same N and C"),
    *[(f"upsample_{s}", lambda s=s: ops.upsample_nearest2d(IMAGE, s), error, "scale_factor") for s, error in [(0, ValueError), (-1, ValueError), (1.5, TypeError), ((2,), ValueError), (2**62 - 1, ValueError), (2**31 - 1, ValueError)] if s != 2**31 - 1],
    ("upsample_empty", lambda: ops.upsample_nearest2d(zeros(1, 1, 0, 3), 2), ValueError, "at least one row"),
    ("upsample_backward", lambda: ops.upsample_nearest2d_backward(zeros(1, 1, 3, 4), 2), ValueError, "must divide"),
    *[(f"nails_offset_{o}", lambda o=o: ops.bed_of_nails2d(IMAGE, 2, o), ValueError, "offset") for o in (-1, 2, (0, 5))],
    # Classes.
    *[
        (f"{op}_label_{label}", lambda o=op, v=label: getattr(ops, o)(zeros(3, 4), np.array([0, v, 1])), IndexError, rf"target.flat\[1\] is {label}")
        for op in ("cross_entropy", "cross_entropy_with_grad", "focal_loss", "focal_loss_with_grad", "hinge_loss", "hinge_loss_with_grad")
        for label in (4, -1, 2**40, -(2**63), -99)
    ],
    ("probability_label", lambda: ops.probability_loss(np.full((3, 4), 0.25, "f4"), np.array([0, 4, 1])), IndexError, r"target.flat\[1\] is 4"),
    ("int32_label", lambda: ops.cross_entropy(zeros(3, 4), np.int32([0, 4, 1])), IndexError, r"target.flat\[1\] is 4"),
    ("nan_label", lambda: ops.cross_entropy(zeros(3, 4), np.float32([0, NAN, 1])), ValueError, "distributions"),
    ("float64_label", lambda: ops.cross_entropy(zeros(3, 4), np.array([0.0, NAN, 1])), TypeError, "target must be int64, int32, .*, got float64"),
    *[
        (f"distribution_{v}", lambda v=v: ops.cross_entropy(zeros(2, 2), np.float32([[0.5, 0.5], [v, 0.5]])), ValueError, r"target.flat\[2\] must be a finite probability")
        for v in (NAN, INF, -INF, -0.1)
    ],
    *[(f"class_weight_{v}", lambda v=v: ops.cross_entropy(zeros(2, 2), np.array([0, 1]), np.float32([1, v])), ValueError, r"weight\[1\]") for v in (NAN, INF, -1.0)],
    ("class_weight_size", lambda: ops.cross_entropy(zeros(2, 2), np.array([0, 1]), zeros(3)), ValueError, "weight must have shape"),
    *[(f"smoothing_{v}", lambda v=v: ops.cross_entropy(zeros(2, 2), np.array([0, 1]), label_smoothing=v), ValueError, "label_smoothing") for v in (-0.1, 1.1, NAN)],
    *[(f"gamma_{v}", lambda v=v: ops.focal_loss(zeros(2, 2), np.array([0, 1]), v), ValueError, "gamma") for v in (-1.0, NAN, INF)],
    *[(f"reduction_{op}", lambda o=op: getattr(ops, o)(zeros(2, 2), zeros(2, 2), "average"), ValueError, "reduction") for op in ("mse_loss", "l1_loss", "msle_loss", "smooth_l1_loss")],
    ("reduction_cross_entropy", lambda: ops.cross_entropy(zeros(2, 2), np.array([0, 1]), reduction="average"), ValueError, "reduction"),  # type: ignore[arg-type]
    *[(f"beta_{v}", lambda v=v: ops.smooth_l1_loss(zeros(2), zeros(2), beta=v), ValueError, "beta") for v in (-1.0, NAN, INF)],
    *[(f"margin_{v}", lambda v=v: ops.hinge_loss(zeros(2, 2), np.array([0, 1]), v), ValueError, "margin") for v in (NAN, INF)],
    *[(f"probability_{v}", lambda v=v: ops.probability_loss(np.float32([[v, 0.5]]), np.array([0])), ValueError, "from 0 to 1") for v in (-0.1, 1.5, NAN)],
    ("logits_rank", lambda: ops.cross_entropy(zeros(4), np.array(1)), ValueError, "logits must have shape"),
    ("no_classes", lambda: ops.cross_entropy(zeros(2, 0), np.array([0, 0])), ValueError, "at least one class"),
    *[(f"softmax_dim_{d}", lambda d=d: ops.softmax(zeros(2, 3), d), IndexError, "dim must be from -2 to 1") for d in (2, -3, 2**40)],
    ("softmax_scalar", lambda: ops.softmax(zeros()), IndexError, "softmax: an array of no dimensions has no axis for dim, got -1"),
    ("ignored_distribution", lambda: ops.cross_entropy(zeros(2, 3), zeros(2, 3), None, 1), ValueError, "ignore_index is for class indices, and target is float32 distributions, got 1"),
    ("probability_above_1", lambda: ops.probability_loss(np.float32([[1.0000001, 0.5]]), np.array([0])), ValueError, "probabilities must be from 0 to 1, got 1.0000001"),
    ("stride_2e61", lambda: ops.conv2d(IMAGE, FILTER, stride=2**61), ValueError, "stride along height must be at most 2.40, got 2305843009213693952"),
    ("conv_ceil", lambda: ops.conv2d(IMAGE, FILTER, rounding="ceil"), ValueError, 'rounding must be "exact" or "floor", got "ceil"'),
    ("padding_word", lambda: ops.conv2d(IMAGE, FILTER, padding="full"), TypeError, "padding must be ints, \"same\" or \"valid\", got 'full'"),
    ("betas_of_three", lambda: ops.adam_step([zeros(2)], [zeros(2)], [zeros(2)], [zeros(2)], 1, betas=(0.9, 0.99, 0.999)), ValueError, "betas must be 2 numbers, got"),
    ("rates_of_three", lambda: ops.gradient_descent_step([zeros(2)], [zeros(2)], [0.1, 0.2]), ValueError, "lr must be a number or one for each of the 1 weights, got 2"),
    ("rate_in_a_list", lambda: ops.gradient_descent_step([zeros(2)], [zeros(2)], [-0.1]), ValueError, r"lr\[0\] must be at least 0"),
    *[(f"{n}_{v}", lambda n=n, v=v: ops.gradient_descent_step([zeros(2)], [zeros(2)], 0.1, **{n: v}), ValueError, n) for n in ("clip_norm", "clip_value") for v in (0, -1.0, NAN)],
    ("upsample_both", lambda: ops.upsample_nearest2d(IMAGE, 2, size=(16, 16)), ValueError, "give one of scale_factor and size"),
    ("linear_weight_axes", lambda: ops.linear_backward_weight(zeros(2, 3, 4), zeros(3, 2, 5)), ValueError, "same axes before the last"),
    # Activations.
    *[(f"slope_{v}", lambda v=v: ops.leaky_relu(zeros(2), v), ValueError, "leaky_relu: negative_slope must be finite and at least 0, got") for v in (-0.1, NAN, INF)],
    ("activation_parameter", lambda: ops.linear(zeros(2, 2), zeros(2, 2), activation=("elu", -1.0)), ValueError, r"linear: activation\[1\] must be finite and at least 0, got -1"),
    *[(f"pieces_{v}", lambda v=v: ops.maxout(zeros(2, 6), v), ValueError, "pieces") for v in (0, -1, 4, 2**40)],
    ("maxout_rank", lambda: ops.maxout(zeros(6), 2), ValueError, "at least the dimensions"),
    *[(f"maxout_index_{v}", lambda v=v: ops.maxout_backward(zeros(1, 1), np.int32([[v]]), 2), IndexError, r"indices.flat\[0\]") for v in (-1, 2)],
    # Dropout.
    *[(f"p_{v}", lambda v=v: ops.dropout(zeros(2), v, seed=0), ValueError, "p must be") for v in (-0.1, 1.00001, 1.5, NAN)],
    *[(f"seed_{v}", lambda v=v: ops.dropout(zeros(2), 0.5, seed=v), error, f"seed must be .*, got {v!r}") for v, error in [(-1, ValueError), (2**64, ValueError), ("1", TypeError), (0.5, TypeError)]],
    # Optimizers.
    *[(f"lr_{v}", lambda v=v: ops.gradient_descent_step([zeros(2)], [zeros(2)], v), ValueError, "lr") for v in (-1.0, NAN, INF)],
    *[(f"decay_{v}", lambda v=v: ops.gradient_descent_step([zeros(2)], [zeros(2)], 1.0, weight_decay=v), ValueError, "weight_decay") for v in (-1.0, NAN)],
    *[(f"momentum_{v}", lambda v=v: ops.momentum_step([zeros(2)], [zeros(2)], [zeros(2)], 1.0, v), ValueError, "momentum") for v in (-0.1, 1.0, NAN)],
    *[(f"rho_{v}", lambda v=v: ops.adadelta_step([zeros(2)], [zeros(2)], [zeros(2)], [zeros(2)], rho=v), ValueError, "rho") for v in (-0.1, 1.0)],
    *[(f"betas_{v}", lambda v=v: ops.adam_step([zeros(2)], [zeros(2)], [zeros(2)], [zeros(2)], 1, betas=v), ValueError, "betas") for v in ((1.0, 0.9), (0.9, 1.0), (-1.0, 0.9))],
    *[(f"step_{v}", lambda v=v: ops.adam_step([zeros(2)], [zeros(2)], [zeros(2)], [zeros(2)], v), ValueError, "step") for v in (0, -1)],
    ("fewer_gradients", lambda: ops.gradient_descent_step([zeros(2), zeros(2)], [zeros(2)], 1.0), ValueError, "gradients must hold"),
    ("fewer_states", lambda: ops.momentum_step([zeros(2)], [zeros(2)], [], 1.0), ValueError, "velocities must hold"),
    ("gradient_shape", lambda: ops.gradient_descent_step([zeros(2)], [zeros(3)], 1.0), ValueError, r"gradients\[0\] must have shape"),
    ("state_shape", lambda: ops.momentum_step([zeros(2)], [zeros(2)], [zeros(3)], 1.0), ValueError, r"velocities\[0\] must have shape"),
    ("weight_dtype", lambda: ops.gradient_descent_step([zeros(2, dtype=np.float64)], [zeros(2)], 1.0), TypeError, r"weights\[0\] must be float32"),
    ("weight_read_only", lambda: ops.gradient_descent_step([read_only(zeros(2))], [zeros(2)], 1.0), ValueError, "read-only"),
    ("state_read_only", lambda: ops.momentum_step([zeros(2)], [zeros(2)], [read_only(zeros(2))], 1.0), ValueError, "read-only"),
    ("weight_strided", lambda: ops.gradient_descent_step([zeros(4)[::2]], [zeros(2)], 1.0), ValueError, "C-contiguous"),
    ("weight_reversed", lambda: ops.gradient_descent_step([zeros(4)[::-1]], [zeros(4)], 1.0), ValueError, "C-contiguous"),
    ("weight_twice", lambda: ops.gradient_descent_step([IMAGE, IMAGE], [IMAGE.copy(), IMAGE.copy()], 1.0), ValueError, "share memory"),
    ("weight_is_gradient", lambda: ops.gradient_descent_step([IMAGE], [IMAGE], 1.0), ValueError, "share memory"),
    ("weight_is_state", lambda: ops.momentum_step([IMAGE], [IMAGE.copy()], [IMAGE], 1.0), ValueError, "share memory"),
    # Outputs.
    ("out_read_only", lambda: ops.relu(zeros(3), out=read_only(zeros(3))), ValueError, "out is read-only"),
    ("out_broadcast", lambda: ops.relu(zeros(3), out=huge(3)), ValueError, "out is read-only|C-contiguous"),
    ("out_strided", lambda: ops.relu(zeros(3), out=zeros(6)[::2]), ValueError, "out must be C-contiguous"),
    ("out_shape", lambda: ops.relu(zeros(3), out=zeros(4)), ValueError, r"out must have shape \(3,\), got \(4,\)"),
    ("out_dtype", lambda: ops.relu(zeros(3), out=zeros(3, dtype=np.float64)), TypeError, "out must be float32"),
    ("out_list", lambda: ops.relu(zeros(3), out=[0, 0, 0]), TypeError, "out must be an? "),  # type: ignore[arg-type]
    ("out_overlaps", lambda: (lambda a: ops.relu(a[1:], out=a[:-1]))(zeros(9)), ValueError, "overlaps x"),
    ("out_is_input_of_conv", lambda: (lambda a: ops.conv2d(a, zeros(1, 1, 1, 1), out=a))(zeros(1, 1, 4, 4)), ValueError, "overlaps x"),
    ("out_is_weight", lambda: (lambda a: ops.linear(zeros(2, 2), a, out=a))(zeros(2, 2)), ValueError, "overlaps weight"),
    # The runtime.
    *[(f"threads_{n}", lambda n=n: dipkernels.set_num_threads(n), ValueError, "count") for n in (0, -1, 257, 10**6)],
    ("threads_text", lambda: dipkernels.set_num_threads("2"), TypeError, "count"),  # type: ignore[arg-type]
    *[(f"isa_{n}", lambda n=n: dipkernels.set_isa(n), ValueError, "instruction sets of this machine") for n in ("", "sse9", "AVX2")],
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), [pytest.param(*b[1:], id=b[0]) for b in BAD])
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_there_are_at_least_200_cases() -> None:
    assert len(BAD) >= 200


def test_nothing_is_written_before_all_is_checked() -> None:
    weights = [np.ones(3, "f4"), np.ones(3, "f4")]
    with pytest.raises(ValueError, match="gradients"):
        ops.gradient_descent_step(weights, [np.ones(3, "f4"), np.ones(4, "f4")], 1.0)
    assert all((w == 1).all() for w in weights)


def test_empty_batches_are_right_answers() -> None:
    assert ops.conv2d(zeros(0, 2, 8, 8), FILTER).shape == (0, 3, 6, 6)
    assert not ops.conv2d_backward_weight(zeros(0, 3, 6, 6), zeros(0, 2, 8, 8), FILTER.shape).any()
    assert ops.linear(zeros(0, 4), zeros(3, 4)).shape == (0, 3)
    assert not ops.linear_backward_weight(zeros(0, 3), zeros(0, 4)).any()
    value, gradient = ops.cross_entropy_with_grad(zeros(0, 4), np.zeros(0, np.int64))
    assert np.isnan(value)
    assert gradient.shape == (0, 4)
    assert ops.cross_entropy(zeros(0, 4), np.zeros(0, np.int64), reduction="sum") == 0
    assert np.isnan(ops.mse_loss(zeros(0), zeros(0)))
    ops.gradient_descent_step([], [], 1.0)
    ops.gradient_descent_step([zeros(0)], [zeros(0)], 1.0)


@pytest.mark.skipif(DEVICE != "cpu", reason="what only NumPy arrays can be")
def test_unaligned_and_subclassed_arrays_are_read_right_and_masked_ones_refused() -> None:
    raw = np.zeros(4 * 6 + 1, np.uint8)[1:].view(np.float32)
    raw[...] = np.arange(6) - 3
    assert not raw.flags.aligned
    np.testing.assert_array_equal(ops.relu(raw), np.maximum(np.arange(6) - 3, 0))
    np.testing.assert_array_equal(ops.relu(np.float32([-1, 2]).view(np.recarray)), [0, 2])
    with pytest.raises(TypeError, match=r"masked array.*filled"):
        ops.relu(np.ma.masked_array(zeros(3), [True, False, False]))


def test_broadcast_input_is_read_right() -> None:
    x = np.broadcast_to(np.float32(2), (1, 2, 8, 8))
    np.testing.assert_allclose(ops.conv2d(x, FILTER), reference.conv2d(x, FILTER), rtol=1e-5, atol=1e-5)


def test_nan_and_infinity_go_through() -> None:
    x = np.float32([NAN, INF, -INF])
    np.testing.assert_array_equal(ops.relu(x), [NAN, INF, 0])
    np.testing.assert_array_equal(ops.sigmoid(x), [NAN, 1, 0])
    np.testing.assert_array_equal(ops.tanh(x), [NAN, 1, -1])
    assert np.isnan(ops.softmax(x)).all()
    assert np.isnan(ops.cross_entropy(np.float32([[NAN, 0]]), np.array([1])))
    assert ops.cross_entropy(np.float32([[0, -INF]]), np.array([0])) == 0
    assert ops.cross_entropy(np.float32([[0, -INF]]), np.array([1])) == INF
