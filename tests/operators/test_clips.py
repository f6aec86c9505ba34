"""The operators of clips beyond their cases: shapes that hypothesis thinks of, finite differences, infinite numbers,
every way to convolve, PyTorch, numbers of 16 bits, and bad input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dipkernels
from cases import conv3d, pool3d
from cases.case import UNIT, Case, normal
from dipkernels import reference
from dipkernels.reference.geometry import Windows
from support.device_ops import DEVICE, ops
from support.differences import differences
from support.oracles import check_case, check_what_a_number_spoils
from support.properties import every_window_meets_the_input, integers

settings.register_profile("clips", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("clips")

NAN, INF = np.float32("nan"), np.float32("inf")
CLIP, FILTER = normal(1, 2, 4, 6, 6), normal(3, 2, 2, 3, 3)
GRADIENTS = ("conv3d_backward_data", "conv3d_backward_weight")


@st.composite
def windows(draw: Any, *, dilation: bool = True) -> dict[str, Any]:
    """A window geometry and an input size that it fits."""

    def three(most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(1, most)) for _ in range(3))

    geometry = {"kernel_size": three(3), "stride": three(4), "dilation": three(3) if dilation else (1, 1, 1)}
    spans = [d * (f - 1) + 1 for d, f in zip(geometry["dilation"], geometry["kernel_size"], strict=True)]
    padding = tuple((draw(st.integers(0, s - 1)), draw(st.integers(0, s - 1))) for s in spans)
    size = tuple(draw(st.integers(max(1, span - sum(pad)), span + 8)) for span, pad in zip(spans, padding, strict=True))
    return {**geometry, "padding": padding, "size": size, "rounding": "floor"}


few_or_many = st.one_of(st.integers(1, 4), st.integers(15, 20))


@given(windows(), st.integers(0, 3), st.integers(1, 2), few_or_many, few_or_many, st.integers(0, 2**32 - 1))
def test_conv3d_equals_oracle(window: dict[str, Any], n: int, groups: int, c: int, k: int, seed: int) -> None:
    kernel_size, size = window.pop("kernel_size"), window.pop("size")
    x, weight = integers(seed, n, c * groups, *size), integers(seed + 1, k * groups, c, *kernel_size)
    geometry = {**window, "groups": groups}
    y = ops.conv3d(x, weight, **geometry)
    np.testing.assert_array_equal(y, reference.conv3d(x, weight, **geometry))
    dy = integers(seed + 2, *y.shape)
    gradients = ops.conv3d_backward(dy, x, weight, **geometry)
    for got, expected in zip(gradients, reference.conv3d_backward(dy, x, weight, **geometry), strict=True):
        np.testing.assert_array_equal(got, expected)


@given(windows(), st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_max_pool3d_equals_oracle_and_unpools(window: dict[str, Any], n: int, seed: int) -> None:
    meets = every_window_meets_the_input(window)
    size = window.pop("size")
    x = integers(seed, n, 2, *size)  # with many ties
    if not meets:
        with pytest.raises(ValueError, match="no element of the input"):
            ops.max_pool3d(x, **window)
        return
    x.ravel()[::17] = np.nan
    y, indices = ops.max_pool3d_with_indices(x, **window)
    expected, places = reference.max_pool3d_with_indices(x, **window)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    dy = integers(seed + 1, *y.shape)
    dx = ops.max_pool3d_backward(dy, indices, x.shape)
    np.testing.assert_array_equal(dx, reference.max_pool3d_backward(dy, indices, x.shape))
    assert dx.sum() == dy.sum()  # nothing is lost on the way back
    np.testing.assert_array_equal(ops.max_unpool3d(dy, indices, output_size=size), dx)
    np.testing.assert_array_equal(ops.max_unpool3d_backward(dx, indices), reference.max_unpool3d_backward(dx, indices))


@given(windows(dilation=False), st.booleans(), st.sampled_from(["floor", "ceil"]), st.integers(0, 2**32 - 1))
def test_avg_pool3d_equals_oracle(window: dict[str, Any], include: bool, rounding: str, seed: int) -> None:
    size, _ = window.pop("size"), window.pop("dilation")
    window |= {"rounding": rounding, "count_include_pad": include}
    x = integers(seed, 2, 2, *size)
    y = ops.avg_pool3d(x, **window)
    np.testing.assert_allclose(y, reference.avg_pool3d(x, **window), rtol=2 * UNIT)  # one division
    dy = integers(seed + 1, *y.shape)
    got, expected = (m.avg_pool3d_backward(dy, x.shape, **window) for m in (ops, reference))
    # As many divisions as windows share an element, and their sum.
    bound = 64 * UNIT * reference.avg_pool3d_backward(np.abs(dy), x.shape, **window)
    assert (np.abs(got - expected) <= bound).all()


@pytest.mark.parametrize(
    "geometry",
    [
        {"padding": 1},
        {"stride": (2, 1, 2), "padding": ((1, 0), (0, 2), (1, 1)), "rounding": "floor"},
        {"dilation": (2, 1, 1), "padding": (2, 0, 1), "groups": 2},
    ],
)
def test_gradients_of_conv3d(geometry: dict[str, Any]) -> None:
    x, bias = normal(1, 2, 4, 4, 3).astype("f8"), normal(2).astype("f8")
    weight = normal(2, 2 // geometry.get("groups", 1), 3, 2, 2).astype("f8")
    dy = normal(*reference.conv3d(x, weight, bias, **geometry).shape, seed=1).astype("f8")
    got = ops.conv3d_backward(dy.astype("f4"), x.astype("f4"), weight.astype("f4"), **geometry)
    expected = (
        differences(lambda v: (dy * reference.conv3d(v, weight, bias, **geometry)).sum(), x),
        differences(lambda v: (dy * reference.conv3d(x, v, bias, **geometry)).sum(), weight),
        differences(lambda v: (dy * reference.conv3d(x, weight, v, **geometry)).sum(), bias),
    )
    oracle = reference.conv3d_backward(dy, x, weight, **geometry)
    for kernel, one, other in zip(got, oracle, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
        np.testing.assert_allclose(kernel, other, atol=1e-4)


@pytest.mark.parametrize("name", ["max_pool3d", "avg_pool3d"])
def test_gradients_of_pooling(name: str) -> None:
    geometry: dict[str, Any] = {"kernel_size": (2, 3, 2), "stride": (1, 2, 2), "padding": (1, 0, 0)}
    order = np.random.default_rng(1).permutation(4 * 5 * 4)  # far apart, so that maxima have a derivative
    x = (order / 20).reshape(1, 1, 4, 5, 4)
    dy = normal(*getattr(reference, name)(x, **geometry).shape).astype("f8")
    expected = differences(lambda v: (dy * getattr(reference, name)(v, **geometry)).sum(), x)
    if name == "max_pool3d":
        _, indices = ops.max_pool3d_with_indices(x.astype("f4"), **geometry)
        got = ops.max_pool3d_backward(dy.astype("f4"), indices, x.shape)
    else:
        got = ops.avg_pool3d_backward(dy.astype("f4"), x.shape, **geometry)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("number", [INF, NAN], ids=["inf", "nan"])
@pytest.mark.parametrize(
    ("name", "way"),
    [("highest", "auto"), ("high", "auto"), ("medium", "auto"), *([("highest", "lanes")] if DEVICE == "cpu" else [])],
)
@pytest.mark.parametrize("label", [g for g in conv3d.GEOMETRIES if g != "empty_batch"])
def test_an_infinite_number_spoils_only_what_it_meets(
    label: str, name: Any, way: str, number: Any, isa: str, ask: Callable[[str], None]
) -> None:
    ask(way)
    check_what_a_number_spoils("conv3d", label, conv3d.GEOMETRIES[label], name, number)


@pytest.mark.skipif(DEVICE != "cpu", reason="the GPU has other ways")
@pytest.mark.parametrize("way", ["rows", "tiles", "lanes", "images", "dots"])
@pytest.mark.parametrize("case", [c for c in conv3d.CASES if "bias" not in c.op], ids=str)
def test_every_way_matches_the_oracle(case: Case, way: str, isa: str, ask: Callable[[str], None]) -> None:
    ask(way)
    check_case(case)


@pytest.mark.parametrize("op", ["conv3d", *GRADIENTS])
def test_explain(op: str) -> None:
    text = dipkernels.explain(op, (1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1)
    assert text.startswith(f"lanes: the frames are read where they lie; else frames: {op.replace('3', '2')} of 1")
    assert "channels; " in text
    c, k = (4, 64) if op == "conv3d_backward_data" else (64, 4)  # a result of few channels, or of few filters
    few = dipkernels.explain(op, (2, c, 16, 56, 56), (k, c, 3, 3, 3), padding=1)
    assert few.startswith(f"frames: {op.replace('3', '2')} of ")


@pytest.mark.parametrize("label", [g for g in conv3d.GEOMETRIES if g != "empty_batch"])
def test_conv3d_is_pytorchs(label: str) -> None:
    torch = pytest.importorskip("torch")
    from support.tensors import close, tensor

    F = torch.nn.functional
    x_shape, w_shape, stride, padding, dilation, groups, rounding = conv3d.GEOMETRIES[label]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2)
    sides = Windows(x_shape, w_shape[2:], stride, padding, dilation, rounding, axes=3).padding
    tx, tw, tb = (tensor(a, grad=True) for a in (x, weight, bias))
    padded = F.pad(tx, [pad for side in reversed(sides) for pad in side])
    ty = F.conv3d(padded, tw, tb, stride, 0, dilation, groups)
    close(ops.conv3d(x, weight, bias, **options), ty, 10)
    dy = normal(*ty.shape, seed=3)
    ty.backward(tensor(dy))
    for got, expected in zip(ops.conv3d_backward(dy, x, weight, **options), (tx.grad, tw.grad, tb.grad), strict=True):
        close(got, expected, 50)


@pytest.mark.parametrize(
    "label", [k for k, v in pool3d.GEOMETRIES.items() if v[0][0] and k not in ("same", "asymmetric")]
)
def test_pooling_is_pytorchs(label: str) -> None:
    torch = pytest.importorskip("torch")
    from support.tensors import close, tensor

    F = torch.nn.functional
    shape, kernel_size, stride, padding, dilation, rounding = pool3d.GEOMETRIES[label]
    if rounding == "ceil":
        pytest.skip("PyTorch has other windows at the end there")
    padding = tuple(p if isinstance(p, int) else p[0] for p in np.broadcast_to(padding, 3).tolist())
    x = np.random.default_rng(0).integers(0, 4, shape).astype("f4")  # ties
    y, indices = ops.max_pool3d_with_indices(x, kernel_size, stride, padding, dilation, rounding=rounding)
    tx = tensor(x, grad=True)
    ty, ti = F.max_pool3d(tx, kernel_size, stride, padding, dilation, return_indices=True)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    np.testing.assert_array_equal(indices, ti.numpy())
    dy = normal(*y.shape)
    ty.backward(tensor(dy))
    close(ops.max_pool3d_backward(dy, indices, x.shape), tx.grad)
    if dilation == 1:
        for include in (True, False):
            expected = F.avg_pool3d(tensor(x), kernel_size, stride, padding, False, include)
            close(ops.avg_pool3d(x, kernel_size, stride, padding, include, rounding=rounding), expected)


@pytest.mark.skipif(DEVICE == "cpu", reason="numbers of 16 bits are for the GPU")
@pytest.mark.parametrize("label", ["c3d", "channels", "strides", "wide_padding", "depthwise", "dilated_stride"])
def test_numbers_of_16_bits(label: str, isa: str) -> None:
    """As exact as products of such numbers summed in float32 and rounded once."""
    x_size, weight_size, stride, padding, dilation, groups, rounding = conv3d.GEOMETRIES[label]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    x, weight = normal(*x_size).astype(np.float16), normal(*weight_size, seed=1).astype(np.float16)
    wide = x.astype("f4"), weight.astype("f4")
    dy = normal(*reference.conv3d(*wide, **options).shape, seed=2).astype(np.float16)
    wide_dy = dy.astype("f4")
    for op, arrays, wides, size in [
        ("conv3d", (x, weight), wide, ()),
        ("conv3d_backward_data", (dy, weight), (wide_dy, wide[1]), (x_size,)),
        ("conv3d_backward_weight", (dy, x), (wide_dy, wide[0]), (weight_size,)),
    ]:
        got = getattr(ops, op)(*arrays, *size, **options)
        assert got.dtype == np.float16
        expected = getattr(reference, op)(*wides, *size, **options)
        magnitude = getattr(reference, op)(*(np.abs(a) for a in wides), *size, **options)
        assert (np.abs(got - expected) <= 2.0**-11 * np.abs(expected) + 1024 * UNIT * magnitude + 2.0**-24).all()


BAD: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("image", lambda: ops.conv3d(normal(1, 2, 3), FILTER), ValueError, r"conv3d: x must have 5 dimensions"),
    ("weight_axes", lambda: ops.conv3d(CLIP, normal(3, 2, 3, 3)), ValueError, "weight must have 5 dimensions"),
    ("channels", lambda: ops.conv3d(CLIP, normal(3, 3, 2, 3, 3)), ValueError, "weight must have 2 channels"),
    (
        "stride",
        lambda: ops.conv3d(CLIP, FILTER, stride=(1, 2)),
        ValueError,
        r"stride must be an int or \(depth, height",
    ),
    ("depth", lambda: ops.conv3d(CLIP, normal(3, 2, 5, 3, 3)), ValueError, "does not fit into depth 4"),
    ("no_fit", lambda: ops.conv3d(CLIP, FILTER, stride=(4, 1, 1)), ValueError, "depth 4.*stride 1, 2 would fit"),
    ("padding", lambda: ops.conv3d(CLIP, FILTER, padding=((1, 1), (0, 0))), ValueError, "padding"),
    ("ceil", lambda: ops.conv3d(CLIP, FILTER, rounding="ceil"), ValueError, 'got "ceil"'),
    ("float64", lambda: ops.conv3d(CLIP.astype("f8"), FILTER), TypeError, "x must be float32"),
    ("bias", lambda: ops.conv3d(CLIP, FILTER, normal(4)), ValueError, r"bias must have shape \(3,\)"),
    (
        "size",
        lambda: ops.conv3d_backward_data(normal(1, 3, 3, 4, 4), FILTER, (1, 2, 6, 6)),
        ValueError,
        "N, C, D, H, W",
    ),
    (
        "dy",
        lambda: ops.conv3d_backward_weight(normal(1, 3, 3, 4, 5), CLIP, FILTER.shape),
        ValueError,
        "dy must have shape",
    ),
    ("overlap", lambda: ops.conv3d(CLIP, FILTER[:2, :, :1, :1, :1].copy(), out=CLIP), ValueError, "overlaps x"),
    ("pool_window", lambda: ops.max_pool3d(CLIP, (5, 1, 1)), ValueError, "max_pool3d: .* does not fit into depth 4"),
    ("pool_pads", lambda: ops.max_pool3d(CLIP, 2, padding=(2, 0, 0)), ValueError, "smaller than the window"),
    ("avg_pads", lambda: ops.avg_pool3d(CLIP, 2, padding=(2, 0, 0)), ValueError, "avg_pool3d: padding"),
    ("avg_size", lambda: ops.avg_pool3d_backward(normal(1, 2, 2, 3, 3), (1, 2, 6, 6), 2), ValueError, "N, C, D, H, W"),
    (
        "index",
        lambda: ops.max_unpool3d(normal(1, 1, 1, 1, 2), np.int32([[[[[0, 8]]]]]), output_size=(2, 2, 2)),
        IndexError,
        r"max_unpool3d: indices\(0, 0, 0, 0, 1\) is 8, outside the volume of 2 x 2 x 2: it must be from 0 to 7",
    ),
    (
        "backward_index",
        lambda: ops.max_pool3d_backward(normal(1, 1, 1, 1, 1), np.int32([[[[[-1]]]]]), (2, 2, 2)),
        IndexError,
        "max_pool3d_backward: indices",
    ),
    (
        "unpool_size",
        lambda: ops.max_unpool3d(normal(1, 1, 1, 1, 1), np.int32([[[[[0]]]]])),
        ValueError,
        "give output_size",
    ),
    (
        "huge_volume",
        lambda: ops.max_pool3d(np.broadcast_to(np.float32(1), (1, 1, 2**11, 2**10, 2**10)), 2),
        ValueError,
        "a volume of 2048 x 1024 x 1024 has more elements than its int32 indices",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_bad_input(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_clip_without_a_batch() -> None:
    y, indices = ops.max_pool3d_with_indices(CLIP[0], 2)
    assert y.shape == indices.shape == (2, 2, 3, 3)
    np.testing.assert_array_equal(ops.conv3d(CLIP[0], FILTER), ops.conv3d(CLIP, FILTER)[0])
