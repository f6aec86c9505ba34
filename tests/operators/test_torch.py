"""Every operator that PyTorch has, against PyTorch in float64: the names mean here what they mean there.

Skipped where torch is not installed; it is only needed here (`pip install ".[crosscheck]"`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases import conv, conv_max_pool, conv_transpose, max_pool, pool
from cases.case import labels, normal
from dipkernels import reference
from dipkernels.ops.geometry import padding_pairs
from dipkernels.reference.geometry import Windows
from support.device_ops import ops
from support.tensors import close, tensor

torch = pytest.importorskip("torch")
F = torch.nn.functional


@pytest.mark.parametrize("label", conv.GEOMETRIES)
def test_conv2d(label: str) -> None:
    x_shape, w_shape, stride, padding, dilation, groups, rounding = conv.GEOMETRIES[label]
    x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    tx, tw, tb = (tensor(a, grad=True) for a in (x, weight, bias))
    windows = Windows(x_shape, w_shape[2:], stride, padding, dilation, rounding)
    (top, bottom), (left, right) = windows.padding
    ty = F.conv2d(F.pad(tx, (left, right, top, bottom)), tw, tb, stride, 0, dilation, groups)
    close(ops.conv2d(x, weight, bias, **geometry), ty, 10)
    dy = normal(*ty.shape, seed=3)
    ty.backward(tensor(dy))
    for got, expected in zip(ops.conv2d_backward(dy, x, weight, **geometry), (tx.grad, tw.grad, tb.grad), strict=True):
        close(got, expected, 50)


@pytest.mark.parametrize("label", [k for k, v in conv_transpose.GEOMETRIES.items() if not isinstance(v[3], tuple)])
def test_conv_transpose2d(label: str) -> None:
    x_shape, w_shape, *geometry = conv_transpose.GEOMETRIES[label]
    x, weight = normal(*x_shape), normal(*w_shape, seed=1)
    bias = normal(w_shape[1] * geometry[3], seed=2)
    tx, tw, tb = (tensor(a, grad=True) for a in (x, weight, bias))
    ty = F.conv_transpose2d(tx, tw, tb, *geometry)
    close(ops.conv_transpose2d(x, weight, bias, *geometry), ty, 10)
    dy = normal(*ty.shape, seed=3)
    ty.backward(tensor(dy))
    gradients = ops.conv_transpose2d_backward(dy, x, weight, *geometry)
    for got, expected in zip(gradients, (tx.grad, tw.grad, tb.grad), strict=True):
        close(got, expected, 50)


@pytest.mark.parametrize("label", conv_max_pool.GEOMETRIES)
def test_conv2d_max_pool2d(label: str) -> None:
    x_shape, w_shape, stride, padding, dilation, groups, size, rounding = conv_max_pool.GEOMETRIES[label]
    x, weight, bias = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "pool_size": size}
    geometry["rounding"] = rounding
    tx, tw, tb = (tensor(a, grad=True) for a in (x, weight, bias))
    (top, bottom), (left, right) = padding_pairs("", padding)
    ty = F.relu(F.conv2d(F.pad(tx, (left, right, top, bottom)), tw, tb, stride, 0, dilation, groups))
    ty, indices = F.max_pool2d(ty, size, return_indices=True)
    y, got = ops.conv2d_max_pool2d(x, weight, bias, activation="relu", **geometry)
    close(y, ty, 10)
    np.testing.assert_array_equal(got, indices)
    dy = normal(*y.shape, seed=3)
    ty.backward(tensor(dy))
    gradients = ops.conv2d_max_pool2d_backward(ops.relu_backward(dy, y), got, x, weight, **geometry)
    for gradient, expected in zip(gradients, (tx.grad, tw.grad, tb.grad), strict=True):
        close(gradient, expected, 50)


def test_linear() -> None:
    x, weight, bias, dy = normal(9, 20), normal(7, 20, seed=1), normal(7), normal(9, 7)
    tx, tw, tb = (tensor(a, grad=True) for a in (x, weight, bias))
    ty = F.linear(tx, tw, tb)
    close(ops.linear(x, weight, bias), ty)
    ty.backward(tensor(dy))
    for got, expected in zip(ops.linear_backward(dy, x, weight), (tx.grad, tw.grad, tb.grad), strict=True):
        close(got, expected)


@pytest.mark.parametrize("label", [k for k, v in max_pool.GEOMETRIES.items() if isinstance(v[3], int) and v[0][0]])
def test_max_pool2d(label: str) -> None:
    shape, kernel_size, stride, padding, dilation, rounding = max_pool.GEOMETRIES[label]
    x = np.random.default_rng(0).integers(0, 4, shape).astype("f4")  # ties
    y, indices = ops.max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, rounding=rounding)
    tx = tensor(x, grad=True)
    ty, ti = F.max_pool2d(tx, kernel_size, stride, padding, dilation, rounding == "ceil", return_indices=True)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    np.testing.assert_array_equal(indices, ti.numpy())
    dy = normal(*y.shape)
    ty.backward(tensor(dy))
    close(ops.max_pool2d_backward(dy, indices, x.shape), tx.grad)


def test_max_unpool2d() -> None:
    y, indices = ops.max_pool2d_with_indices(normal(2, 3, 8, 6), 2)
    close(ops.max_unpool2d(y, indices, 2), F.max_unpool2d(tensor(y), tensor(indices), 2))
    close(
        ops.max_unpool2d(y, indices, output_size=(9, 7)),
        F.max_unpool2d(tensor(y), tensor(indices), 2, output_size=(9, 7)),
    )


@pytest.mark.parametrize("label", [k for k, v in pool.GEOMETRIES.items() if isinstance(v[3], int)])
@pytest.mark.parametrize("include", [True, False])
def test_avg_pool2d(label: str, include: bool) -> None:
    shape, kernel_size, stride, padding, rounding = pool.GEOMETRIES[label]
    x = normal(*shape)
    tx = tensor(x, grad=True)
    ty = F.avg_pool2d(tx, kernel_size, stride, padding, rounding == "ceil", include)
    close(ops.avg_pool2d(x, kernel_size, stride, padding, include, rounding=rounding), ty)
    dy = normal(*ty.shape)
    ty.backward(tensor(dy))
    got = ops.avg_pool2d_backward(dy, shape, kernel_size, stride, padding, include, rounding=rounding)
    close(got, tx.grad)


def test_l2_and_sum_pool2d() -> None:
    x = normal(2, 3, 8, 8)
    tx = tensor(x, grad=True)
    ty = F.lp_pool2d(tx, 2, 2)
    y = ops.l2_pool2d(x, 2)
    close(y, ty)
    dy = normal(*ty.shape)
    ty.backward(tensor(dy))
    close(ops.l2_pool2d_backward(dy, x, y, 2), tx.grad)
    close(ops.sum_pool2d(x, 2), 4 * F.avg_pool2d(tensor(x), 2))


def test_upsample_nearest2d() -> None:
    x = normal(2, 3, 4, 5)
    tx = tensor(x, grad=True)
    ty = F.interpolate(tx, scale_factor=(2, 3), mode="nearest")
    close(ops.upsample_nearest2d(x, (2, 3)), ty)
    dy = normal(*ty.shape)
    ty.backward(tensor(dy))
    close(ops.upsample_nearest2d_backward(dy, (2, 3)), tx.grad, 10)


@pytest.mark.parametrize(
    ("name", "parameters"), [("sigmoid", ()), ("tanh", ()), ("relu", ()), ("leaky_relu", (0.2,)), ("elu", (1.5,))]
)
def test_activation(name: str, parameters: tuple[float, ...]) -> None:
    x, dy = normal(1000) * np.float32(5), normal(1000, seed=1)
    tx = tensor(x, grad=True)
    ty = getattr(F, name)(tx, *parameters)
    y = getattr(ops, name)(x, *parameters)
    close(y, ty)
    ty.backward(tensor(dy))
    close(getattr(ops, f"{name}_backward")(dy, y, *parameters), tx.grad)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name: str, dim: int) -> None:
    x, dy = normal(4, 5, 6) * np.float32(3), normal(4, 5, 6, seed=1)
    tx = tensor(x, grad=True)
    ty = getattr(F, name)(tx, dim)
    y = getattr(ops, name)(x, dim)
    close(y, ty)
    ty.backward(tensor(dy))
    close(getattr(ops, f"{name}_backward")(dy, y, dim), tx.grad, 10)


_target = labels(6, 4, classes=7)
_ignored = np.where(_target == 3, -100, _target)
_weight = np.abs(normal(7)) + np.float32(0.1)
_distribution = reference.softmax(normal(6, 7, 4, seed=4), 1).astype("f4")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("target", "options"),
    [
        (_target, {}),
        (_ignored, {"weight": _weight}),
        (_ignored, {"label_smoothing": 0.1}),
        (_ignored, {"weight": _weight, "label_smoothing": 0.3}),
        (_distribution, {}),
        (_distribution, {"weight": _weight, "label_smoothing": 0.3}),
    ],
)
def test_cross_entropy(target: Any, options: dict[str, Any], reduction: str) -> None:
    logits = normal(6, 7, 4)
    tl = tensor(logits, grad=True)
    torch_options = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    expected = F.cross_entropy(tl, tensor(target), reduction=reduction, **torch_options)
    value, gradient = ops.cross_entropy_with_grad(logits, target, reduction=reduction, **options)
    close(value, expected, 5)
    expected.sum().backward()
    close(gradient, tl.grad)


def test_losses_of_nothing_are_nan_as_in_torch() -> None:
    logits, ignored = normal(3, 4), np.full(3, -100)
    assert np.isnan(F.cross_entropy(tensor(logits), tensor(ignored)).item())
    value, gradient = ops.cross_entropy_with_grad(logits, ignored)
    assert np.isnan(value)
    assert not gradient.any()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "options"), [("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {}), ("smooth_l1_loss", {"beta": 0.3})]
)
def test_elementwise_losses(name: str, options: dict[str, Any], reduction: str) -> None:
    x, target = normal(5, 6), normal(5, 6, seed=1)
    tx = tensor(x, grad=True)
    expected = getattr(F, name)(tx, tensor(target), reduction=reduction, **options)
    value, gradient = getattr(ops, f"{name}_with_grad")(x, target, reduction, **options)
    close(value, expected, 5)
    expected.sum().backward()
    close(gradient, tx.grad)


def test_hinge_loss_is_torchs_times_the_classes() -> None:
    scores, target = normal(5, 6), labels(5, classes=6)
    ts = tensor(scores, grad=True)
    expected = 6 * F.multi_margin_loss(ts, tensor(target))
    value, gradient = ops.hinge_loss_with_grad(scores, target)
    close(value, expected)
    expected.backward()
    close(gradient, ts.grad)


def test_probability_loss() -> None:
    p, target = reference.softmax(normal(5, 6), 1).astype("f4"), labels(5, classes=6)
    close(ops.probability_loss(p, target), F.nll_loss(tensor(p).log(), tensor(target)))


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("rule", ["gradient_descent", "momentum", "nesterov", "adagrad", "adadelta", "adam", "adamw"])
def test_optimizers(rule: str, decay: float) -> None:
    optim = torch.optim
    shapes = [(3, 4), (7,)]
    weights = [normal(*s) for s in shapes]
    parameters = [tensor(w, grad=True) for w in weights]
    states = [[np.zeros_like(w) for w in weights] for _ in range(2)]
    theirs: Any = {
        "gradient_descent": lambda: optim.SGD(parameters, lr=0.1, weight_decay=decay),
        "momentum": lambda: optim.SGD(parameters, lr=0.1, momentum=0.8, weight_decay=decay),
        "nesterov": lambda: optim.SGD(parameters, lr=0.1, momentum=0.8, nesterov=True, weight_decay=decay),
        "adagrad": lambda: optim.Adagrad(parameters, lr=0.1, weight_decay=decay),
        "adadelta": lambda: optim.Adadelta(parameters, lr=0.5, weight_decay=decay),
        "adam": lambda: optim.Adam(parameters, lr=0.1, weight_decay=decay),
        "adamw": lambda: optim.AdamW(parameters, lr=0.1, weight_decay=decay),
    }[rule]()
    for step in range(1, 6):
        gradients = [normal(*s, seed=step) for s in shapes]
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = tensor(g)
        theirs.step()
        if rule == "gradient_descent":
            ops.gradient_descent_step(weights, gradients, 0.1, weight_decay=decay)
        elif rule in ("momentum", "nesterov"):
            getattr(ops, f"{rule}_step")(weights, gradients, states[0], 0.1, 0.8, weight_decay=decay)
        elif rule == "adagrad":
            ops.adagrad_step(weights, gradients, states[0], 0.1, weight_decay=decay)
        elif rule == "adadelta":
            ops.adadelta_step(weights, gradients, *states, 0.5, weight_decay=decay)
        else:
            ops.adam_step(weights, gradients, *states, step, 0.1, weight_decay=decay, decoupled=rule == "adamw")
    for w, p in zip(weights, parameters, strict=True):
        close(w, p)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # an even kernel, PyTorch warns, is padded by a copy
@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
def test_same_and_valid_padding(stride: Any) -> None:
    """PyTorch knows "same" for stride 1 only; the size of the result is what TensorFlow documents."""
    x, weight = normal(2, 3, 9, 10), normal(4, 3, 4, 3, seed=1)
    close(ops.conv2d(x, weight, padding="valid"), F.conv2d(tensor(x), tensor(weight), padding="valid"), 10)
    y = ops.conv2d(x, weight, stride=stride, padding="same")
    rows, columns = (stride, stride) if isinstance(stride, int) else stride
    assert y.shape == (2, 4, -(-9 // rows), -(-10 // columns))
    if stride == 1:
        close(y, F.conv2d(tensor(x), tensor(weight), padding="same"), 10)


def test_single_images() -> None:
    x, weight = normal(3, 9, 10), normal(4, 3, 3, 3, seed=1)
    close(ops.conv2d(x, weight, padding=1), F.conv2d(tensor(x), tensor(weight), padding=1), 10)
    y, indices = ops.max_pool2d_with_indices(x, (3, 2))
    ty, ti = F.max_pool2d(tensor(x), (3, 2), return_indices=True)
    close(y, ty)
    np.testing.assert_array_equal(indices, ti.numpy())
    close(ops.max_unpool2d(y, indices, (3, 2)), F.max_unpool2d(ty, ti, (3, 2)))
    close(ops.avg_pool2d(x, (3, 2)), F.avg_pool2d(tensor(x), (3, 2)))
    for op, args in {
        "conv2d_backward_data": (normal(4, 9, 10), weight, (3, 9, 10), 1, 1),
        "avg_pool2d_backward": (normal(3, 3, 5), (3, 9, 10), (3, 2)),
        "max_pool2d_backward": (y, indices, (3, 9, 10)),
        "upsample_nearest2d": (x, 2),
        "bed_of_nails2d": (x, 2),
    }.items():
        assert getattr(ops, op)(*args).ndim == 3, op


def test_masks_with_an_axis_of_channels() -> None:
    logits, mask = normal(2, 4, 3, 5), labels(2, 1, 3, 5, classes=4).astype(np.uint8)
    expected = F.cross_entropy(tensor(logits), tensor(mask[:, 0].astype(np.int64)))
    for op in (ops.cross_entropy, lambda *args: ops.cross_entropy_with_grad(*args)[0]):
        close(op(logits, mask), expected)
    close(ops.nll_loss(ops.log_softmax(logits, 1), mask), expected)


def test_linear_of_many_axes() -> None:
    x, weight, bias = normal(2, 3, 5, 7), normal(4, 7, seed=1), normal(4)
    close(ops.linear(x, weight, bias), F.linear(tensor(x), tensor(weight), tensor(bias)))
    close(ops.linear(x[0, 0, 0], weight), F.linear(tensor(x[0, 0, 0]), tensor(weight)))
    dy = normal(2, 3, 5, 4, seed=3)
    tx, tw = tensor(x, grad=True), tensor(weight, grad=True)
    F.linear(tx, tw).backward(tensor(dy))
    for got, expected in zip(ops.linear_backward(dy, x, weight), (tx.grad, tw.grad), strict=False):
        close(got, expected, 10)


def test_nearest_upsampling_to_any_size() -> None:
    x = normal(2, 3, 4, 5)
    for size in [(7, 9), (3, 2), (8, 10)]:
        tx = tensor(x, grad=True)
        ty = F.interpolate(tx, size, mode="nearest")
        close(ops.upsample_nearest2d(x, size=size), ty)
        dy = normal(*ty.shape)
        ty.backward(tensor(dy))
        close(ops.upsample_nearest2d_backward(dy, input_size=(4, 5)), tx.grad, 10)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_huber_and_squared_hinge(reduction: Any) -> None:
    x, t, weight = normal(6, 5), labels(6, classes=5), np.abs(normal(5, seed=2))
    log_p = ops.log_softmax(x, 1)
    expected = F.nll_loss(tensor(log_p), tensor(t), tensor(weight), ignore_index=1, reduction=reduction)
    close(ops.nll_loss(log_p, t, weight, 1, reduction), expected)
    expected = F.huber_loss(tensor(x), tensor(x[::-1]), reduction=reduction, delta=0.4)
    close(ops.huber_loss(x, x[::-1], reduction, 0.4), expected)
    expected = F.multi_margin_loss(tensor(x), tensor(t), 2, 0.7, tensor(weight), reduction=reduction)
    close(ops.hinge_loss(x, t, 0.7, reduction, 2, weight) / 5, expected)


def test_amsgrad_and_clipping() -> None:
    weights, gradients = [normal(4, 3), normal(7, seed=1)], [normal(4, 3, seed=2), normal(7, seed=3)]
    parameters = [torch.nn.Parameter(tensor(w)) for w in weights]
    optimizer = torch.optim.Adam(parameters, 0.1, amsgrad=True)
    states = [[np.zeros_like(w) for w in weights] for _ in range(3)]
    for step in range(1, 5):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = tensor(gradient / np.float32(step))
        torch.nn.utils.clip_grad_norm_(parameters, 1.5)
        optimizer.step()
        now = [g / np.float32(step) for g in gradients]
        ops.adam_step(weights, now, *states[:2], step, 0.1, largest_second_moments=states[2], clip_norm=1.5)
    for got, parameter in zip(weights, parameters, strict=True):
        close(got, parameter)
