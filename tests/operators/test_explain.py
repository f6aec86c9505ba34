"""`explain`, and that the cases of the convolution meet every way of computing one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import dipkernels
from cases import conv
from cases.case import Case
from cases.conv import GEOMETRIES
from dipkernels import _cpu
from dipkernels.ops.precision import Precision
from support.device_ops import DEVICE, backend
from support.oracles import check_case

WAYS = {
    "conv2d": {"rows", "tiles", "lanes", "images"},
    "conv2d_backward_data": {"rows", "tiles", "lanes", "images"},
    "conv2d_backward_weight": {"rows", "dots", "lanes", "images"},
}


@pytest.mark.parametrize("op", WAYS)
def test_the_cases_meet_every_way(op: str, isa: str, ask: Callable[[str], None]) -> None:
    for wanted in WAYS[op]:
        ask(wanted)
        met = 0
        for x, weight, stride, padding, dilation, groups, rounding in GEOMETRIES.values():
            text = dipkernels.explain(op, x, weight, stride, padding, dilation, groups, rounding=rounding)
            way, colon, reason = text.partition(": ")
            assert colon
            assert len(reason) > 20
            met += way == wanted
        assert met


@pytest.mark.skipif(DEVICE != "cpu", reason="the GPU has other ways")
@pytest.mark.parametrize("way", ["rows", "tiles", "lanes", "images", "dots"])
@pytest.mark.parametrize("case", [c for c in conv.CASES if "bias" not in c.op], ids=str)
def test_every_way_matches_the_oracle(case: Case, way: str, isa: str, ask: Callable[[str], None]) -> None:
    """Also where it is not the one that would be taken, on this machine or on another."""
    ask(way)
    check_case(case)


def test_no_such_way() -> None:
    with pytest.raises(ValueError, match='set_conv_way: name must be "auto" or a way, got "fast"'):
        _cpu.set_conv_way("fast")


@pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")
def test_a_gpu_explains_itself() -> None:
    x = (64, 128, 28, 28)

    def said(op: str, precision: Precision, groups: int = 1) -> str:
        with dipkernels.precision(precision):
            return dipkernels.explain(op, x, (128, 128 // groups, 3, 3), padding=1, groups=groups, device="cuda")

    for op in WAYS:
        for precision in ("highest", "high", "medium"):
            assert said(op, precision, 128).startswith("few channels")
        assert said(op, "highest").startswith("packed: 6 products of split numbers")
        assert said(op, "high").startswith("packed: 3 products of split numbers")
    assert said("conv2d", "medium").startswith("packed: products of TF32")
    assert said("conv2d_backward_data", "medium").startswith("packed: products of TF32")
    assert said("conv2d_backward_weight", "medium").startswith("packed: 3 products of split numbers")
    backend().set_float32_products("fma")
    assert said("conv2d", "high").startswith("gathered: one product of float32")
    backend().set_float32_products("auto")


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"explain: op must be \"conv2d\", .*, got 'relu'"):
        dipkernels.explain("relu", (1, 1, 8, 8), (1, 1, 3, 3))
    with pytest.raises(ValueError, match=r"explain: x_size must be \(N, C, H, W\), got \(8, 8\)"):
        dipkernels.explain("conv2d", (8, 8), (1, 1, 3, 3))
    with pytest.raises(ValueError, match=r"explain: weight_size must be \(K, C, H, W\), got \(3, 3\)"):
        dipkernels.explain("conv2d", (1, 1, 8, 8), (3, 3))
    with pytest.raises(ValueError, match='explain: device must be "cpu" or "cuda", got \'gpu\''):
        dipkernels.explain("conv2d", (1, 1, 8, 8), (1, 1, 3, 3), device="gpu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight must have 2 channels"):
        dipkernels.explain("conv2d", (1, 2, 8, 8), (1, 1, 3, 3))
