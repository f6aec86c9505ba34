"""`explain`, and that the cases of the convolution meet every way of computing one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


LINEAR = ["linear", "linear_backward_data", "linear_backward_weight"]


@pytest.fixture
def ask_linear() -> Iterator[Callable[[str], None]]:
    """Asks for a way to multiply linear layers. The instruction set is put back as well."""
    before = dipkernels.isa()
    yield _cpu.set_linear_way
    _cpu.set_linear_way("auto")
    dipkernels.set_isa(before)


@pytest.mark.skipif(DEVICE != "cpu", reason="the GPU has other ways")
@pytest.mark.parametrize("op", LINEAR)
@pytest.mark.parametrize("name", dipkernels.available_isas())
def test_linear_layers(op: str, name: str, ask_linear: Callable[[str], None]) -> None:
    dipkernels.set_isa(name)

    def said(n: int) -> str:
        with dipkernels.precision("medium"):
            return dipkernels.explain(op, (n, 1024), (1024, 1024))

    has_bf16 = name in ("avx512_bf16", "amx", "amx_emulated")
    assert said(512).partition(":")[0] == ("bf16" if has_bf16 else "float32")
    assert ("; in millions of multiply-adds bf16 cost" in said(512)) == has_bf16
    ask_linear("float32")
    assert said(512).startswith("float32: ")
    ask_linear("bf16")
    assert said(1).startswith("bf16: " if has_bf16 else "float32: ")
    if not has_bf16:
        assert dipkernels.explain("linear", (1024, 784), (300, 784)).startswith("float32: the outputs are the vector")
        assert dipkernels.explain("linear", (64, 784), (300, 784)) == "float32: the inputs are the vector"


@pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")
@pytest.mark.parametrize("op", LINEAR)
def test_a_gpu_explains_linear_layers(op: str) -> None:
    def said(n: int) -> str:
        return dipkernels.explain(op, (n, 4096), (4096, 4096), device="cuda")

    assert said(1024).startswith("packed: as a convolution of 1024 images of one pixel")
    assert said(2).startswith("small: ") == (op == "linear_backward_weight")
    assert said(2**20) == "direct: 32-bit offsets do not reach all elements"
    backend().set_float32_products("fma")
    assert said(1024).startswith("gathered: one product of float32")
    backend().set_float32_products("auto")


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="linear_backward_data has no stride, padding, dilation, groups or rounding"):
        dipkernels.explain("linear_backward_data", (1, 8), (3, 8), stride=2)
    with pytest.raises(ValueError, match=r"explain: x_size must be \(N, I\), got \(1, 2, 3\)"):
        dipkernels.explain("linear", (1, 2, 3), (3, 2))
    with pytest.raises(ValueError, match=r"linear: weight_size must be \(O, 2\), got \(3, 4\)"):
        dipkernels.explain("linear", (1, 2), (3, 4))
    with pytest.raises(ValueError, match=r"linear: weight_size must be \(O, 2\), got \(-3, 2\)"):
        dipkernels.explain("linear", (1, 2), (-3, 2))
    with pytest.raises(ValueError, match='set_linear_way: name must be "auto", "bf16" or "float32", got "fast"'):
        _cpu.set_linear_way("fast")
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
