"""Cases of the convolution of clips; the error bounds are those of conv.py, with the taps of all frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import UNIT, Case, normal
from cases.conv import sum_bound
from dipkernels import reference

# label: x, weight, stride, padding, dilation, groups, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "c3d": ((2, 5, 6, 9, 8), (20, 5, 3, 3, 3), 1, 1, 1, 1, "exact"),
    "first_layer": ((1, 3, 7, 14, 13), (18, 3, 3, 3, 3), 1, 1, 1, 1, "exact"),
    "channels": ((2, 17, 4, 6, 7), (33, 17, 3, 3, 3), 1, (1, 1, 1), 1, 1, "exact"),
    "two_frames": ((2, 16, 2, 5, 5), (16, 16, 3, 3, 3), 1, 1, 1, 1, "exact"),
    "slow_fusion": ((3, 3, 10, 12, 12), (8, 3, 4, 3, 3), (2, 1, 1), (0, 1, 1), 1, 1, "exact"),
    "early_fusion": ((3, 2, 5, 9, 9), (6, 2, 5, 3, 3), 1, 0, 1, 1, "exact"),
    "time_alone": ((2, 3, 8, 4, 5), (4, 3, 3, 1, 1), (2, 1, 1), (1, 0, 0), (2, 1, 1), 1, "floor"),
    "frames_alone": ((2, 3, 4, 7, 8), (4, 3, 1, 3, 3), (1, 2, 2), (0, 1, 1), 1, 1, "floor"),
    "strides": ((2, 4, 9, 10, 11), (5, 4, 3, 2, 3), (2, 3, 2), ((1, 0), (0, 2), (2, 1)), 1, 1, "floor"),
    "stride_over_kernel": ((2, 2, 11, 8, 8), (3, 2, 2, 2, 2), 3, 0, 1, 1, "floor"),
    "dilated": ((2, 3, 9, 9, 10), (4, 3, 3, 3, 2), 1, (2, 1, 0), (2, 3, 1), 1, "exact"),
    "dilated_stride": ((1, 3, 13, 6, 6), (4, 3, 3, 3, 3), (4, 1, 2), (3, 1, 1), (6, 1, 1), 1, "floor"),
    "dilated_stride_uneven": ((2, 2, 12, 5, 5), (3, 2, 4, 2, 2), (2, 1, 1), (4, 0, 1), (3, 1, 2), 1, "floor"),
    "groups": ((2, 6, 5, 6, 6), (8, 3, 2, 3, 3), 1, ((1, 0), (1, 1), (1, 1)), 1, 2, "exact"),
    "depthwise": ((2, 5, 5, 7, 6), (10, 1, 3, 3, 3), 1, 1, 1, 5, "exact"),
    # Frames that no tap meets.
    "wide_padding": ((2, 2, 2, 4, 3), (3, 2, 2, 2, 2), (3, 1, 1), ((7, 5), (0, 1), (1, 1)), 1, 1, "floor"),
    "one": ((3, 2, 1, 1, 1), (4, 2, 1, 1, 1), 1, 0, 1, 1, "exact"),
    "one_frame_padded": ((2, 2, 1, 5, 5), (3, 2, 3, 3, 3), 1, 1, 1, 1, "exact"),
    "same": ((2, 3, 6, 7, 5), (4, 3, 4, 3, 2), (2, 1, 3), "same", 1, 1, "exact"),
    "valid": ((2, 3, 6, 7, 5), (4, 3, 2, 3, 2), 1, "valid", 1, 1, "exact"),
    "empty_batch": ((0, 3, 4, 5, 5), (4, 3, 3, 3, 3), 1, 1, 1, 1, "exact"),
}


def _cases() -> list[Case]:
    cases = []
    for label, (x_shape, w_shape, stride, padding, dilation, groups, rounding) in GEOMETRIES.items():
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        geometry["rounding"] = rounding
        x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2)
        y_shape = reference.conv3d(x, weight, **geometry).shape
        dy = normal(*y_shape, seed=3)
        depth = int(np.prod(w_shape[1:]))
        options = {**geometry, "bias": bias, "activation": ("leaky_relu", 0.1)}
        cases += [
            Case("conv3d", label, (x, weight), geometry, (sum_bound("conv3d", depth),)),
            Case(
                "conv3d",
                f"{label}-leaky_relu",
                (x, weight),
                options,
                (sum_bound("conv3d", depth, np.abs(bias)[:, None, None, None]),),
            ),
            Case(
                "conv3d_backward_data",
                label,
                (dy, weight, x_shape),
                geometry,
                (sum_bound("conv3d_backward_data", depth // w_shape[1] * w_shape[0] // groups),),
            ),
            Case(
                "conv3d_backward_weight",
                label,
                (dy, x, w_shape),
                geometry,
                (sum_bound("conv3d_backward_weight", int(np.prod(y_shape)) // w_shape[0]),),
            ),
            # Accumulated in float64: one rounding at the end.
            Case(
                "conv3d_backward_bias",
                label,
                (dy,),
                {},
                (lambda expected, dy: UNIT * (np.abs(expected) + 1e-8 * np.abs(dy).sum((0, 2, 3, 4))),),
            ),
        ]
    return cases


CASES = _cases()
