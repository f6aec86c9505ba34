"""Training on the GPU, or on its emulation: captured steps are the CPU's, whatever rate, masks and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import cuda, data, nn, ops
from dipkernels.train import fit
from support.device_ops import DEVICE

on_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="runs where DIPKERNELS_DEVICE is cuda or emulated")


def images(count: int) -> data.Dataset:
    """Bright bars, in rows or in columns: two classes that a small network tells apart."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((count, 1, 8, 8), np.float32) * np.float32(0.2), rng.integers(0, 2, count)
    for image, label in zip(x[:, 0], t, strict=True):
        (image if label else image.T)[rng.integers(0, 8)] += 1
    return data.Dataset(x, t)


def network(dropout: bool) -> nn.Sequential:
    first: list[nn.Layer] = [nn.Conv2d(1, 4, 3, activation="relu")]
    if dropout:  # and batch normalisation, whose averages are to be the CPU's too
        first = [nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm(4, activation="relu")]
    layers: list[nn.Layer] = [*first, nn.MaxPool2d(2), nn.Flatten()]
    layers += [nn.Dropout(0.1)] if dropout else []
    return nn.Sequential((1, 8, 8), *layers, nn.Linear(36, 2))


@on_gpu
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(
    "optimizer",
    [lambda: nn.SGD(0.1), lambda: nn.SGD(0.1, 0.9, nesterov=True), lambda: nn.Adam(0.01), lambda: nn.AdaDelta(1.0)],
    ids=["sgd", "nesterov", "adam", "adadelta"],
)
def test_training_on_the_gpu_is_that_of_the_cpu(optimizer: Any, dropout: bool) -> None:
    """45 images in batches of 16: captured steps, and a smaller last one."""
    train, histories, models = images(45), [], []
    for device in ("cpu", "cuda"):
        model, rule = network(dropout), optimizer()
        history = fit(
            model,
            train,
            images(10),
            optimizer=rule,
            epochs=4,
            batch_size=16,
            device=device,
            progress=False,  # type: ignore[arg-type]
            schedule=lambda epoch, lr=rule.lr: lr if epoch < 3 else 0.5 * lr,
        )
        histories.append(history)
        models.append(model)
        assert rule.steps == 12
        assert all(isinstance(value, np.ndarray) for value in model.parameters.values())
    for one, two in zip(histories[0].epochs, histories[1].epochs, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=1e-4)
        assert two.train_accuracy == one.train_accuracy
        assert two.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)
    for name, value in models[0].state.items():
        np.testing.assert_allclose(models[1].state[name], value, rtol=1e-3, atol=1e-4)


@on_gpu
@pytest.mark.parametrize("dropout", [False, True])
def test_a_step_is_captured_once_whatever_the_learning_rate(monkeypatch: pytest.MonkeyPatch, dropout: bool) -> None:
    captured = []
    enter = cuda.Graph.__enter__
    monkeypatch.setattr(cuda.Graph, "__enter__", lambda graph: captured.append(graph) or enter(graph))
    models, rules = [], []
    for device in ("cpu", "cuda"):
        model, rule = network(dropout), nn.SGD(0.1, 0.9, groups={"*.bias": {"lr": 0.2}})
        schedule = lambda epoch: 0.1 / epoch  # noqa: E731
        fit(
            model, images(32), optimizer=rule, epochs=5, batch_size=16, device=device, progress=False, schedule=schedule
        )  # type: ignore[arg-type]
        models.append(model)
        rules.append(rule)
    assert len(captured) == 1
    for name, value in models[0].parameters.items():
        np.testing.assert_allclose(models[1].parameters[name], value, rtol=1e-4, atol=1e-5)
    assert rules[1].device_rates is None
    counters = [
        layer.counters() for model in models for layer in model.layers.values() if isinstance(layer, nn.Dropout)
    ]
    assert counters == ([{"step": 10}, {"step": 10}] if dropout else [])


@on_gpu
def test_a_captured_dropout_takes_another_mask_each_time() -> None:
    x, counter = cuda.to_device(np.ones(1000, np.float32)), cuda.to_device(np.int64([0]))
    ops.dropout(x, seed=1)
    with cuda.Graph() as graph:
        y = ops.dropout(x, 0.3, seed=1, offset=5, device_offset=counter)
    for step in (0, 1, -3, 7):
        counter.set(np.int64([step]))
        graph.replay()
        np.testing.assert_array_equal(y.to_host(), ops.dropout(np.ones(1000, np.float32), 0.3, seed=1, offset=5 + step))
    host = ops.dropout(np.ones(9, np.float32), seed=1, offset=2**64 - 1, device_offset=np.int64([3]))
    np.testing.assert_array_equal(host, ops.dropout(np.ones(9, np.float32), seed=1, offset=2))
    with pytest.raises(TypeError, match="device_offset must be int64"):
        ops.dropout(np.ones(9, np.float32), seed=1, device_offset=np.int32([3]))
    with pytest.raises(ValueError, match=r"device_offset must have shape \(1,\), got \(2,\)"):
        ops.dropout(np.ones(9, np.float32), seed=1, device_offset=np.int64([3, 4]))


@on_gpu
def test_training_on_the_gpu_gives_the_same_bits_again_and_resumes(tmp_path: Path) -> None:
    def trained(epochs: int, checkpoint: Path | None) -> nn.Sequential:
        model = network(False)
        fit(
            model,
            images(40),
            optimizer=nn.Adam(0.01),
            epochs=epochs,
            batch_size=16,
            checkpoint=checkpoint,
            device="cuda",
            progress=False,
            augment=lambda rng, x: x + rng.standard_normal(x.shape, np.float32) / 8,
        )
        return model

    once, again = trained(4, None), trained(4, None)
    trained(2, tmp_path / "checkpoint")
    resumed = trained(4, tmp_path / "checkpoint")
    for name, value in once.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], value)
        np.testing.assert_array_equal(resumed.parameters[name], value)


@on_gpu
def test_divergence_on_the_gpu_is_an_error_and_leaves_the_model_usable() -> None:
    model = network(False)
    with pytest.raises(FloatingPointError, match=r"end of epoch 1; a smaller learning rate"):
        fit(model, images(40), optimizer=nn.SGD(1e30), epochs=2, batch_size=16, device="cuda", progress=False)
    model.initialize(0)
    assert np.isfinite(model.forward(images(3).x)).all()


@on_gpu
def test_gradients_of_weights_are_computed_beside_the_others() -> None:
    """They are there once the branches are joined, in every replay, whatever else was computed in between."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape, np.float32) for shape in ((6, 5), (6, 3)))
    on_device = [cuda.to_device(each) for each in (x, dy)]
    graph = cuda.Graph()
    with graph:
        with cuda.branches():
            with cuda.weights_beside():
                dweight = ops.linear_backward_weight(on_device[1], on_device[0])
                dbias = ops.linear_backward_bias(on_device[1])
            too_early = ops.relu(dweight) if DEVICE == "emulated" else None
            other = ops.relu(on_device[0])
        after = ops.relu(dweight)
    for factor in (1, 2):
        on_device[1].set(np.float32(factor) * dy)
        graph.replay()
        expected = factor * ops.linear_backward_weight(dy, x)
        np.testing.assert_allclose(dweight.to_host(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(after.to_host(), np.maximum(expected, 0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(dbias.to_host(), factor * dy.sum(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(other.to_host(), np.maximum(x, 0))
        if too_early is not None and factor == 1:  # the emulation does what is beside as late as it may
            assert np.isnan(too_early.to_host()).all()


@on_gpu
def test_branches_outside_a_capture_change_nothing() -> None:
    x = cuda.to_device(np.float32([[1, 2], [3, 4]]))
    with cuda.branches(), cuda.weights_beside():
        dweight = ops.linear_backward_weight(x, x)
    np.testing.assert_array_equal(dweight.to_host(), [[10, 14], [14, 20]])
    with cuda.Graph(), cuda.weights_beside():  # and no branches without `branches`
        ops.linear_backward_weight(x, x)


@on_gpu
def test_an_error_within_branches_leaves_the_next_capture_alone() -> None:
    x = cuda.to_device(np.float32([[1, 2], [3, 4]]))

    def fails() -> None:
        with cuda.Graph(), cuda.branches(), cuda.weights_beside():
            ops.linear_backward_weight(x, x)
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fails()
    graph = cuda.Graph()
    with graph, cuda.branches(), cuda.weights_beside():
        dweight = ops.linear_backward_weight(x, x)
    graph.replay()
    np.testing.assert_array_equal(dweight.to_host(), [[10, 14], [14, 20]])
