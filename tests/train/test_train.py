"""The training loop: it learns, stops early, resumes to the same bits, and says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases.case import normal
from dipkernels import data, models, nn, ops, train
from support.mnist import HAVE_MNIST, MNIST, REASON
from support.small_training import blobs, small_model


@pytest.mark.parametrize("batch_size", ["pattern", 32, "epoch"])
def test_learning_by_pattern_mini_batch_and_epoch(batch_size: Any) -> None:
    parts = data.split(blobs(), seed=1)
    lr, epochs = {"pattern": (0.01, 3), 32: (0.1, 10), "epoch": (0.5, 60)}[batch_size]
    model = small_model()
    history = train.fit(
        model, parts.train, parts.validation, optimizer=nn.SGD(lr), epochs=epochs, batch_size=batch_size, progress=False
    )
    assert history.epochs[-1].train_loss < 0.5 * history.epochs[0].train_loss or batch_size == "pattern"
    assert train.evaluate(model, parts.test).accuracy >= 0.9
    assert history.settings["batch_size"] == {"pattern": 1, 32: 32, "epoch": len(parts.train)}[batch_size]


def run(tmp_path: Path | None, epochs: int, **options: Any) -> tuple[nn.Sequential, train.History]:
    parts = data.split(blobs(), seed=1)
    model = small_model(dropout=True)
    augment = lambda rng, x: x + rng.standard_normal(x.shape, np.float32) * np.float32(0.05)  # noqa: E731
    history = train.fit(
        model,
        parts.train,
        parts.validation,
        optimizer=nn.Adam(0.01),
        epochs=epochs,
        batch_size=20,
        seed=7,
        augment=augment,
        checkpoint=None if tmp_path is None else tmp_path / "checkpoint.safetensors",
        progress=False,
        **options,
    )
    return model, history


def same_parameters(one: nn.Graph, two: nn.Graph) -> None:
    for name, value in one.parameters.items():
        assert value.tobytes() == two.parameters[name].tobytes(), name


def test_resumed_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, history = run(None, 6)
    run(tmp_path, 2)
    run(tmp_path, 4)
    resumed, resumed_history = run(tmp_path, 6)
    same_parameters(whole, resumed)
    assert [e.train_loss for e in history.epochs] == [e.train_loss for e in resumed_history.epochs]
    assert history.best_epoch == resumed_history.best_epoch


def test_training_has_the_same_bits_for_any_number_of_threads(restore_threads: None) -> None:
    results = []
    parts = data.digits()
    some = parts.train.subset(slice(0, 200))
    for threads in (1, 2, 8):
        dipkernels.set_num_threads(threads)
        model = models.lenet5()
        train.fit(model, some, optimizer=nn.Adam(), epochs=1, batch_size=50, progress=False)
        results.append(model)
    same_parameters(results[0], results[1])
    same_parameters(results[0], results[2])


def test_early_stopping_keeps_the_best() -> None:
    rng = np.random.default_rng(0)
    noise = data.Dataset(normal(60, 20), rng.integers(0, 2, 60))  # nothing to learn but by heart
    other = data.Dataset(normal(60, 20, seed=1), rng.integers(0, 2, 60))
    model = models.mlp((20, 64, 2))
    history = train.fit(model, noise, other, optimizer=nn.Adam(0.01), epochs=200, patience=5, progress=False)
    losses = [e.validation_loss for e in history.epochs]
    assert len(losses) < 200
    assert history.best_epoch == 1 + int(np.argmin(losses))
    assert len(losses) == history.best_epoch + 5
    assert train.evaluate(model, other).loss == pytest.approx(min(losses))  # type: ignore[type-var]
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss  # overfitting: this one kept falling


def test_the_best_or_the_last_epoch_is_kept() -> None:
    rate = lambda epoch: 0.01 if epoch < 4 else 0.5  # noqa: E731 - which undoes what was learned
    best, history = run(None, 6, schedule=rate)
    last, again = run(None, 6, schedule=rate, keep="last")
    assert history.best_epoch == again.best_epoch
    assert (history.best_epoch or 0) < 6
    parts = data.split(blobs(), seed=1)
    of_best, of_last = (train.evaluate(model, parts.validation).loss for model in (best, last))
    assert of_best == pytest.approx(history.epochs[(history.best_epoch or 0) - 1].validation_loss)
    assert of_last == pytest.approx(history.epochs[-1].validation_loss)
    with pytest.raises(ValueError, match="fit: keep must be"):
        run(None, 1, keep="all")


def test_divergence_is_an_error_that_says_where() -> None:
    x = data.Dataset(np.full((8, 2), 1e30, "f4"), np.zeros((8, 1), "f4"))
    model = models.mlp((2, 4, 1))
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 1; a smaller learning rate"):
        train.fit(model, x, loss=ops.mse_loss_with_grad, optimizer=nn.SGD(1.0), epochs=2, progress=False)


@pytest.mark.parametrize(
    "options",
    [
        *({"epochs": value} for value in (0, -1, 1.5, "3", None, True)),
        *({"batch_size": value} for value in (0, "image", 1.5, None)),
        *({"patience": value} for value in (0, 2.5, "3")),
        *({"seed": value} for value in (-1, 1.5, "3")),
        *({"device": value} for value in ("gpu", None)),
        *({"loss": value} for value in ("entropy", 3)),
        *({"optimizer": value} for value in ("rmsprop", 0.1, nn.Adam)),
        *({name: 3} for name in ("augment", "schedule")),
        *({"sample_weight": value} for value in ([1.0], np.full(240, -1.0), np.full(240, np.nan))),
    ],
    ids=str,
)
def test_impossible_settings(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises((TypeError, ValueError), match=f"fit: {name} must be .*, got"):
        train.fit(small_model(), blobs(), **{"optimizer": nn.SGD(0.1), "progress": False, **options})


def test_empty_data() -> None:
    empty = blobs().subset(slice(0, 0))
    with pytest.raises(ValueError, match="empty"):
        train.fit(small_model(), empty, optimizer=nn.SGD(0.1))
    with pytest.raises(ValueError, match="empty"):
        train.evaluate(small_model(), empty)
    assert train.predict(small_model(), empty.x).shape == (0, 3)


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    run(tmp_path, 1)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(ValueError, match="training used Adam, not SGD"):
        train.fit(small_model(True), blobs(), optimizer=nn.SGD(0.1), checkpoint=path, progress=False)
    nn.save_state(small_model(), path)
    with pytest.raises(ValueError, match="no checkpoint"):
        train.fit(small_model(), blobs(), optimizer=nn.SGD(0.1), checkpoint=path, progress=False)


def test_history_is_saved(tmp_path: Path) -> None:
    _, history = run(None, 2)
    history.save(tmp_path / "history.json")
    assert train.History.load(tmp_path / "history.json") == history


def test_regression_with_the_schedule_and_the_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    x = normal(100, 3)
    points = data.Dataset(x, (x @ np.float32([[1], [2], [-1]])).astype("f4"))
    model = models.mlp((3, 1))
    history = train.fit(
        model,
        points,
        points,
        loss=ops.mse_loss_with_grad,
        optimizer=nn.SGD(1.0),
        schedule=lambda epoch: 0.3 / epoch**0.5,
        epochs=30,
        progress=True,
    )
    assert history.epochs[3].lr == 0.15
    assert history.epochs[0].train_accuracy is None
    np.testing.assert_allclose(model.parameters["fc1.weight"], [[1, 2, -1]], atol=0.05)
    assert "epoch  30/30" in capsys.readouterr().out


def test_gradient_descent_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="lr must be above 0 and finite"):
        train.gradient_descent(lambda w: w @ w, lambda w: 2 * w, [1.0], lr=0.0)
    with pytest.raises(ValueError, match="start's shape"):
        train.gradient_descent(lambda w: w @ w, lambda w: 1.0, [1.0, 2.0])


def test_lenet5_learns_the_digits() -> None:
    parts, augment = data.digits(), data.AffineAugmentation()
    model = models.lenet5()
    train.fit(
        model, parts.train, parts.validation, optimizer=nn.Adam(0.002), epochs=25, augment=augment, progress=False
    )
    assert train.evaluate(model, parts.test).accuracy >= 0.97


@pytest.mark.skipif(not HAVE_MNIST, reason=REASON)
def test_lenet5_learns_mnist() -> None:
    parts = data.mnist(MNIST, size=(32, 32))
    model = models.lenet5()
    train.fit(model, parts.train, parts.validation, optimizer=nn.Adam(0.002), epochs=2, progress=False)
    assert train.evaluate(model, parts.test).accuracy >= 0.975
