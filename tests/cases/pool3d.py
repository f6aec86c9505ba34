"""Cases of pooling and unpooling of clips; maxima and indices are exact, averages bounded as in pool.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import TINY, UNIT, Case, exact, normal, roundings
from cases.max_pool import special
from dipkernels import reference

# label: x, kernel_size, stride, padding, dilation, rounding
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "c3d": ((2, 3, 8, 14, 14), 2, 2, 0, 1, "exact"),
    "first": ((2, 3, 5, 12, 13), (1, 2, 2), None, 0, 1, "floor"),
    "time": ((2, 2, 7, 5, 4), (3, 1, 1), (2, 1, 1), (1, 0, 0), 1, "exact"),
    "overlapping": ((1, 2, 9, 11, 40), 3, 2, (1, 0, 1), 1, "floor"),
    "asymmetric": ((2, 2, 6, 7, 9), (2, 3, 4), (1, 2, 3), ((1, 0), (0, 2), (1, 1)), 1, "floor"),
    "dilated": ((1, 2, 9, 10, 11), (2, 3, 2), (2, 1, 3), 1, (3, 2, 1), "floor"),
    "ceil": ((2, 2, 5, 7, 8), (2, 3, 2), (3, 2, 3), 0, 1, "ceil"),
    "whole": ((2, 3, 4, 3, 5), (4, 3, 5), 1, 0, 1, "exact"),
    "one_frame": ((2, 2, 1, 6, 6), (1, 2, 2), None, 0, 1, "exact"),
    "same": ((1, 2, 5, 6, 7), (2, 3, 2), (1, 2, 3), "same", 1, "exact"),
    "empty": ((0, 2, 4, 4, 4), 2, None, 0, 1, "exact"),
}


def _average_bound(op: str) -> Any:
    def bound(expected: Any, a: Any, *rest: Any, **kwargs: Any) -> Any:
        terms = int(np.prod(np.broadcast_to(kwargs["kernel_size"], 3)))
        return roundings(terms) * UNIT * getattr(reference, op)(np.abs(a), *rest, **kwargs) + TINY

    return bound


def _unpooling(label: str, shape: tuple[int, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The size of the large volume, or what it follows from."""
    if label == "c3d":
        return {name: options[name] for name in ("kernel_size", "stride", "padding")}
    return {"output_size": shape[2:]}


def _cases() -> list[Case]:
    cases = []
    for label, (shape, kernel_size, stride, padding, dilation, rounding) in GEOMETRIES.items():
        geometry: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        geometry["rounding"] = rounding
        options = {**geometry, "dilation": dilation}
        for kind, x in {"normal": normal(*shape), "special": special(shape)}.items():
            cases.append(Case("max_pool3d_with_indices", f"{label}-{kind}", (x,), options, (exact, exact)))
        cases.append(Case("max_pool3d", label, (normal(*shape),), options))
        y, wide = reference.max_pool3d_with_indices(normal(*shape), **options)
        dy, indices, large = normal(*y.shape, seed=1), wide.astype(np.int32), normal(*shape, seed=2)
        taps = int(np.prod(np.broadcast_to(kernel_size, 3)))

        # No more windows than taps share an element.
        def shared(expected: Any, dy: Any, indices: Any, size: Any = None, taps: int = taps, **kwargs: Any) -> Any:
            volume = size or kwargs.get("output_size") or expected.shape
            return taps * UNIT * reference.max_pool3d_backward(np.abs(dy), indices, volume)

        cases += [
            Case("max_pool3d_backward", label, (dy, indices, shape), {}, (shared,)),
            Case("max_unpool3d", label, (dy, indices), _unpooling(label, shape, options), (shared,)),
            Case("max_unpool3d_backward", label, (large, indices), {}),
        ]
        if dilation != 1:
            continue
        pooled = reference.avg_pool3d(normal(*shape), **geometry).shape
        for suffix, include in (("", True), ("-inside", False)):
            settings = {**geometry, "count_include_pad": include}
            cases += [
                Case("avg_pool3d", label + suffix, (normal(*shape),), settings, (_average_bound("avg_pool3d"),)),
                Case(
                    "avg_pool3d_backward",
                    label + suffix,
                    (normal(*pooled, seed=1), shape),
                    settings,
                    (_average_bound("avg_pool3d_backward"),),
                ),
            ]
    return cases


CASES = _cases()
