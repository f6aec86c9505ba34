"""Several tasks on one trunk, and the automated focal loss in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, models, nn, ops, train
from support.device_ops import DEVICE
from support.small_training import blobs

HEADS = {"class": 3, "value": 2}
TASKS = [
    train.HeadTask("class", "cross_entropy", lambda t: t[:, 0].astype(np.int64), weight=2.0),
    train.HeadTask("value", "mse", lambda t: np.ascontiguousarray(t[:, 1:])),
]


def both(n: int = 60, seed: int = 0) -> data.Dataset:
    """Images of a bar whose place is the class, and two numbers that follow from it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.1, (n, 1, 8, 8)).astype(np.float32)
    label = rng.integers(0, 3, n)
    for image, where in zip(x[:, 0], label, strict=True):
        image[2 * where : 2 * where + 2] += 1
    return data.Dataset(x, np.stack([label, label - 1, 1 - label], 1).astype(np.float32))


def network(log_variances: bool = False) -> nn.Graph:
    return models.multi_head(HEADS, (1, 8, 8), channels=(8,), hidden=16, log_variances=log_variances)


def test_the_loss_is_the_weighted_sum() -> None:
    outputs, t = (normal(5, 3), normal(5, 2, seed=1)), both(5).t
    loss = train.MultiTaskLoss(TASKS)
    value, gradients = loss(outputs, t)
    first, second = loss.parts(outputs, t)
    assert value == pytest.approx(2 * first[0] + second[0])
    np.testing.assert_allclose(gradients[0], 2 * first[1], rtol=1e-6)
    np.testing.assert_array_equal(gradients[1], second[1])
    only, (zero, same) = train.MultiTaskLoss(TASKS, active=[1])(outputs, t)
    assert only == pytest.approx(second[0])
    assert not zero.any()
    np.testing.assert_array_equal(same, second[1])


def test_weights_by_uncertainty() -> None:
    """Σ exp(−s)·L + ½·s, whose derivative by s is ½ − exp(−s)·L: 0 where exp(s) is 2·L."""
    s = np.float32([0.3, -0.7])
    outputs, t = (normal(5, 3), normal(5, 2, seed=1), s), both(5).t
    loss = train.MultiTaskLoss(TASKS, "uncertainty")
    value, (*gradients, ds) = loss(outputs, t)
    parts = loss.parts(outputs, t)
    losses = np.array([part[0] for part in parts])
    assert value == pytest.approx(float((np.exp(-s) * losses + s / 2).sum()), rel=1e-6)
    np.testing.assert_allclose(ds, 0.5 - np.exp(-s) * losses, rtol=1e-5)
    for gradient, weight, (_, plain) in zip(gradients, np.exp(-s), parts, strict=True):
        np.testing.assert_allclose(gradient, weight * plain, rtol=1e-5)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    "options", [{}, {"weighting": "uncertainty"}, {"schedule": "alternating"}, {"schedule": "consecutive"}], ids=str
)
def test_schedules(options: dict[str, Any], device: Any) -> None:
    if device == "cuda" and DEVICE == "cpu":
        pytest.skip("runs where DIPKERNELS_DEVICE is cuda or emulated")
    splits = data.Splits(both(120), both(40, 1), both(40, 2))
    model = network(options.get("weighting") == "uncertainty")
    epochs = 10 if device == "cpu" else 1
    found = train.fit_tasks(
        model, splits, TASKS, optimizer=lambda: nn.Adam(0.01), epochs=epochs, batch_size=20, progress=False,
        device=device, **options,
    )  # fmt: skip
    rounds = epochs * (2 if options.get("schedule") == "consecutive" else 1)
    assert found.scores.shape == (rounds, 2)
    assert np.isfinite(found.scores).all()
    if options.get("schedule") == "consecutive":
        assert found.learned[0] == ("class",)
        assert found.learned[-1] == ("value",)
    if device == "cpu":
        last = train.task_scores(model, splits.test, TASKS)
        # What was learned last, or together, is known: guessing has a loss of log 3 and a mean square of 2/3.
        assert last[1] < 0.2
        if options.get("schedule") != "consecutive":
            assert last[0] < 0.3
    if "weighting" in options:
        assert found.log_variances is not None
        assert (found.log_variances != 0).all()


def test_what_is_no_loss_of_tasks() -> None:
    with pytest.raises(ValueError, match="weighting"):
        train.MultiTaskLoss(TASKS, "equal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have 3 outputs, got 2"):
        train.MultiTaskLoss(TASKS, "uncertainty")((normal(5, 3), normal(5, 2)), both(5).t)
    with pytest.raises(ValueError, match="schedule"):
        train.fit_tasks(network(), data.Splits(both(), both(), both()), TASKS, schedule="random", optimizer=nn.Adam)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="optimizer must be a function"):
        train.fit_tasks(network(), data.Splits(both(), both(), both()), TASKS, optimizer=nn.Adam())  # type: ignore[arg-type]


def test_slant_is_what_it_says() -> None:
    image = np.zeros((3, 1, 9, 9), np.float32)
    for row in range(9):
        image[0, 0, row, 4] = 1  # upright
        image[1, 0, row, 8 - row] = 1  # leans to the right, one column a row
    np.testing.assert_allclose(data.slant(image), [0, 1, 0])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_automated_focal_loss_follows_the_training(device: Any, tmp_path: Path) -> None:
    if device == "cuda" and DEVICE == "cpu":
        pytest.skip("runs where DIPKERNELS_DEVICE is cuda or emulated")
    points = data.Dataset(blobs().x, blobs().t)
    classes = int(points.t.max()) + 1

    def model() -> nn.Graph:
        shape = points.x.shape[1:]
        hidden = nn.Linear(int(np.prod(shape)), 16, activation="relu")
        return nn.Sequential(shape, nn.Flatten(), hidden, nn.Linear(16, classes))

    loss = train.AutomatedFocalLoss(start=1 / classes, momentum=0.8)
    before = loss.gamma
    history = train.fit(
        model(), points, points, loss=loss, optimizer=nn.Adam(0.02), epochs=4, batch_size=30, seed=1, device=device,
        progress=False,
    )  # fmt: skip
    assert loss.gamma < before
    # Validation changes nothing.
    state = loss.state()["running"].copy()
    evaluated = train.evaluate(model(), points, loss=loss)
    np.testing.assert_array_equal(loss.state()["running"], state)
    assert np.isfinite(evaluated.loss)
    # And a checkpoint goes on as if it had not stopped.
    path = tmp_path / "checkpoint"
    for epochs in (2, 4):
        again = train.AutomatedFocalLoss(start=1 / classes, momentum=0.8)
        resumed = train.fit(
            model(), points, points, loss=again, optimizer=nn.Adam(0.02), epochs=epochs, batch_size=30, seed=1,
            device=device, checkpoint=path, progress=False,
        )  # fmt: skip
    assert again.gamma == loss.gamma
    assert resumed.epochs[-1].train_loss == history.epochs[-1].train_loss


def test_the_automated_focal_loss_is_a_focal_loss() -> None:
    logits, t, weight = normal(20, 4), np.arange(20) % 4, np.float32([1, 2, 0.5, 1])
    loss = train.AutomatedFocalLoss(start=0.25, weight=weight, ignore_index=3)
    gamma = loss.gamma
    value, gradient = loss(logits, t)
    expected, of_focal = ops.focal_loss_with_grad(logits, t, gamma, weight, 3)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, of_focal, rtol=1e-4, atol=1e-7)
    assert loss.gamma != gamma
    for options in ({"start": 0.0}, {"start": 1.5}, {"momentum": 2.0}):
        with pytest.raises(ValueError, match="AutomatedFocalLoss"):
            train.AutomatedFocalLoss(**options)
