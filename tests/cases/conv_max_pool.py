"""Cases of the convolution followed by max pooling.

The maxima have the errors of the convolution's results, and the gradients those of the convolution's gradients for a dy
with zeros where no maximum stood: see cases.conv. The pooled dy of one filter are added up for dbias.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, exact, labels, normal
from dipkernels import reference

# label: x, weight, stride, padding, dilation, groups, pool_size, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    # One kernel for both: few channels, many images.
    "lenet1": ((32, 1, 14, 14), (6, 1, 5, 5), 1, 0, 1, 1, 2, "exact"),
    "lenet2": ((31, 6, 8, 8), (11, 6, 5, 5), 1, 0, 1, 1, 2, "exact"),
    "padded": ((33, 3, 9, 12), (5, 3, 3, 4), 1, ((2, 0), (1, 3)), 1, 1, (3, 2), "floor"),
    "stride": ((16, 2, 13, 15), (7, 2, 5, 3), (1, 2), (1, 0), 1, 1, (1, 3), "floor"),
    "dilated": ((40, 6, 8, 9), (13, 6, 3, 2), 1, 2, (2, 3), 1, 2, "exact"),
    "groups": ((64, 6, 8, 6), (9, 2, 3, 3), 1, 1, 1, 3, 2, "exact"),
    "wide_padding": ((17, 2, 3, 3), (3, 2, 2, 2), 1, 3, 1, 1, 2, "exact"),
    # The operators one after the other.
    "few_images": ((1, 16, 8, 14), (20, 16, 3, 3), 1, 1, 1, 1, 2, "exact"),
    "depthwise": ((2, 7, 10, 9), (14, 1, 3, 3), 1, 1, 1, 7, 3, "floor"),
    "empty_batch": ((0, 3, 8, 8), (4, 3, 3, 3), 1, 1, 1, 1, 2, "exact"),
}


def _maxima_bound(expected: Any, x: Any, weight: Any, *rest: Any, **kwargs: Any) -> Any:
    bias = kwargs.get("bias")
    options = {k: v for k, v in kwargs.items() if k not in ("bias", "activation")}
    magnitude = reference.conv2d_max_pool2d(np.abs(x), np.abs(weight), *rest, **options)[0]
    extra = 0.0 if bias is None else np.abs(bias)[:, None, None]
    return (weight[0].size + 2) * UNIT * (magnitude + extra) + 8 * UNIT * np.abs(expected) + TINY


def _gradient_bound(result: int, terms: int) -> Any:
    def bound(expected: Any, dy: Any, indices: Any, x: Any, weight: Any, **kwargs: Any) -> Any:
        magnitudes = reference.conv2d_max_pool2d_backward(np.abs(dy), indices, np.abs(x), np.abs(weight), **kwargs)
        return (terms + 2) * UNIT * magnitudes[result] + TINY

    return bound


def _cases() -> list[Case]:
    cases = []
    for label, (x_shape, w_shape, stride, padding, dilation, groups, pool_size, rounding) in GEOMETRIES.items():
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        geometry |= {"pool_size": pool_size, "rounding": rounding}
        x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2)
        y, indices = reference.conv2d_max_pool2d(x, weight, **geometry)
        dy, depth = normal(*y.shape, seed=3), int(np.prod(w_shape[1:]))
        windows = y.size // w_shape[0]
        cases.append(Case("conv2d_max_pool2d", label, (x, weight), geometry, (_maxima_bound, exact)))
        if label == "padded":
            for name, activation in [("relu", "relu"), ("leaky_relu", ("leaky_relu", 0.1))]:
                options = {**geometry, "bias": bias, "activation": activation}
                cases.append(Case("conv2d_max_pool2d", f"{label}-{name}", (x, weight), options, (_maxima_bound, exact)))
        bounds = (
            _gradient_bound(0, depth // w_shape[1] * w_shape[0] // groups),
            _gradient_bound(1, windows),
            _gradient_bound(2, windows),
        )
        arguments = dy, indices.astype(np.int32), x, weight
        cases.append(Case("conv2d_max_pool2d_backward", label, arguments, geometry, bounds))
        if label == "lenet2":  # indices that no pooling gives, outside their windows and several times the same
            arguments = dy, labels(*y.shape, classes=16).astype(np.int32), x, weight
            cases.append(Case("conv2d_max_pool2d_backward", "any_indices", arguments, geometry, bounds))
    return cases


CASES = _cases()
