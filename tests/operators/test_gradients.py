"""Every gradient against finite differences of its forward oracle, in float64.

The kernels are compared with the oracles in test_operators.py, and
here once more directly with the differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases import roi
from cases.case import labels, normal
from dipkernels import reference
from support.device_ops import ops
from support.differences import differences


def away_from_kinks(x: Any) -> Any:
    """No two numbers closer than 2h, and none at 0, so that maxima and ReLUs have a derivative."""
    order = np.random.default_rng(1).permutation(x.size)
    return ((order - x.size / 2 + 0.25) / x.size * 4).reshape(x.shape)


GEOMETRIES = [
    {"stride": 1, "padding": 0},
    {"stride": 2, "padding": ((1, 0), (0, 2)), "rounding": "floor"},
    {"stride": (1, 2), "padding": 1, "dilation": (2, 1), "rounding": "floor"},
    {"stride": 1, "padding": 1, "groups": 2},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_conv2d(geometry: dict[str, Any]) -> None:
    x, bias = normal(2, 4, 6, 5).astype("f8"), normal(2).astype("f8")
    weight = normal(2, 4 // geometry.get("groups", 1), 3, 2).astype("f8")
    dy = normal(*reference.conv2d(x, weight, bias, **geometry).shape, seed=1).astype("f8")
    got = ops.conv2d_backward(dy.astype("f4"), x.astype("f4"), weight.astype("f4"), **geometry)
    oracle = reference.conv2d_backward(dy, x, weight, **geometry)
    expected = (
        differences(lambda v: (dy * reference.conv2d(v, weight, bias, **geometry)).sum(), x),
        differences(lambda v: (dy * reference.conv2d(x, v, bias, **geometry)).sum(), weight),
        differences(lambda v: (dy * reference.conv2d(x, weight, v, **geometry)).sum(), bias),
    )
    for kernel, one, other in zip(got, oracle, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
        np.testing.assert_allclose(kernel, other, atol=1e-4)


@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": 2},
        {"stride": (3, 1), "padding": ((1, 0), (0, 2)), "output_padding": (2, 0), "dilation": (1, 2)},
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
    ],
)
def test_conv_transpose2d(geometry: dict[str, Any]) -> None:
    x, weight = normal(2, 4, 3, 4).astype("f8"), normal(4, 2, 3, 2, seed=1).astype("f8")
    bias = normal(2 * geometry.get("groups", 1)).astype("f8")
    dy = normal(*reference.conv_transpose2d(x, weight, bias, **geometry).shape, seed=2).astype("f8")
    got = ops.conv_transpose2d_backward(dy.astype("f4"), x.astype("f4"), weight.astype("f4"), **geometry)
    oracle = reference.conv_transpose2d_backward(dy, x, weight, **geometry)
    expected = (
        differences(lambda v: (dy * reference.conv_transpose2d(v, weight, bias, **geometry)).sum(), x),
        differences(lambda v: (dy * reference.conv_transpose2d(x, v, bias, **geometry)).sum(), weight),
        differences(lambda v: (dy * reference.conv_transpose2d(x, weight, v, **geometry)).sum(), bias),
    )
    for kernel, one, other in zip(got, oracle, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
        np.testing.assert_allclose(kernel, other, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training: bool) -> None:
    x, weight, bias = (normal(*s).astype("f8") for s in [(3, 2, 2, 3), (2,), (2,)])
    mean, var = normal(2, seed=1).astype("f8"), np.abs(normal(2, seed=2)).astype("f8")
    dy = normal(*x.shape, seed=3).astype("f8")

    def y(x: Any, weight: Any, bias: Any) -> Any:
        if training:
            return reference.batch_norm_with_stats(x, weight=weight, bias=bias, eps=0.1)[0]
        return reference.batch_norm(x, mean, var, weight, bias, 0.1)

    if training:
        _, mean, var = reference.batch_norm_with_stats(x)
    expected = (
        differences(lambda v: (dy * y(v, weight, bias)).sum(), x),
        differences(lambda v: (dy * y(x, v, bias)).sum(), weight),
        differences(lambda v: (dy * y(x, weight, v)).sum(), bias),
    )
    arrays = dy, x, mean, var, weight
    oracle = reference.batch_norm_backward(*arrays, 0.1, training)
    got = ops.batch_norm_backward(*(a.astype("f4") for a in arrays), 0.1, training)
    for kernel, one, other in zip(got, oracle, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
        np.testing.assert_allclose(kernel, other, atol=1e-4)


@pytest.mark.parametrize("images", [2, 17])
def test_conv2d_max_pool2d(images: int) -> None:
    """With 17 images by the kernel that has them as the vector."""
    geometry: dict[str, Any] = {"padding": ((1, 0), (0, 2)), "pool_size": (2, 3), "rounding": "floor"}
    x, weight, bias = (normal(*s).astype("f8") for s in [(images, 2, 5, 6), (3, 2, 2, 3), (3,)])
    y, indices = reference.conv2d_max_pool2d(x, weight, bias, **geometry)
    dy = normal(*y.shape, seed=1).astype("f8")
    arrays = dy.astype("f4"), indices.astype("i4"), x.astype("f4"), weight.astype("f4")
    oracle = reference.conv2d_max_pool2d_backward(dy, indices, x, weight, **geometry)
    expected = (
        differences(lambda v: (dy * reference.conv2d_max_pool2d(v, weight, bias, **geometry)[0]).sum(), x),
        differences(lambda v: (dy * reference.conv2d_max_pool2d(x, v, bias, **geometry)[0]).sum(), weight),
        differences(lambda v: (dy * reference.conv2d_max_pool2d(x, weight, v, **geometry)[0]).sum(), bias),
    )
    got = ops.conv2d_max_pool2d_backward(*arrays, **geometry)
    for kernel, one, other in zip(got, oracle, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
        np.testing.assert_allclose(kernel, other, atol=1e-4)


def test_linear() -> None:
    x, weight, bias, dy = (normal(*s, seed=i).astype("f8") for i, s in enumerate([(4, 5), (3, 5), (3,), (4, 3)]))
    got = ops.linear_backward(dy.astype("f4"), x.astype("f4"), weight.astype("f4"))
    expected = (
        differences(lambda v: (dy * reference.linear(v, weight, bias)).sum(), x),
        differences(lambda v: (dy * reference.linear(x, v, bias)).sum(), weight),
        differences(lambda v: (dy * reference.linear(x, weight, v)).sum(), bias),
    )
    for kernel, oracle, other in zip(got, reference.linear_backward(dy, x, weight), expected, strict=True):
        np.testing.assert_allclose(oracle, other, atol=1e-7)
        np.testing.assert_allclose(kernel, other, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("sigmoid", ()), ("tanh", ()), ("relu", ()), ("leaky_relu", (0.1,)), ("elu", (0.7,)), ("step", ())],
)
def test_activation(name: str, parameters: tuple[float, ...]) -> None:
    x, dy = away_from_kinks(np.zeros((3, 14))), normal(3, 14).astype("f8")
    forward = getattr(reference, name)
    expected = differences(lambda v: (dy * forward(v, *parameters)).sum(), x)
    y = forward(x, *parameters)
    np.testing.assert_allclose(getattr(reference, f"{name}_backward")(dy, y, *parameters), expected, atol=1e-7)
    kernel = getattr(ops, f"{name}_backward")(dy.astype("f4"), y.astype("f4"), *parameters)
    np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_maxout() -> None:
    x = away_from_kinks(np.zeros((2, 6, 3)))
    y, indices = reference.maxout_with_indices(x, 3)
    dy = normal(*y.shape).astype("f8")
    expected = differences(lambda v: (dy * reference.maxout(v, 3)).sum(), x)
    np.testing.assert_allclose(reference.maxout_backward(dy, indices, 3), expected, atol=1e-7)
    np.testing.assert_allclose(ops.maxout_backward(dy.astype("f4"), indices.astype("i4"), 3), expected, atol=1e-6)


POOLINGS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": ((1, 0), (1, 1)), "rounding": "floor"},
    {"kernel_size": (2, 3), "stride": 1, "padding": (0, 1)},
]


@pytest.mark.parametrize("geometry", POOLINGS)
def test_max_pool2d(geometry: dict[str, Any]) -> None:
    x = away_from_kinks(np.zeros((2, 2, 6, 6)))
    y, indices = ops.max_pool2d_with_indices(x.astype("f4"), **geometry)
    dy = normal(*y.shape).astype("f8")
    expected = differences(lambda v: (dy * reference.max_pool2d(v, **geometry)).sum(), x)
    np.testing.assert_allclose(reference.max_pool2d_backward(dy, indices, x.shape), expected, atol=1e-7)
    np.testing.assert_allclose(ops.max_pool2d_backward(dy.astype("f4"), indices, x.shape), expected, atol=1e-5)


@pytest.mark.parametrize("geometry", POOLINGS)
@pytest.mark.parametrize("name", ["avg", "avg_inside", "sum", "l2"])
def test_pool2d(name: str, geometry: dict[str, Any]) -> None:
    options = {**geometry, "count_include_pad": False} if name == "avg_inside" else geometry
    op = f"{name.removesuffix('_inside')}_pool2d"
    x = away_from_kinks(np.zeros((1, 2, 6, 6)))
    forward = getattr(reference, op)
    y = forward(x, **options)
    dy = normal(*y.shape).astype("f8")
    expected = differences(lambda v: (dy * forward(v, **options)).sum(), x)
    arrays = (dy, x, y) if name == "l2" else (dy, x.shape)
    single = tuple(a.astype("f4") if isinstance(a, np.ndarray) else a for a in arrays)
    np.testing.assert_allclose(getattr(reference, f"{op}_backward")(*arrays, **options), expected, atol=1e-7)
    np.testing.assert_allclose(getattr(ops, f"{op}_backward")(*single, **options), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("upsample_nearest2d", ((2, 3),)), ("bed_of_nails2d", ((2, 3), (1, 2))), ("max_unpool2d", ())],
)
def test_upsampling(name: str, arguments: tuple[Any, ...]) -> None:
    x = normal(2, 2, 3, 2).astype("f8")
    options: dict[str, Any] = {}
    backward_arguments = arguments
    if name == "max_unpool2d":
        indices = np.random.default_rng(0).integers(0, 20, x.shape).astype("i4")  # some repeat
        arguments, backward_arguments, options = (indices,), (indices,), {"output_size": (4, 5)}
    forward = getattr(reference, name)
    dy = normal(*forward(x, *arguments, **options).shape).astype("f8")
    expected = differences(lambda v: (dy * forward(v, *arguments, **options)).sum(), x)
    backward = f"{name}_backward"
    np.testing.assert_allclose(getattr(reference, backward)(dy, *backward_arguments), expected, atol=1e-7)
    np.testing.assert_allclose(getattr(ops, backward)(dy.astype("f4"), *backward_arguments), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(7, 3), (2, 5)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_upsample_bilinear2d(size: tuple[int, int], align_corners: bool) -> None:
    x, dy, option = normal(2, 2, 3, 4).astype("f8"), normal(2, 2, *size).astype("f8"), {"align_corners": align_corners}
    expected = differences(lambda v: (dy * reference.upsample_bilinear2d(v, size=size, **option)).sum(), x)
    options: dict[str, Any] = {"input_size": (3, 4), **option}
    np.testing.assert_allclose(reference.upsample_bilinear2d_backward(dy, **options), expected, atol=1e-7)
    np.testing.assert_allclose(ops.upsample_bilinear2d_backward(dy.astype("f4"), **options), expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_local_response_norm(size: int) -> None:
    x, dy, options = normal(2, 5, 3).astype("f8"), normal(2, 5, 3, seed=1).astype("f8"), (size, 2.0, 0.75, 0.5)
    expected = differences(lambda v: (dy * reference.local_response_norm(v, *options)).sum(), x)
    np.testing.assert_allclose(reference.local_response_norm_backward(dy, x, *options), expected, atol=1e-7)
    got = ops.local_response_norm_backward(dy.astype("f4"), x.astype("f4"), *options)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_concatenate_and_pad2d() -> None:
    inputs = [normal(2, c, 3, 2, seed=c).astype("f8") for c in (1, 3)]
    dy = normal(2, 4, 3, 2).astype("f8")
    for i, x in enumerate(inputs):
        expected = differences(lambda v, i=i: (dy * reference.concatenate([*inputs[:i], v, *inputs[i + 1 :]])).sum(), x)
        np.testing.assert_allclose(ops.concatenate_backward(dy.astype("f4"), [1, 3])[i], expected, atol=1e-6)
    padding = ((1, -1), (-2, 3))
    x = normal(1, 2, 4, 5).astype("f8")
    dy = normal(*reference.pad2d(x, padding).shape).astype("f8")
    expected = differences(lambda v: (dy * reference.pad2d(v, padding)).sum(), x)
    np.testing.assert_allclose(ops.pad2d_backward(dy.astype("f4"), padding), expected, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_warp(interpolation: Any) -> None:
    x, dy = normal(2, 3, 5, 6).astype("f8"), normal(2, 3, 4, 7).astype("f8")
    flow = 2 * normal(2, 2, 4, 7, seed=1).astype("f8")
    flow = np.where(abs(flow - np.round(flow)) < 0.02, flow + 0.05, flow)  # between the elements
    flow = np.where(abs(flow % 1 - 0.5) < 0.02, flow + 0.05, flow)
    expected = [
        differences(lambda v: (dy * reference.warp(v, flow, interpolation)).sum(), x),
        differences(lambda v: (dy * reference.warp(x, v, interpolation)).sum(), flow),
    ]
    for exact, own, got in zip(
        expected,
        reference.warp_backward(dy, x, flow, interpolation),
        ops.warp_backward(dy.astype("f4"), x.astype("f4"), flow.astype("f4"), interpolation),
        strict=True,
    ):
        np.testing.assert_allclose(own, exact, atol=1e-6)
        np.testing.assert_allclose(got, exact, atol=1e-4)


def test_affine_flow() -> None:
    matrices, dflow = normal(3, 2, 3).astype("f8"), normal(3, 2, 4, 5).astype("f8")
    expected = differences(lambda v: (dflow * reference.affine_flow(v, (4, 5))).sum(), matrices)
    np.testing.assert_allclose(reference.affine_flow_backward(dflow), expected, atol=1e-6)
    np.testing.assert_allclose(ops.affine_flow_backward(dflow.astype("f4")), expected, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align(samples: int, aligned: bool) -> None:
    x = normal(2, 2, 5, 6).astype("f8")
    boxes, batch = roi.regions(x.shape, 5, 0.5)
    options: dict[str, Any] = {"spatial_scale": 0.5, "sampling_ratio": samples, "aligned": aligned}
    dy = normal(5, 2, 3, 2).astype("f8")
    expected = differences(lambda v: (dy * reference.roi_align(v, boxes, batch, (3, 2), **options)).sum(), x)
    got = ops.roi_align_backward(dy.astype("f4"), boxes, batch, x.shape, **options)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    got = reference.roi_align_backward(dy, boxes, batch, x.shape, **options)
    np.testing.assert_allclose(got, expected, atol=1e-7)


def test_roi_pool() -> None:
    x = normal(2, 2, 6, 7).astype("f8")
    boxes, batch = roi.regions(x.shape, 6, 0.5)
    dy = normal(6, 2, 2, 3).astype("f8")
    expected = differences(lambda v: (dy * reference.roi_pool(v, boxes, batch, (2, 3), 0.5)).sum(), x)
    _, indices = ops.roi_pool_with_indices(x.astype("f4"), boxes, batch, (2, 3), 0.5)
    got = ops.roi_pool_backward(dy.astype("f4"), boxes, batch, indices, x.shape, 0.5)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name: str, dim: int) -> None:
    x, dy = normal(3, 4, 5).astype("f8"), normal(3, 4, 5, seed=1).astype("f8")
    forward = getattr(reference, name)
    expected = differences(lambda v: (dy * forward(v, dim)).sum(), x)
    y = forward(x, dim)
    np.testing.assert_allclose(getattr(reference, f"{name}_backward")(dy, y, dim), expected, atol=1e-7)
    kernel = getattr(ops, f"{name}_backward")(dy.astype("f4"), y.astype("f4"), dim)
    np.testing.assert_allclose(kernel, expected, atol=1e-5)


_target = labels(4, 3, classes=5)
_ignored = np.where(_target == 2, -100, _target)
_weight = np.float32([0.5, 1, 2, 0.1, 3])
_distribution = reference.softmax(normal(4, 5, 3, seed=9), 1).astype("f4")


@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        ("cross_entropy", _target, {}),
        ("cross_entropy", _ignored, {"weight": _weight, "label_smoothing": 0.2}),
        ("cross_entropy", _distribution, {"reduction": "sum", "label_smoothing": 0.1}),
        ("focal_loss", _ignored, {"weight": _weight}),
        ("focal_loss", _target, {"gamma": 0.5, "reduction": "sum"}),
    ],
)
def test_class_losses(name: str, target: Any, options: dict[str, Any]) -> None:
    logits = normal(4, 5, 3).astype("f8")
    loss = getattr(reference, name)
    expected = differences(lambda v: loss(v, target, **options), logits)
    np.testing.assert_allclose(
        getattr(reference, f"{name}_with_grad")(logits, target, **options)[1], expected, atol=1e-7
    )
    kernel = getattr(ops, f"{name}_with_grad")(logits.astype("f4"), target, **options)[1]
    np.testing.assert_allclose(kernel, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mse_loss", {}),
        ("l1_loss", {"reduction": "sum"}),
        ("msle_loss", {}),
        ("smooth_l1_loss", {"beta": 0.5}),
        ("half_sum_of_squares", {}),
    ],
)
def test_elementwise_losses(name: str, options: dict[str, Any]) -> None:
    x, target = away_from_kinks(np.zeros((4, 5))), np.zeros((4, 5))
    if name == "msle_loss":
        x = np.abs(x)
    loss = getattr(reference, name)
    expected = differences(lambda v: loss(v, target, **options), x)
    np.testing.assert_allclose(getattr(reference, f"{name}_with_grad")(x, target, **options)[1], expected, atol=1e-7)
    kernel = getattr(ops, f"{name}_with_grad")(x.astype("f4"), target.astype("f4"), **options)[1]
    np.testing.assert_allclose(kernel, expected, atol=1e-5)


def test_hinge_and_probability_loss() -> None:
    scores, target = away_from_kinks(np.zeros((4, 5))), labels(4, classes=5)
    expected = differences(lambda v: reference.hinge_loss(v, target, 0.7), scores)
    np.testing.assert_allclose(reference.hinge_loss_with_grad(scores, target, 0.7)[1], expected, atol=1e-7)
    np.testing.assert_allclose(ops.hinge_loss_with_grad(scores.astype("f4"), target, 0.7)[1], expected, atol=1e-5)
    p = reference.softmax(normal(4, 5), 1)
    expected = differences(lambda v: reference.probability_loss(v, target), p)
    np.testing.assert_allclose(reference.probability_loss_with_grad(p, target)[1], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        ops.probability_loss_with_grad(p.astype("f4"), target)[1], expected, rtol=1e-5, atol=1e-6
    )
