"""The matrix product behind convolutions and linear layers on the GPU: every tile, every precision, every product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.case import normal
from dipkernels import cuda, precision, reference
from dipkernels import ops as kernels
from support.device_ops import DEVICE, backend, ops
from support.gemm import (
    TILES,
    WARPGROUP_TILES,
    WAYS,
    bound,
    check,
    check_halves,
    check_linear,
    check_linear_of_16_bits,
    halves,
    only,
)
from support.rounding import assert_rounded_once


@pytest.fixture(params=TILES + WARPGROUP_TILES)
def tile(request: pytest.FixtureRequest) -> Iterator[None]:
    with only(request.param):
        yield


@pytest.fixture(
    params=[
        *(("bfloat16", tile) for tile in TILES + WARPGROUP_TILES),
        ("float16", TILES[0]),
        ("float16", WARPGROUP_TILES[0]),
    ],
    ids=", ".join,
)
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    """Numbers of 16 bits, with each of the tiles; the two kinds differ in one instruction."""
    dtype, tile = request.param
    with only(tile):
        yield dtype


@pytest.fixture(
    params=[(way, tile) for way in WAYS for tile in TILES + (() if way == "fma" else WARPGROUP_TILES)], ids=", ".join
)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of the ways with each of its tiles."""
    way, tile = request.param
    with only(tile, "fma" if way == "fma" else "tensor"):
        yield way


pytestmark = pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")

MAPPED_TILES = ("128x128 of mapped warpgroups", "128x256 of mapped warpgroups")
ALL_TILES = TILES + WARPGROUP_TILES + MAPPED_TILES

# (N, in, out)
LINEAR = [(130, 40, 260), (70, 33, 65), (5, 700, 3)]


@pytest.fixture
def tensor_cores() -> Iterator[None]:
    with only("auto", "tensor"):
        yield


def check_conv2d(x_shape: Any, weight_shape: Any, geometry: dict[str, Any], way: str) -> None:
    x, weight = normal(*x_shape), normal(*weight_shape, seed=1)
    dy = normal(*reference.conv2d(x, weight, **geometry).shape, seed=2)
    k, groups = weight_shape[0], geometry.get("groups", 1)
    wide = {key: a.astype(np.float64) for key, a in (("x", x), ("weight", weight), ("dy", dy))}
    for op, a, b, rest, terms in [
        ("conv2d", "x", "weight", (), weight.size // k),
        ("conv2d_backward_data", "dy", "weight", (x.shape,), 6 * k // groups),
        ("conv2d_backward_weight", "dy", "x", (weight.shape,), dy.size // k),
    ]:
        got = getattr(ops, op)(
            {"x": x, "dy": dy}[a], {"x": x, "weight": weight}[b], *rest, **geometry, precision=WAYS[way]
        )
        expected = getattr(reference, op)(wide[a], wide[b], *rest, **geometry)
        magnitude = getattr(reference, op)(abs(wide[a]), abs(wide[b]), *rest, **geometry)
        check(got, expected, bound(way, terms, magnitude), way, op)


@pytest.mark.parametrize(("n", "i", "o"), LINEAR)
def test_linear(n: int, i: int, o: int, way: str) -> None:
    check_linear(n, i, o, way)


@pytest.mark.parametrize(
    ("c", "k", "options"),
    [
        (9, 140, {}),
        (9, 9, {"stride": 2}),
        (9, 140, {"stride": 3, "dilation": 2}),
        (18, 20, {"stride": 2, "groups": 2}),
        (3, 9, {}),  # of which a row's neighbours are channels
        (9, 9, {"stride": (5, 6), "kernel": (6, 7)}),  # more phases than one launch takes
    ],
)
def test_conv2d(c: int, k: int, options: dict[str, Any], way: str) -> None:
    kernel = options.get("kernel", (3, 2))
    geometry = {"padding": ((2, 1), (0, 3)), "rounding": "floor", **options}
    geometry.pop("kernel", None)
    check_conv2d((2, c, 13, 11), (k, c // options.get("groups", 1), *kernel), geometry, way)


def check_conv2d_of_16_bits(x_shape: Any, weight_shape: Any, geometry: dict[str, Any], dtype: str) -> None:
    hosts = [normal(*x_shape), normal(*weight_shape, seed=1)]
    hosts.append(normal(*reference.conv2d(*hosts, **geometry).shape, seed=2))
    (x, weight, dy), (wx, wweight, wdy) = halves(dtype, *hosts)
    for op, arrays, wide, rest, terms in [
        ("conv2d", (x, weight), (wx, wweight), (), weight.size // weight_shape[0]),
        ("conv2d_backward_data", (dy, weight), (wdy, wweight), (x.shape,), weight.size // weight_shape[1]),
        ("conv2d_backward_weight", (dy, x), (wdy, wx), (weight.shape,), dy.size // weight_shape[0]),
    ]:

        def product(a: Any, b: Any, op: str = op, rest: Any = rest) -> Any:
            return getattr(reference, op)(a, b, *rest, **geometry)

        check_halves(getattr(kernels, op)(*arrays, *rest, **geometry), product, *wide, terms, dtype)


@pytest.mark.parametrize(("n", "i", "o"), [*LINEAR, (150, 64, 20), (130, 200, 129), (1, 9, 16)])
def test_linear_of_16_bits(n: int, i: int, o: int, dtype: str) -> None:
    check_linear_of_16_bits(n, i, o, dtype)


@pytest.mark.parametrize(
    ("n", "c", "size", "k", "kernel", "groups", "options"),
    [
        (2, 9, (13, 11), 140, (3, 2), 1, {"padding": ((2, 1), (0, 3))}),
        (2, 130, (13, 11), 9, (3, 2), 1, {"padding": ((2, 1), (0, 3)), "stride": 2}),
        (3, 8, (17, 16), 8, (3, 3), 1, {"padding": 1, "dilation": 2, "stride": 3}),
        (1, 3, (20, 21), 64, (7, 7), 1, {"padding": 3, "stride": 2}),
        (2, 64, (16, 16), 64, (1, 1), 1, {}),
        (5, 64, (1, 1), 72, (1, 1), 1, {"padding": 1, "stride": 2}),
        (2, 48, (9, 10), 60, (3, 3), 3, {"padding": 1}),
        (2, 2, (9, 10), 3, (3, 3), 1, {"stride": (4, 1)}),
        (2, 9, (23, 20), 9, (7, 6), 1, {"stride": (6, 5), "padding": 2}),  # more phases than one launch takes
        (3, 32, (14, 14), 20, (3, 3), 2, {"padding": 1}),  # the weights' gradient in groups, and its depth is split
    ],
)
def test_conv2d_of_16_bits(
    n: int, c: int, size: Any, k: int, kernel: Any, groups: int, options: dict[str, Any], dtype: str
) -> None:
    geometry = {"groups": groups, "rounding": "floor", **options}
    check_conv2d_of_16_bits((n, c, *size), (k, c // groups, *kernel), geometry, dtype)


def test_gradient_of_more_taps_than_shared_memory_holds_of_several_channels() -> None:
    (x, dy), (wide_x, wide_dy) = halves("bfloat16", normal(1, 8, 113, 112), normal(1, 3, 2, 1, seed=1))
    got = kernels.conv2d_backward_weight(dy, x, (3, 8, 112, 112))

    def gradient(x: Any, dy: Any) -> Any:
        return np.einsum("rchw,kr->kchw", np.stack([x[0, :, :112], x[0, :, 1:]]), dy[0, :, :, 0])

    assert_rounded_once(
        got, gradient(wide_x, wide_dy), bound("fma", 4, gradient(abs(wide_x), abs(wide_dy))), "bfloat16"
    )


# Channels of whole lines, and on a GPU arrays that its driver maps.
MANY = 2 if DEVICE == "emulated" else 40
MAPPED = [
    ((MANY, 64, 9, 10), (128, 64, 3, 3), {"padding": 1}),
    ((MANY, 64, 9, 10), (128, 64, 3, 3), {"stride": 2, "padding": ((0, 1), (2, 0))}),
    ((MANY, 64, 11, 10), (192, 64, 3, 2), {"stride": (3, 1), "dilation": (1, 3)}),
    ((MANY, 64, 16, 13), (64, 64, 6, 3), {"stride": (5, 2), "padding": 1}),
    ((MANY, 64, 13, 12), (64, 64, 3, 3), {"stride": 3, "dilation": 2}),  # phases whose first windows differ
    ((MANY, 64, 603, 4), (64, 64, 4, 1), {"stride": (2, 1), "dilation": (200, 1)}),  # offsets beyond what is mapped
    ((MANY, 128, 9, 10), (128, 64, 3, 3), {"padding": 2, "dilation": 2, "groups": 2}),
    ((MANY, 64, 5, 7), (1056, 64, 1, 1), {}),
    ((MANY, 72, 7, 6), (136, 72, 3, 3), {}),  # no whole lines: the copy unit does not bring them
    ((MANY, 64, 203, 4), (64, 64, 3, 1), {"dilation": (100, 1)}),  # one more row of taps, and an offset is beyond 255
]


@pytest.fixture(
    params=[(n, t) for n in ("float16", "bfloat16", *WAYS) for t in MAPPED_TILES if n != "fma"], ids=", ".join
)
def mapped(request: pytest.FixtureRequest) -> Iterator[str]:
    """What is multiplied, with each of the tiles whose operands the copy unit brings."""
    numbers, tile = request.param
    if tile == MAPPED_TILES[1] and numbers in ("tensor", "high"):
        pytest.skip("there are no registers for the sums of several planes")
    with only(tile, "tensor"):
        yield numbers


@pytest.mark.parametrize(("x_shape", "weight_shape", "options"), MAPPED)
def test_conv2d_by_the_copy_unit(x_shape: Any, weight_shape: Any, options: dict[str, Any], mapped: str) -> None:
    checked = check_conv2d if mapped in WAYS else check_conv2d_of_16_bits
    checked(x_shape, weight_shape, {"rounding": "floor", **options}, mapped)


@pytest.mark.parametrize("tile", MAPPED_TILES)
def test_the_next_group_does_not_count(tile: str) -> None:
    """Nor where a slice of the depth reaches into it: there infinity would meet zeros."""
    hosts = [normal(MANY, 128, 9, 10), normal(MANY, 256, 7, 8, seed=1)]
    hosts[0][:, 64:] = np.inf
    (x, dy), _ = halves("bfloat16", *hosts)
    with only(tile):
        got = kernels.conv2d_backward_weight(dy, x, (256, 64, 3, 3), groups=2).astype("float32").to_host()
    assert np.isfinite(got[:128]).all()
    assert not np.isfinite(got[128:]).any()


def test_linear_by_the_copy_unit(mapped: str) -> None:
    sizes = (66, 64, 136) if DEVICE == "emulated" else (1320, 256, 328)
    (check_linear if mapped in WAYS else check_linear_of_16_bits)(*sizes, mapped)


def test_bias_and_activation_of_groups_of_16_bits(tile: None) -> None:
    geometry: dict[str, Any] = {"groups": 2, "padding": 1}
    hosts = normal(2, 16, 7, 6), normal(40, 8, 3, 3, seed=1), normal(40, seed=2)
    (x, weight, bias), (wx, wweight, wbias) = halves("float16", *hosts)
    exact = reference.conv2d(wx, wweight, wbias, **geometry)
    limit = bound("fma", 2 * 73, reference.conv2d(abs(wx), abs(wweight), abs(wbias), **geometry))
    assert_rounded_once(
        kernels.conv2d(x, weight, bias, activation="relu", **geometry), np.maximum(exact, 0), limit, "float16"
    )


@pytest.mark.parametrize("offset", range(1, 9))
def test_any_alignment_of_16_bits(offset: int) -> None:
    shapes = (70, 64), (40, 64)
    (x, weight), _ = halves("bfloat16", *(normal(*shape) for shape in shapes))
    (flat_x, flat_weight), _ = halves(
        "bfloat16", *(np.concatenate([np.zeros(offset, np.float32), normal(*shape).ravel()]) for shape in shapes)
    )
    got = kernels.linear(flat_x[offset:].reshape(shapes[0]), flat_weight[offset:].reshape(shapes[1]))
    np.testing.assert_array_equal(got.to_host(), kernels.linear(x, weight).to_host())


@pytest.mark.parametrize(
    ("dtype", "offset"), [("bfloat16", 1), ("bfloat16", 2), ("bfloat16", 4), ("float32", 1), ("float32", 2)]
)
@pytest.mark.parametrize("kernel_size", [(3, 3), (2, 3, 3)], ids=["images", "clips"])
def test_any_alignment_of_convolutions(kernel_size: tuple[int, ...], dtype: str, offset: int) -> None:
    """What is loaded at once begins at a multiple of its bytes, or the GPU reports an error, and the sanitizer."""
    name = "conv2d" if len(kernel_size) == 2 else "conv3d"
    x_size, weight_size = (1, 16, *(3, 8, 8)[-len(kernel_size) :]), (24, 16, *kernel_size)
    padding = {"padding": (*(0,) * (len(kernel_size) - 2), 1, 1)}

    def place(shape: tuple[int, ...], seed: int, offset: int) -> Any:
        numbers = np.concatenate([np.zeros(offset, np.float32), normal(*shape, seed=seed).ravel()])
        return cuda.to_device(numbers).astype(dtype)[offset:].reshape(shape)

    def results(offset: int) -> list[Any]:
        x, weight = place(x_size, 0, offset), place(weight_size, 1, offset)
        y = getattr(kernels, name)(x, weight, **padding)
        dy = place(y.shape, 2, offset)
        dx = getattr(kernels, f"{name}_backward_data")(dy, weight, x_size, **padding)
        dweight = getattr(kernels, f"{name}_backward_weight")(dy, x, weight_size, **padding)
        return [result.to_host() for result in (y, dx, dweight)]

    with only("64x64", "tensor"):
        for got, expected in zip(results(offset), results(0), strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("like", [np.positive, np.abs], ids=["of any sign", "positive"])
@pytest.mark.parametrize("tile", ALL_TILES)
def test_products_of_split_numbers_are_as_exact_as_float32(like: Any, tile: str) -> None:
    # Sums of positive numbers grow, and what tensor cores cut off adds up.
    x, weight = like(normal(40, 1216)), like(normal(30, 1216, seed=1))
    exact, errors = x.astype(np.float64) @ weight.astype(np.float64).T, {}
    for products in ("fma", "tensor"):
        with only(tile, products):
            errors[products] = np.sqrt(np.mean((ops.linear(x, weight) - exact) ** 2))
    assert errors["tensor"] <= errors["fma"]


def test_infinities_and_the_largest_numbers_survive_the_split(way: str) -> None:
    large, inf, nan = np.float32(3.4e38), np.inf, np.nan
    values = np.float32([large, -large, inf, -inf, nan, 1, -3, 0, 1e-30])
    x = np.stack([values, np.float32([1] + 8 * [0])], 1)
    for weight in (1, -2.5, inf, -inf, 0, 1e-4, 0.1):
        with np.errstate(all="ignore"):
            expected = values * np.float32(weight)
        got = ops.linear(x, np.float32([[weight, 0]]), precision=WAYS[way])[:, 0]
        np.testing.assert_allclose(got, expected, rtol=bound(way, 1, 1.0))


def test_the_context_sets_the_precision(tensor_cores: None) -> None:
    x, weight = normal(8, 64), normal(8, 64, seed=1)
    with precision("medium"):
        medium = ops.linear(x, weight)
        np.testing.assert_array_equal(
            ops.linear(x, weight, precision="highest"), ops.linear(x, weight, precision="highest")
        )
    np.testing.assert_array_equal(medium, ops.linear(x, weight, precision="medium"))
    assert (medium != ops.linear(x, weight)).any()


@pytest.mark.parametrize(
    ("kind", "tiles"),
    [
        ("warps", TILES),
        ("warpgroups", TILES + WARPGROUP_TILES),
        ("mapped", TILES + WARPGROUP_TILES + MAPPED_TILES[:1]),
        ("mapped wide", ALL_TILES),
    ],
)
def test_a_chosen_tile_is_taken_where_there_is_one(kind: str, tiles: tuple[str, ...]) -> None:
    for name in ALL_TILES:
        with only(name):
            for rows, columns, depth in [(5, 7, 9), (512, 50_000, 4608)]:
                taken = backend().plan_gemm(rows, columns, depth, 1, 132, True, kind)[0]
                assert taken == name if name in tiles else taken in tiles
    with pytest.raises(
        ValueError, match=r'set_gemm_tile: name must be one of "auto", "16x32", "128x128", .*, got "256x256"'
    ):
        backend().set_gemm_tile("256x256")
    with pytest.raises(ValueError, match=r'kind must be "warps", .*, got "threads"'):
        backend().plan_gemm(1, 1, 1, 1, 1, True, "threads")


@given(
    st.integers(1, 3000),
    st.integers(1, 100_000),
    st.integers(0, 20_000),
    st.integers(1, 8),
    st.integers(1, 200),
    st.booleans(),
    st.sampled_from(["warps", "warpgroups", "mapped", "mapped wide"]),
)
def test_a_plan_covers_the_depth_once(
    rows: int, columns: int, depth: int, batches: int, sms: int, split: bool, kind: str
) -> None:
    arguments = rows, columns, depth, batches, sms, split, kind
    tile, splits, length = backend().plan_gemm(*arguments)
    assert tile in ALL_TILES
    assert length % 64 == 0
    assert splits == 1 or split
    assert (splits - 1) * length < max(depth, 1) <= splits * length
    assert backend().plan_gemm(*arguments) == (tile, splits, length)


def test_numbers_are_split_where_there_is_enough_to_multiply() -> None:
    layer = 64 * 28 * 28 * 128
    assert backend().packing_pays(layer, 128 * 9, 2 * layer, 6, 132)
    assert backend().packing_pays(layer, 250, 2 * layer, 3, 132)
    assert not backend().packing_pays(10**4, 100, 10**4, 3, 132)
    with pytest.raises(ValueError, match='name must be "auto", "fma" or "tensor", got "tf32"'):
        backend().set_float32_products("tf32")


def test_large_products_take_large_tiles() -> None:
    assert backend().plan_gemm(512, 50_000, 4608, 1, 132, False)[0] == "128x128"
    assert backend().plan_gemm(20, 500_000, 500, 1, 132, False)[0] == "32x128"
    assert backend().plan_gemm(64, 576, 50_000, 1, 132, True)[1] > 4
