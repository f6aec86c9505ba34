"""Properties that hold for any shape, on shapes that hypothesis thinks of.

Data are small integers, so float32 sums are exact and results must equal the oracle's bit for bit; where a function
rounds, the tolerance stands beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases.case import UNIT
from dipkernels import _cpu, reference
from support.device_ops import DEVICE, ops
from support.properties import every_window_meets_the_input, integers

settings.register_profile("tests", max_examples=150, deadline=None, derandomize=True)
settings.load_profile("tests")

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
CONV_WAYS = ["auto", "rows", "tiles", "lanes", "images", "dots", "bf16", "winograd"] if DEVICE == "cpu" else ["auto"]


@st.composite
def windows(draw: Any, *, dilation: bool = True) -> dict[str, Any]:
    """A window geometry and an input size that it fits."""
    pairs = {
        "kernel_size": (draw(st.integers(1, 4)), draw(st.integers(1, 5))),
        "stride": (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        "dilation": (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if dilation else (1, 1),
    }
    spans = [d * (f - 1) + 1 for d, f in zip(pairs["dilation"], pairs["kernel_size"], strict=True)]
    padding = tuple((draw(st.integers(0, s - 1)), draw(st.integers(0, s - 1))) for s in spans)
    size = tuple(
        draw(st.integers(max(1, span - sum(pad)), span + 30)) for span, pad in zip(spans, padding, strict=True)
    )
    return {**pairs, "padding": padding, "size": size, "rounding": "floor"}


few_or_many = st.one_of(st.integers(1, 6), st.integers(15, 34))
# Many are the vector of a convolution of few channels, on the CPU.
images = st.one_of(st.integers(0, 3), st.integers(15, 34)) if DEVICE == "cpu" else st.integers(0, 3)


@given(windows(), images, st.integers(1, 3), few_or_many, few_or_many, seeds)
def test_conv2d_equals_oracle(window: dict[str, Any], n: int, groups: int, c: int, k: int, seed: int) -> None:
    kernel_size, size = window.pop("kernel_size"), window.pop("size")
    x, weight = integers(seed, n, c * groups, *size), integers(seed + 1, k * groups, c, *kernel_size)
    geometry = {**window, "groups": groups}
    y = ops.conv2d(x, weight, **geometry)
    np.testing.assert_array_equal(y, reference.conv2d(x, weight, **geometry))
    dy = integers(seed + 2, *y.shape)
    for got, expected in zip(
        ops.conv2d_backward(dy, x, weight, **geometry),
        reference.conv2d_backward(dy, x, weight, **geometry),
        strict=True,
    ):
        np.testing.assert_array_equal(got, expected)


pool_sizes = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(windows(), images, st.integers(1, 3), st.integers(1, 3), few_or_many, pool_sizes, seeds)
def test_conv2d_max_pool2d_equals_oracle(
    window: dict[str, Any], n: int, groups: int, c: int, k: int, pool_size: tuple[int, int], seed: int
) -> None:
    kernel_size, size = window.pop("kernel_size"), window.pop("size")
    x, weight, bias = (
        integers(seed, *s) for s in [(n, c * groups, *size), (k * groups, c, *kernel_size), (k * groups,)]
    )
    geometry = {**window, "groups": groups, "pool_size": pool_size}
    if (np.array(reference.conv2d(x[:0], weight, **window, groups=groups).shape[2:]) < pool_size).any():
        with pytest.raises(ValueError, match="does not fit"):
            ops.conv2d_max_pool2d(x, weight, bias, **geometry)
        return
    y, indices = ops.conv2d_max_pool2d(x, weight, bias, activation="relu", **geometry)
    expected, expected_indices = reference.conv2d_max_pool2d(x, weight, bias, activation="relu", **geometry)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)  # of many ties
    dy = integers(seed + 1, *y.shape)
    for got, other in zip(
        ops.conv2d_max_pool2d_backward(dy, indices, x, weight, **geometry),
        reference.conv2d_max_pool2d_backward(dy, indices, x, weight, **geometry),
        strict=True,
    ):
        np.testing.assert_array_equal(got, other)


@given(st.integers(0, 30), sizes, sizes, seeds)
def test_linear_equals_oracle(n: int, i: int, o: int, seed: int) -> None:
    x, weight, bias, dy = (integers(seed, *s) for s in [(n, i), (o, i), (o,), (n, o)])
    np.testing.assert_array_equal(ops.linear(x, weight, bias, "relu"), reference.linear(x, weight, bias, "relu"))
    for got, expected in zip(ops.linear_backward(dy, x, weight), reference.linear_backward(dy, x, weight), strict=True):
        np.testing.assert_array_equal(got, expected)


@given(windows(), st.integers(0, 3), st.integers(1, 3), seeds)
def test_max_pool2d_equals_oracle_and_unpools(window: dict[str, Any], n: int, c: int, seed: int) -> None:
    meets = every_window_meets_the_input(window)
    size = window.pop("size")
    x = integers(seed, n, c, *size)  # with many ties
    if not meets:
        with pytest.raises(ValueError, match="no element of the input"):
            ops.max_pool2d(x, **window)
        return
    x.ravel()[::17] = np.nan
    y, indices = ops.max_pool2d_with_indices(x, **window)
    with np.errstate(invalid="ignore"):
        expected, expected_indices = reference.max_pool2d_with_indices(x, **window)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    dy = integers(seed + 1, *y.shape)
    dx = ops.max_pool2d_backward(dy, indices, x.shape)
    np.testing.assert_array_equal(dx, reference.max_pool2d_backward(dy, indices, x.shape))
    assert dx.sum() == dy.sum()  # nothing is lost on the way back
    np.testing.assert_array_equal(ops.max_unpool2d(dy, indices, output_size=size), dx)


@given(windows(dilation=False), st.integers(0, 2), seeds)
def test_pools_equal_oracle(window: dict[str, Any], n: int, seed: int) -> None:
    size = window.pop("size")
    window.pop("dilation")
    x = integers(seed, n, 2, *size)
    np.testing.assert_array_equal(ops.sum_pool2d(x, **window), reference.sum_pool2d(x, **window))
    for include in (True, False):
        got, expected = (m.avg_pool2d(x, count_include_pad=include, **window) for m in (ops, reference))
        np.testing.assert_allclose(got, expected, rtol=2 * UNIT)  # one division
    y = ops.l2_pool2d(x, **window)
    np.testing.assert_allclose(y, reference.l2_pool2d(x, **window), rtol=2 * UNIT)  # one root
    dy = integers(seed + 1, *y.shape)
    np.testing.assert_array_equal(
        ops.sum_pool2d_backward(dy, x.shape, **window), reference.sum_pool2d_backward(dy, x.shape, **window)
    )


@given(st.integers(0, 2), sizes, sizes, st.integers(1, 4), st.integers(1, 4), seeds)
def test_upsampling_is_undone(n: int, h: int, w: int, rows: int, columns: int, seed: int) -> None:
    x = integers(seed, n, 2, h, w)
    large = ops.upsample_nearest2d(x, (rows, columns))
    np.testing.assert_array_equal(large, reference.upsample_nearest2d(x, (rows, columns)))
    np.testing.assert_array_equal(ops.upsample_nearest2d_backward(large, (rows, columns)), x * (rows * columns))
    nails = ops.bed_of_nails2d(x, (rows, columns), (rows - 1, 0))
    np.testing.assert_array_equal(nails, reference.bed_of_nails2d(x, (rows, columns), (rows - 1, 0)))
    np.testing.assert_array_equal(ops.bed_of_nails2d_backward(nails, (rows, columns), (rows - 1, 0)), x)
    np.testing.assert_array_equal(ops.max_pool2d(large, (rows, columns)), x)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), seeds, st.floats(-50, 50, width=32), st.data())
def test_softmax_sums_to_one_and_ignores_shifts(shape: list[int], seed: int, shift: float, data: Any) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = integers(seed, *shape)
    y = ops.softmax(x, dim)
    np.testing.assert_allclose(y.sum(dim), 1, rtol=20 * UNIT)
    # x + shift is rounded by |shift|·u at most, which the exponential makes a relative error.
    np.testing.assert_allclose(ops.softmax(x + np.float32(shift), dim), y, rtol=(2 * abs(shift) + 40) * UNIT)
    # The error of the logarithm is relative to its argument and to the result: both are below 20.
    np.testing.assert_allclose(ops.log_softmax(x, dim), reference.log_softmax(x, dim), atol=80 * UNIT)


@given(st.integers(1, 20), st.integers(2, 30), st.lists(st.integers(1, 20), max_size=2), seeds, st.floats(0, 1))
def test_cross_entropy_gradient_sums_to_zero(n: int, c: int, inner: list[int], seed: int, smoothing: float) -> None:
    logits = integers(seed, n, c, *inner)
    target = np.random.default_rng(seed).integers(0, c, (n, *inner))
    value, gradient = ops.cross_entropy_with_grad(logits, target, reduction="sum", label_smoothing=smoothing)
    expected = reference.cross_entropy(logits, target, reduction="sum", label_smoothing=smoothing)
    np.testing.assert_allclose(value, expected, rtol=60 * UNIT)
    # Probabilities and targets both sum to 1, each with an error of some C·u.
    np.testing.assert_allclose(gradient.sum(1), 0, atol=(4 * c + 20) * UNIT)


@given(st.lists(st.integers(0, 200), max_size=3), seeds, st.floats(0, 0.99), st.integers(0, 2**64 - 1))
def test_dropout_keeps_or_scales(shape: list[int], seed: int, p: float, offset: int) -> None:
    x = np.ones(shape, "f4")
    y = ops.dropout(x, p, seed=seed, offset=offset)
    assert set(np.unique(y)) <= {np.float32(0), np.float32(1 / (1 - p))}
    np.testing.assert_array_equal(ops.dropout_backward(x, p, seed=seed, offset=offset), y)
    if x.size > 2000:  # the share that is kept, within five standard deviations
        assert abs((y > 0).mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / x.size) + 1e-9


@given(st.integers(1, 50), st.integers(1, 12), st.integers(1, 30), seeds)
def test_maxout_equals_oracle(n: int, c: int, pieces: int, seed: int) -> None:
    x = integers(seed, n, c * pieces)
    for got, expected in zip(ops.maxout_with_indices(x, pieces), reference.maxout_with_indices(x, pieces), strict=True):
        np.testing.assert_array_equal(got, expected)


@given(st.integers(1, 60), st.integers(1, 11), st.integers(1, 5), st.integers(0, 6), st.integers(1, 3))
def test_output_size_counts_the_windows(size: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    span = dilation * (kernel - 1) + 1
    starts = [s for s in range(0, size + 2 * padding, stride) if s + span <= size + 2 * padding]
    if not starts:
        with pytest.raises(ValueError, match="does not fit"):
            ops.output_size(size, kernel, stride, padding, dilation, rounding="floor")
        return
    assert ops.output_size(size, kernel, stride, padding, dilation, rounding="floor") == len(starts)
    if starts[-1] + span == size + 2 * padding:
        assert ops.output_size(size, kernel, stride, padding, dilation) == len(starts)
    else:
        with pytest.raises(ValueError, match="no whole number"):
            ops.output_size(size, kernel, stride, padding, dilation)


@given(seeds, st.integers(1, 4))
def test_nonfinite_values_stay_where_they_belong(seed: int, stride: int) -> None:
    """An infinity or NaN in x reaches exactly those weights whose window meets it, not its neighbours in memory."""
    rng = np.random.default_rng(seed)
    x, dy = integers(seed, 2, 3, 9, 9), np.ones((2, 2, *[(9 - 3) // stride + 1] * 2), "f4")
    x[tuple(rng.integers(0, s) for s in x.shape)] = rng.choice([np.inf, -np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        expected = reference.conv2d_backward_weight(dy, x, (2, 3, 3, 3), stride, rounding="floor")
    np.testing.assert_array_equal(ops.conv2d_backward_weight(dy, x, (2, 3, 3, 3), stride, rounding="floor"), expected)


floats = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.lists(floats, max_size=70), st.sampled_from(["step", "sigmoid", "tanh", "relu", "leaky_relu", "elu"]))
def test_activations_equal_oracle_on_any_float(values: list[float], name: str) -> None:
    x = np.array(values, np.float32)
    with np.errstate(all="ignore"):
        y, expected = getattr(ops, name)(x), getattr(reference, name)(x)
        # 4 ulp, as in cases/activation.py; below the smallest normal number the error is absolute.
        np.testing.assert_allclose(y, expected, rtol=8 * UNIT, atol=2.0**-126)
        dy = np.ones_like(x)
        backward = f"{name}_backward"
        np.testing.assert_allclose(
            getattr(ops, backward)(dy, y), getattr(reference, backward)(dy, y), rtol=2 * UNIT, atol=2 * UNIT
        )


@given(st.lists(st.integers(0, 40), max_size=3), seeds, st.sampled_from(["mse", "l1", "smooth_l1", "msle"]))
def test_losses_and_their_gradients_equal_oracle(shape: list[int], seed: int, name: str) -> None:
    x, target = (np.asarray(np.abs(integers(s, *shape))) for s in (seed, seed + 1))
    for reduction in ("mean", "sum", "none"):
        got, expected = (getattr(m, f"{name}_loss_with_grad")(x, target, reduction) for m in (ops, reference))
        # Small integers: exact but for the logarithms (6 ulp of numbers below 2) and the division of the mean.
        tolerance = {"rtol": 100 * UNIT, "atol": 12 * UNIT if name == "msle" else 0.0}
        np.testing.assert_allclose(got[0], expected[0], **{**tolerance, "atol": tolerance["atol"] * max(x.size, 1)})
        np.testing.assert_allclose(got[1], expected[1], **tolerance)


@given(st.integers(1, 30), st.integers(1, 20), seeds, st.floats(0, 3, width=32))
def test_hinge_loss_equals_oracle(n: int, c: int, seed: int, margin: float) -> None:
    scores, target = integers(seed, n, c), np.random.default_rng(seed).integers(0, c, n)
    got, expected = (m.hinge_loss_with_grad(scores, target, margin, "sum") for m in (ops, reference))
    np.testing.assert_allclose(
        got[0], expected[0], rtol=4 * UNIT, atol=n * c * 8 * UNIT
    )  # s − s_y + margin rounds twice
    np.testing.assert_array_equal(got[1], expected[1])


@given(st.integers(1, 12), st.integers(2, 20), seeds, st.floats(0, 5))
def test_focal_and_probability_loss_equal_oracle(n: int, c: int, seed: int, gamma: float) -> None:
    logits, target = integers(seed, n, c), np.random.default_rng(seed).integers(0, c, n)
    got, expected = (m.focal_loss_with_grad(logits, target, gamma) for m in (ops, reference))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=(60 + 20 * gamma) * UNIT)  # γ times the error of 1 − p
    p = ops.softmax(logits, 1)
    got, expected = (m.probability_loss_with_grad(p, target) for m in (ops, reference))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=8 * UNIT, atol=4 * UNIT)


@given(st.lists(st.lists(st.integers(0, 30), max_size=2), max_size=5), seeds, st.integers(1, 9), st.floats(0, 0.1))
def test_optimizers_equal_oracle(shapes: list[list[int]], seed: int, step: int, decay: float) -> None:
    rules: dict[str, tuple[int, dict[str, Any]]] = {
        "gradient_descent_step": (0, {"lr": 0.1}),
        "momentum_step": (1, {"lr": 0.1}),
        "nesterov_step": (1, {"lr": 0.1}),
        "adagrad_step": (1, {}),
        "adadelta_step": (2, {}),
        "adam_step": (2, {"step": step}),
    }
    for rule, (states, options) in rules.items():
        arrays = [[np.asarray(np.abs(integers(seed + i, *shape))) for shape in shapes] for i in range(2 + states)]
        exact = [[a.astype(np.float64) for a in group] for group in arrays]
        getattr(ops, rule)(*arrays, **options, weight_decay=decay)
        getattr(reference, rule)(*exact, **options, weight_decay=decay)
        for group, other in zip(arrays, exact, strict=True):
            for a, b in zip(group, other, strict=True):
                np.testing.assert_allclose(a, b, rtol=32 * UNIT, atol=64 * UNIT)  # the bound of cases/optimizers.py


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "padding"),
    [
        (4, 1, 2**20, 0),  # one window
        (4, 3, 2**31, 1),
        (603, 3, 600, 0),  # windows far apart
        (4, 1, 5, 6),  # the second window meets the last position, the others only padding
        (4, 1, 10, 11),  # windows that meet padding alone
        (5, 2, 3, 0),  # positions that no window meets
    ],
)
def test_convolution_costs_what_its_windows_meet(size: int, kernel_size: int, stride: int, padding: int) -> None:
    # And not the square of the stride: the first two would take hours, or more memory than there is.
    options: Any = {"stride": (stride, 1), "padding": (padding, 0), "rounding": "floor"}
    x, weight = integers(1, 2, 20, size, 4), integers(2, 18, 20, kernel_size, 2)
    expected = reference.conv2d(x, weight, **options)
    dy = integers(3, *expected.shape)
    expected_dx = reference.conv2d_backward_data(dy, weight, x.shape, **options)
    for way in CONV_WAYS:
        _cpu.set_conv_way(way)
        try:
            np.testing.assert_array_equal(ops.conv2d(x, weight, **options), expected, err_msg=way)
            dx = ops.conv2d_backward_data(dy, weight, x.shape, **options)
        finally:
            _cpu.set_conv_way("auto")
        np.testing.assert_array_equal(dx, expected_dx, err_msg=way)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=5), st.floats(-100, 100), seeds)
def test_batch_norm_makes_mean_0_and_variance_1(shape: list[int], at: float, seed: int) -> None:
    count = int(np.prod([shape[0], *shape[2:]]))
    if count == 1:
        shape[0] = 2
    x = np.random.default_rng(seed).standard_normal(shape, np.float32) + np.float32(at)
    y, mean, var = ops.batch_norm_with_stats(x, eps=0 if count > 1 and x.size else 1)
    axes = (0, *range(2, x.ndim))
    expected = reference.batch_norm_with_stats(x)[1:]
    # A mean of any length has the roundings of tests/cases/batch_norm.py; the deviation is about 1.
    np.testing.assert_allclose(mean, expected[0], rtol=2 * UNIT, atol=100 * UNIT * 4)
    np.testing.assert_allclose(var, expected[1], rtol=200 * UNIT)
    if y.size:
        # y's mean is off by what rounding the mean to float32 took, in deviations, which may be small for two values.
        off = 200 * UNIT * (1 + (np.abs(expected[0]) / np.sqrt(expected[1])).max())
        np.testing.assert_allclose(y.mean(axes, np.float64), 0, atol=off)
        np.testing.assert_allclose(y.var(axes, np.float64), 1, atol=off + 200 * UNIT)
