"""`explain`, and that the cases of the convolution meet every way of computing one."""

from __future__ import annotations

import pytest

import dipkernels
from cases.conv import GEOMETRIES

WAYS = {
    "conv2d": {"rows", "tiles", "lanes", "images"},
    "conv2d_backward_data": {"rows", "tiles", "lanes", "images"},
    "conv2d_backward_weight": {"rows", "dots", "lanes", "images"},
}


@pytest.mark.parametrize("op", WAYS)
def test_the_cases_meet_every_way(op: str, isa: str) -> None:
    met = set()
    for x, weight, stride, padding, dilation, groups, rounding in GEOMETRIES.values():
        text = dipkernels.explain(op, x, weight, stride, padding, dilation, groups, rounding=rounding)
        way, colon, reason = text.partition(": ")
        assert colon
        assert len(reason) > 20
        met.add(way)
    assert met == WAYS[op]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"explain: op must be one of conv2d, .*, got 'relu'"):
        dipkernels.explain("relu", (1, 1, 8, 8), (1, 1, 3, 3))
    with pytest.raises(ValueError, match=r"conv2d: x_size must be \(N, C, H, W\), got \(8, 8\)"):
        dipkernels.explain("conv2d", (8, 8), (1, 1, 3, 3))
    with pytest.raises(ValueError, match=r"conv2d: weight_size must be \(K, C, H, W\), got \(3, 3\)"):
        dipkernels.explain("conv2d", (1, 1, 8, 8), (3, 3))
    with pytest.raises(ValueError, match="weight must have 2 channels"):
        dipkernels.explain("conv2d", (1, 2, 8, 8), (1, 1, 3, 3))
