"""Whole networks: unpooling by stored positions, layers that are several nodes, dropout, trained on both backends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, models, nn, ops, train
from support.device_ops import DEVICE
from support.gradients import check_gradients

DEVICES = ["cpu"] if DEVICE == "cpu" else ["cpu", "cuda"]


def encoder_decoder(size: int = 8, rounding: Any = "exact", activation: Any = "relu") -> nn.Sequential:
    pool = nn.MaxPool2d(2, rounding=rounding)
    return nn.Sequential(
        (1, size, size),
        nn.Conv2d(1, 4, 3, padding=1, activation=activation),
        pool,
        nn.MaxUnpool2d(pool),
        nn.Conv2d(4, 1, 3, padding=1),
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("size", "rounding"), [(8, "exact"), (9, "floor"), (9, "ceil")])
def test_an_encoder_decoder_with_unpooling_is_trained(size: int, rounding: Any, device: Any) -> None:
    x = normal(24, 1, size, size)
    model = encoder_decoder(size, rounding)
    assert model.shapes["maxunpool2d1"] == (4, size, size)
    history = train.fit(
        model, x, x, loss="mse", optimizer=nn.Adam(0.01), epochs=12, batch_size=8, progress=False, device=device
    )
    assert history.epochs[-1].train_loss < 0.7 * history.epochs[0].train_loss
    assert model.forward(x).shape == x.shape


def test_unpooling_has_the_same_gradients_fused_and_not() -> None:
    model, x, dy = encoder_decoder(), normal(20, 1, 8, 8), normal(20, 1, 8, 8, seed=1)
    found = []
    for training in (True, False):
        y = model.forward(x, training=training)
        model.backward(dy)
        found.append((y, *model.gradients.values()))
    for fused, single in zip(*found, strict=True):
        np.testing.assert_allclose(fused, single, rtol=1e-4, atol=1e-4)
    # Steps so small that no maximum changes its place.
    check_gradients(encoder_decoder(activation="tanh"), normal(2, 1, 8, 8), step=1e-3)


def test_what_unpooling_reads_is_computed_first() -> None:
    pool = nn.MaxPool2d(2)
    model = nn.Graph(
        {"x": (2, 4, 4), "small": (2, 2, 2)},
        {"back": (nn.MaxUnpool2d(pool), ["small"]), "pool": (pool, ["x"]), "sum": (nn.Add(), ["pool", "small"])},
        ["back", "sum"],
    )
    assert model.order.index("pool") < model.order.index("back")
    x, small = normal(3, 2, 4, 4), normal(3, 2, 2, 2, seed=1)
    back, _ = model.forward(x, small)
    np.testing.assert_array_equal(back, ops.max_unpool2d(small, ops.max_pool2d_with_indices(x, 2)[1], 2))


def test_unpooling_that_cannot_be() -> None:
    with pytest.raises(TypeError, match="MaxUnpool2d: pool must be the MaxPool2d"):
        nn.MaxUnpool2d(nn.AvgPool2d(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="its MaxPool2d is no node of this graph"):
        nn.Sequential((1, 4, 4), nn.MaxUnpool2d(nn.MaxPool2d(2)))
    pool = nn.MaxPool2d(2)
    with pytest.raises(
        ValueError, match=r"needs an input of the size that was pooled to, \(1, 2, 2\), got \(1, 4, 4\)"
    ):
        nn.Sequential((1, 4, 4), pool, nn.UpsampleNearest2d(2), nn.MaxUnpool2d(pool))


def siamese(shared: bool = True) -> nn.Graph:
    one = nn.Conv2d(1, 3, 3, activation="tanh")
    other = one if shared else nn.Conv2d(1, 3, 3, activation="tanh")
    return nn.Graph(
        {"a": (1, 6, 6), "b": (1, 6, 6)},
        {
            "left": (one, ["a"]),
            "right": (other, ["b"]),
            "both": (nn.Concatenate(), ["left", "right"]),
            "flat": (nn.Flatten(), ["both"]),
            "out": (nn.Linear(96, 2), ["flat"]),
        },
        ["out"],
        initializer="glorot_uniform",
    )


def test_a_layer_that_is_two_nodes_has_one_set_of_weights_and_the_sum_of_gradients() -> None:
    a, b = normal(2, 1, 6, 6), normal(2, 1, 6, 6, seed=1)
    model, apart = siamese(), siamese(shared=False)
    assert list(model.parameters) == ["left.weight", "left.bias", "out.weight", "out.bias"]
    assert model.parameter_count == apart.parameter_count - 30
    check_gradients(model, a, b)
    for name, value in apart.parameters.items():
        value[...] = model.parameters[name.replace("right", "left")]
    dy = normal(2, 2, seed=2)
    for each in (model, apart):
        each.forward(a, b, training=True)
        each.backward(dy)
    both = apart.gradients["left.weight"] + apart.gradients["right.weight"]
    np.testing.assert_allclose(model.gradients["left.weight"], both, rtol=1e-5, atol=1e-6)
    assert "of left" in nn.summary(model)


@pytest.mark.parametrize("device", DEVICES)
def test_shared_layers_are_trained(device: Any) -> None:
    layer = nn.Linear(6, 6, activation="tanh")
    model = nn.Sequential((6,), layer, layer, nn.Linear(6, 3))
    x = normal(60, 6)
    t = (x[:, :3]).argmax(1)
    history = train.fit(model, x, t, optimizer=nn.Adam(0.02), epochs=15, batch_size=10, progress=False, device=device)
    assert history.epochs[-1].train_accuracy > 0.8  # type: ignore[operator]
    assert len(model.parameters) == 4


def test_dropouts_of_a_network_differ_and_are_the_same_on_every_run() -> None:
    def network() -> nn.Sequential:
        return nn.Sequential((400,), nn.Dropout(0.5), nn.Dropout(0.5))

    assert nn.Dropout().seed != nn.Dropout().seed
    first, again = network(), network()
    masks = [layer.seed for layer in first.layers.values()]
    assert masks == [layer.seed for layer in again.layers.values()]
    assert len(set(masks)) == 2
    y = first.forward(np.ones((1, 400), np.float32), training=True)
    assert 0.15 < (y != 0).mean() < 0.35  # a quarter is kept by both
    np.testing.assert_array_equal(y, again.forward(np.ones((1, 400), np.float32), training=True))
    assert not nn.Dropout(1.0).forward(np.ones((3, 3), np.float32), training=True).any()
    given = nn.Dropout(0.5, seed=77)
    nn.Sequential((4,), nn.Linear(4, 4), given)
    assert given.seed == 77


def test_layers_take_what_their_operators_take() -> None:
    x = normal(2, 3, 9, 10)
    model = nn.Sequential(
        (3, 9, 10),
        nn.Conv2d(3, 4, 3, stride=2, padding=((0, 1), (2, 0)), rounding="floor"),
        nn.MaxPool2d(2, 1, dilation=2),
        nn.AvgPool2d(2, 1, padding=1, count_include_pad=False, rounding="ceil"),
        nn.UpsampleNearest2d(size=(7, 5)),
        nn.Conv2d(4, 2, 2, stride=3, padding="same", activation="tanh"),
    )
    assert model.forward(x).shape == (2, *model.shapes["conv2d2"]) == (2, 2, 3, 2)
    check_gradients(
        nn.Sequential((2, 5, 6), nn.Conv2d(2, 3, 4, stride=2, padding="same", activation="tanh"), nn.AvgPool2d(2, 1)),
        normal(2, 2, 5, 6),
    )


def test_models_and_layers_are_called() -> None:
    model, x = models.lenet5(), normal(2, 1, 32, 32)
    np.testing.assert_array_equal(model(x), model.forward(x))
    layer = nn.Linear(4, 2)
    np.testing.assert_array_equal(layer(normal(3, 4)), layer.forward(normal(3, 4)))


def test_linear_layers_of_sequences() -> None:
    model = nn.Sequential((3, 5), nn.Linear(5, 4, activation="tanh"), nn.Flatten(), nn.Linear(12, 2))
    assert model.shapes["linear1"] == (3, 4)
    check_gradients(model, normal(2, 3, 5))


def test_a_list_is_no_array() -> None:
    with pytest.raises(TypeError, match=r"forward: input must be an array, got \[\[1, 2\]\]"):
        nn.Sequential((2,), nn.Linear(2, 1)).forward([[1, 2]])  # type: ignore[arg-type]


def test_summary_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    models.lenet5().summary()
    assert capsys.readouterr().out.splitlines()[-1].split() == ["total", "63,802"]


def test_rates_by_name() -> None:
    model = nn.Sequential((3,), nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = nn.SGD(0.1, weight_decay=0.5, groups={"*.bias": {"weight_decay": 0.0}, "linear2.*": {"lr": 0.01}})
    before = {name: value.copy() for name, value in model.parameters.items()}
    gradients = {name: np.ones_like(value) for name, value in model.parameters.items()}
    optimizer.step(model.parameters, gradients)
    optimizer.lr = 0.05  # as a schedule does
    rates = optimizer.rates(list(model.parameters))
    assert rates["lr"] == [0.05, 0.05, 0.005, 0.05]
    assert rates["weight_decay"] == [0.5, 0.0, 0.5, 0.0]
    for name, lr, decay in [("linear1.weight", 0.1, 0.5), ("linear1.bias", 0.1, 0.0), ("linear2.weight", 0.01, 0.5)]:
        expected = before[name] - lr * (1 + decay * before[name])
        np.testing.assert_allclose(model.parameters[name], expected, rtol=1e-6)


@pytest.mark.parametrize("optimizer", [nn.SGD(0.5, clip_norm=0.1), nn.Adam(0.01, amsgrad=True, clip_value=0.01)])
def test_clipped_training(optimizer: nn.Optimizer) -> None:
    x = normal(40, 5)
    points = data.Dataset(x, x[:, :1] * 100)
    model = nn.Sequential((5,), nn.Linear(5, 1))
    before = model.parameters["linear1.weight"].copy()
    train.fit(model, points, loss="mse", optimizer=optimizer, epochs=1, batch_size="epoch", progress=False)
    step = np.linalg.norm(model.parameters["linear1.weight"] - before)
    assert 0 < step <= 0.0501
