"""The loss over a data set does not depend on how it is cut into batches; what does not count is left out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import labels, normal
from dipkernels import data, nn, ops, train
from support.device_ops import DEVICE

DEVICES = ["cpu"] if DEVICE == "cpu" else ["cpu", "cuda"]
WEIGHT = np.float32([0.2, 3, 1])


def identity(*shape: int) -> nn.Sequential:
    """A network that gives what it gets, but has a weight to learn."""
    layer = nn.Linear(shape[-1], shape[-1], bias=False)
    model = nn.Sequential(shape, layer)
    layer.parameters["weight"][...] = np.eye(shape[-1], dtype=np.float32)
    return model


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_ignored_labels_do_not_count(batch_size: int) -> None:
    x, t = normal(4, 3), np.array([1, -100, -100, -100])
    result = train.evaluate(identity(3), x, t, batch_size=batch_size)
    assert result.loss == pytest.approx(ops.cross_entropy(x, t))
    assert result.accuracy == (x[0].argmax() == 1)


@pytest.mark.parametrize(
    "loss",
    [
        "cross_entropy",
        dipkernels.focal_loss,
        functools.partial(ops.cross_entropy_with_grad, weight=WEIGHT, ignore_index=1),
        functools.partial(ops.cross_entropy, weight=WEIGHT, label_smoothing=0.1),
        functools.partial(ops.cross_entropy, reduction="sum"),
        functools.partial(ops.hinge_loss, p=2),
    ],
    ids=range(6),
)
def test_the_batch_size_does_not_matter(loss: Any) -> None:
    x, t = normal(23, 3), labels(23, classes=3)
    whole = train.evaluate(identity(3), x, t, loss=loss, batch_size=23)
    for batch_size in (1, 5, 22):
        assert train.evaluate(identity(3), x, t, loss=loss, batch_size=batch_size).loss == pytest.approx(whole.loss)
    value = (
        loss(x, t) if isinstance(loss, functools.partial) and loss.func in (ops.cross_entropy, ops.hinge_loss) else None
    )
    if value is not None:
        assert whole.loss == pytest.approx(value)


def test_a_sum_of_squares_is_a_sum() -> None:
    x, t = normal(10, 2), normal(10, 2, seed=1)
    result = train.evaluate(identity(2), x, t, loss="half_sum_of_squares", batch_size=3)
    assert result.loss == pytest.approx(ops.half_sum_of_squares(x, t))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [4, 7, 64])
def test_so_does_that_of_training(batch_size: int, device: Any) -> None:
    x, t = normal(30, 3), labels(30, classes=3).astype(np.uint8)
    loss = functools.partial(ops.cross_entropy, weight=WEIGHT, ignore_index=2)
    # With a learning rate of 0 nothing changes from one batch to the next.
    history = train.fit(
        identity(3),
        x,
        t,
        loss=loss,
        optimizer=nn.SGD(0.0),
        epochs=1,
        batch_size=batch_size,
        progress=False,
        device=device,
    )
    assert history.epochs[0].train_loss == pytest.approx(loss(x, t), rel=1e-5)
    assert history.epochs[0].train_accuracy == pytest.approx((x.argmax(1) == t)[t != 2].mean())


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_of_ignored_labels_alone_is_no_divergence(device: Any) -> None:
    x, t = normal(6, 3), np.array([-100, -100, 0, 1, -100, -100])
    order = np.argsort(t, kind="stable")
    history = train.fit(
        identity(3), x[order], t[order], optimizer="sgd", epochs=3, batch_size=2, progress=False, device=device
    )
    assert np.isfinite(history.epochs[-1].train_loss)


def test_sample_weights() -> None:
    x, t, often = normal(12, 3), labels(12, classes=3), np.tile(np.float32([1, 3, 0]), 4)
    repeated = np.repeat(np.arange(12), often.astype(int))
    for loss in ("cross_entropy", functools.partial(ops.cross_entropy, weight=WEIGHT), "mse", "hinge"):
        targets = normal(12, 3, seed=1) if loss == "mse" else t
        one, other = identity(3), identity(3)
        options = {"loss": loss, "optimizer": nn.SGD(0.3), "epochs": 2, "batch_size": "epoch", "progress": False}
        history = train.fit(one, x, targets, sample_weight=often, **options)
        same = train.fit(other, x[repeated], targets[repeated], **options)
        assert history.epochs[1].train_loss == pytest.approx(same.epochs[1].train_loss, rel=1e-5), loss
        np.testing.assert_allclose(*(m.parameters["linear1.weight"] for m in (one, other)), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="sample_weight needs a loss of dipkernels"):
        train.fit(one, x, t, sample_weight=often, loss=lambda y, t: (0.0, y), progress=False)


def test_data_as_users_have_them() -> None:
    points = data.Dataset([[0, 1], [2, 3]], [0, 1])  # type: ignore[arg-type]
    assert (points.x.dtype, points.t.dtype.kind) == (np.float32, "i")
    assert data.Dataset(np.zeros((2, 3)), np.zeros(2)).t.dtype == np.float32
    with pytest.raises(TypeError, match=r"x must be float32, got uint8; images of bytes become so by .*/ 255"):
        data.Dataset(np.zeros((2, 3), np.uint8), np.zeros(2, int))
    with pytest.raises(TypeError, match="t must be class indices or float32 targets, got bool"):
        data.Dataset(np.zeros((2, 3)), np.zeros(2, bool))
    with pytest.raises(TypeError, match="x must be an array or a list of numbers, got 'text'"):
        data.Dataset("text", [1])  # type: ignore[arg-type]
    model = identity(3)
    x, t = normal(20, 3), labels(20, classes=3)
    quiet = {"epochs": 1, "progress": False}
    train.fit(model, x, t, **quiet)
    train.fit(model, x.tolist(), t.tolist(), optimizer="adam", loss="cross_entropy", **quiet)
    history = train.fit(model, data.split(data.Dataset(x, t)), loss=dipkernels.cross_entropy, **quiet)
    assert history.epochs[0].validation_loss is not None
    for wrong in [(model, 3), (model, x), (model, data.Dataset(x, t), 5)]:
        with pytest.raises(TypeError, match="fit: data must be a Dataset, or arrays x and t, got"):
            train.fit(*wrong, **quiet)
