"""Batch normalisation in networks: gradients, running averages, files, folding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, nn, train
from support.small_training import blobs


def network(seed: int = 1) -> nn.Sequential:
    return nn.Sequential(
        (2, 6, 6),
        {
            "conv": nn.Conv2d(2, 4, 3, bias=False),
            "norm": nn.BatchNorm(4, activation="tanh"),
            "up": nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2),
            "norm_up": nn.BatchNorm(6),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(6 * 64, 3),
            "norm_fc": nn.BatchNorm(3, eps=1e-3),
        },
        seed=seed,
    )


def test_gradients_in_training() -> None:
    """Against differences of the loss in float64, whose only error is that of the float32 results, about 10⁻⁶/step."""
    model, x, step = network(), normal(5, 2, 6, 6), 1e-2
    dy = normal(5, 3, seed=1)

    def value() -> float:
        return float((dy.astype("f8") * model.forward(x, training=True)).sum())

    value()
    dx = model.backward(dy, input_gradient=True)
    checked = {**{name: (v, model.gradients[name]) for name, v in model.parameters.items()}, "x": (x, dx)}
    for name, (values, gradient) in checked.items():
        direction = normal(*values.shape, seed=4)
        direction /= np.linalg.norm(direction)
        before = values.copy()
        values[...] = before + step * direction
        up = value()
        values[...] = before - step * direction
        down = value()
        values[...] = before
        assert float((gradient * direction).sum()) == pytest.approx((up - down) / (2 * step), abs=5e-3), name


def test_use_after_training_depends_on_one_example_alone() -> None:
    model, x = network(), normal(6, 2, 6, 6)
    for _ in range(50):
        model.forward(x, training=True)
    together = model.forward(x)
    np.testing.assert_allclose(np.concatenate([model.forward(x[i : i + 1]) for i in range(6)]), together, atol=1e-5)
    # After so many batches of the same images the averages are those of the batch, but for 0.9⁵⁰ and count/(count − 1).
    close = np.abs(model.forward(x, training=True) - together).max()
    assert close < 0.4


def test_the_averages_are_saved_with_the_weights(tmp_path: Path) -> None:
    model, x = network(), normal(6, 2, 6, 6)
    model.forward(x, training=True)
    nn.save_state(model, tmp_path / "weights.safetensors")
    other = network(seed=2)
    nn.load_state(other, tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(other.forward(x), model.forward(x))
    assert {"norm.running_mean", "norm.running_var"} <= model.state.keys() - model.parameters.keys()


def small() -> nn.Sequential:
    return nn.Sequential((2,), nn.Linear(2, 8), nn.BatchNorm(8, activation="relu"), nn.Linear(8, 3), seed=3)


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def fit(model: nn.Graph, epochs: int, path: Path | None = None) -> None:
        options: dict[str, Any] = {"optimizer": nn.Adam(0.01), "batch_size": 16, "progress": False}
        train.fit(model, data.split(blobs()), epochs=epochs, checkpoint=path, **options)

    whole, resumed = small(), small()
    fit(whole, 4)
    fit(small(), 2, tmp_path / "checkpoint")
    fit(resumed, 4, tmp_path / "checkpoint")
    for name, value in whole.state.items():
        np.testing.assert_array_equal(value, resumed.state[name], err_msg=name)


def test_folding_gives_the_same_outputs() -> None:
    model, x = network(), normal(6, 2, 6, 6)
    for name, value in model.state.items():
        value[...] = np.abs(normal(*value.shape, seed=len(name))) + 0.1 if "norm" in name else value
    folded = nn.fold_batch_norm(model)
    assert [type(layer).__name__ for layer in folded.layers.values()] == [
        "Conv2d", "ConvTranspose2d", "Flatten", "Linear",
    ]  # fmt: skip
    before = model.forward(x)
    np.testing.assert_allclose(folded.forward(x), before, rtol=1e-5, atol=1e-5 * np.abs(before).max())


def test_what_cannot_be_folded_stays() -> None:
    conv = nn.Conv2d(2, 2, 3, padding=1)
    pool = nn.MaxPool2d(2)
    model = nn.Graph(
        {"x": (2, 4, 4)},
        {
            "active": (nn.Conv2d(2, 2, 1, activation="relu"), ["x"]),
            "norm1": (nn.BatchNorm(2), ["active"]),
            "twice": (nn.Conv2d(2, 2, 1), ["norm1"]),
            "norm2": (nn.BatchNorm(2), ["twice"]),
            "shared": (conv, ["norm2"]),
            "norm3": (nn.BatchNorm(2), ["shared"]),
            "again": (conv, ["norm3"]),
            "sum": (nn.Add(), ["again", "twice"]),
            "pool": (pool, ["sum"]),
            "up": (nn.MaxUnpool2d(pool), ["pool"]),
        },
        ["up"],
    )
    x = normal(3, 2, 4, 4)
    model.forward(x, training=True)
    folded = nn.fold_batch_norm(model)
    assert folded.layers.keys() == model.layers.keys()
    np.testing.assert_array_equal(folded.forward(x), model.forward(x))
    assert folded.state.keys() == model.state.keys()


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="channels"):
        nn.BatchNorm(0)
    with pytest.raises(ValueError, match="momentum"):
        nn.BatchNorm(3, momentum=2)
    with pytest.raises(ValueError, match="needs an input of 3 channels"):
        nn.Sequential((2, 4, 4), nn.BatchNorm(3))
