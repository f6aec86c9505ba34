"""Cases of the convolution.

Each result is a sum of n products, rounded n + 1 times at most (a fused multiply-add rounds once, adding the bias
once more), in whatever order: its error is below (n + 2)·u·Σ|a||b| to first order (Higham, "Accuracy and Stability of
Numerical Algorithms", ch. 3). The oracle on absolute values gives Σ|a||b|. The activations that follow have slopes of
at most 1 and add their own 4 ulp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, normal
from dipkernels import reference

# label: x, weight, stride, padding, dilation, groups, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "lenet1": ((3, 1, 32, 32), (6, 1, 5, 5), 1, 0, 1, 1, "exact"),
    "lenet2": ((3, 6, 14, 14), (16, 6, 5, 5), 1, 0, 1, 1, "exact"),
    "vgg": ((2, 16, 15, 13), (17, 16, 3, 3), 1, 1, 1, 1, "exact"),
    "alexnet": ((1, 3, 35, 35), (9, 3, 11, 11), 4, 0, 1, 1, "exact"),
    "first_layer_seven": ((2, 3, 20, 17), (18, 3, 7, 7), 2, ((3, 2), (2, 3)), 1, 1, "floor"),
    "first_layer_three": ((2, 3, 15, 18), (37, 3, 3, 3), 2, 1, 1, 1, "floor"),
    "pointwise": ((2, 33, 7, 9), (20, 33, 1, 1), 1, 0, 1, 1, "exact"),
    "pointwise_stride": ((2, 5, 9, 9), (4, 5, 1, 1), 2, 0, 1, 1, "exact"),
    # As large as its input, and not its input.
    "pointwise_padded": ((2, 5, 3, 3), (4, 5, 1, 1), 2, 1, 1, 1, "exact"),
    "stride2": ((2, 4, 17, 19), (7, 4, 3, 3), 2, 1, 1, 1, "exact"),
    "stride_over_kernel": ((2, 3, 13, 13), (4, 3, 2, 2), 3, 0, 1, 1, "floor"),
    "mixed_stride": ((2, 3, 11, 12), (4, 3, 3, 2), (2, 5), 0, 1, 1, "exact"),
    "asymmetric": ((2, 3, 8, 10), (5, 3, 3, 4), 1, ((0, 2), (3, 1)), 1, 1, "exact"),
    "dilated": ((2, 4, 16, 15), (6, 4, 3, 3), 1, 2, (2, 3), 1, "exact"),
    "dilated_stride": ((2, 4, 16, 16), (6, 4, 3, 3), 2, 2, 3, 1, "floor"),
    "groups": ((2, 6, 9, 9), (8, 3, 3, 3), 1, 1, 1, 2, "exact"),
    "depthwise": ((2, 7, 10, 9), (14, 1, 3, 3), 1, 1, 1, 7, "exact"),
    "depthwise_stride": ((2, 6, 11, 13), (6, 1, 3, 3), 2, 1, 1, 6, "exact"),
    "depthwise_five": ((2, 4, 14, 15), (4, 1, 5, 5), 2, 4, 2, 4, "floor"),
    "depthwise_same_five": ((2, 3, 6, 12), (6, 1, 5, 5), 1, 2, 1, 3, "exact"),
    "depthwise_wide": ((1, 3, 6, 140), (3, 1, 3, 3), 1, 1, 1, 3, "exact"),
    "depthwise_uneven": ((3, 4, 9, 10), (8, 1, 4, 3), (3, 2), ((1, 0), (2, 1)), (1, 3), 4, "floor"),
    "groups_of_many_channels": ((2, 40, 5, 6), (4, 20, 3, 3), 1, (0, 1), 1, 2, "exact"),
    "groups_in_parts": ((30, 300, 6, 7), (4, 150, 3, 3), 1, 1, 1, 2, "exact"),
    "few_five": ((2, 2, 9, 104), (40, 2, 5, 5), 1, ((2, 1), (0, 3)), 1, 1, "exact"),
    "few_filters_five": ((3, 50, 9, 8), (2, 50, 5, 5), 1, 2, 1, 1, "exact"),
    "wide_padding": ((1, 2, 3, 3), (3, 2, 3, 3), 2, 5, 1, 1, "exact"),
    "one_pixel": ((4, 3, 1, 1), (2, 3, 1, 1), 1, 0, 1, 1, "exact"),
    "row": ((1, 2, 1, 200), (3, 2, 1, 7), 1, (0, 3), 1, 1, "exact"),
    "many_filters": ((1, 5, 6, 6), (130, 5, 3, 3), 1, 1, 1, 1, "exact"),
    "large_image": ((1, 2, 70, 130), (3, 2, 3, 3), 1, 1, 1, 1, "exact"),
    # Enough channels on both sides for the ways that have them as the vector.
    "channels": ((3, 20, 9, 30), (33, 20, 3, 3), 1, 1, 1, 1, "exact"),
    "channels_stride": ((2, 17, 13, 29), (24, 17, 3, 5), 2, ((1, 1), (3, 0)), 1, 1, "floor"),
    "channels_stride3": ((5, 16, 14, 14), (16, 16, 3, 3), 3, 2, 1, 1, "floor"),
    "channels_dilated": ((2, 18, 12, 11), (40, 18, 3, 3), 1, 3, (3, 2), 1, "exact"),
    "channels_groups": ((4, 32, 7, 7), (48, 16, 3, 3), 1, 1, 1, 2, "exact"),
    "channels_wide_padding": ((1, 16, 3, 3), (16, 16, 3, 3), 2, 5, 1, 1, "exact"),
    "channels_row": ((1, 16, 1, 100), (35, 16, 1, 7), 1, (0, 3), 1, 1, "exact"),
    "channels_pixel": ((19, 16, 2, 2), (32, 16, 2, 2), 1, 0, 1, 1, "exact"),
    # Few channels and many images, which are the vector then, in one and in several blocks.
    "images": ((37, 3, 9, 11), (5, 3, 3, 4), 1, ((2, 0), (1, 3)), 1, 1, "exact"),
    "images_stride": ((16, 2, 13, 12), (7, 2, 5, 2), (2, 3), (1, 0), 1, 1, "floor"),
    "images_dilated": ((21, 6, 8, 9), (13, 6, 3, 2), 1, 2, (2, 3), 1, "exact"),
    "images_groups": ((64, 6, 7, 6), (9, 2, 3, 3), 1, 1, 1, 3, "exact"),
    "images_pixel": ((50, 12, 2, 2), (6, 12, 2, 2), 1, 0, 1, 1, "exact"),
    "same": ((2, 3, 9, 10), (4, 3, 3, 4), (2, 3), "same", 1, 1, "exact"),
    "same_dilated": ((2, 16, 9, 8), (17, 16, 4, 3), 1, "same", (2, 3), 1, "exact"),
    "same_stride_over_kernel": ((2, 3, 9, 10), (4, 3, 2, 1), 3, "same", 1, 1, "exact"),
    "valid": ((2, 3, 9, 10), (4, 3, 3, 4), 1, "valid", 1, 1, "exact"),
    "empty_batch": ((0, 3, 8, 8), (4, 3, 3, 3), 1, 1, 1, 1, "exact"),
}


def sum_bound(op: str, terms: int, extra: Any = 0.0) -> Any:
    def bound(expected: Any, a: Any, b: Any, *rest: Any, **kwargs: Any) -> Any:
        rest = tuple(None if isinstance(r, np.ndarray) else r for r in rest)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("bias", "activation")}
        magnitude = getattr(reference, op)(np.abs(a), np.abs(b), *rest, **kwargs) + extra
        return (terms + 2) * UNIT * magnitude + 8 * UNIT * np.abs(expected) + TINY

    return bound


def _cases() -> list[Case]:
    cases = []
    for label, (x_shape, w_shape, stride, padding, dilation, groups, rounding) in GEOMETRIES.items():
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        geometry["rounding"] = rounding
        x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2)
        y_shape = reference.conv2d(x, weight, **geometry).shape
        dy = normal(*y_shape, seed=3)
        depth = int(np.prod(w_shape[1:]))
        cases += [
            Case("conv2d", label, (x, weight), geometry, (sum_bound("conv2d", depth),)),
            Case(
                "conv2d_backward_data",
                label,
                (dy, weight, x_shape),
                geometry,
                (sum_bound("conv2d_backward_data", depth // w_shape[1] * w_shape[0] // groups),),
            ),
            Case(
                "conv2d_backward_weight",
                label,
                (dy, x, w_shape),
                geometry,
                (sum_bound("conv2d_backward_weight", int(np.prod(y_shape)) // w_shape[0]),),
            ),
            # Accumulated in float64: one rounding at the end.
            Case(
                "conv2d_backward_bias",
                label,
                (dy,),
                {},
                (lambda expected, dy: UNIT * (np.abs(expected) + 1e-8 * np.abs(dy).sum((0, 2, 3))),),
            ),
        ]
        if label in ("vgg", "stride2", "groups"):
            for activation in ("relu", "sigmoid", "tanh", ("leaky_relu", 0.1), ("elu", 0.5)):
                name = activation if isinstance(activation, str) else activation[0]
                cases.append(
                    Case(
                        "conv2d",
                        f"{label}-{name}",
                        (x, weight),
                        {**geometry, "bias": bias, "activation": activation},
                        (sum_bound("conv2d", depth, np.abs(bias)[:, None, None]),),
                    )
                )
    return cases


CASES = _cases()
