"""Layers and networks of clips: gradients, shapes, what they refuse, and what they learn on both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, metrics, models, nn, train
from dipkernels.models.video import MotionLoss
from support.device_ops import DEVICE
from support.gradients import check_gradients

LAYERS: dict[str, Callable[[], nn.Layer]] = {
    "conv3d": lambda: nn.Conv3d(2, 3, (2, 3, 2), (1, 2, 1), (1, 0, 1), rounding="floor", activation="tanh"),
    "conv3d_groups": lambda: nn.Conv3d(2, 4, 3, padding="same", groups=2, bias=False),
    "max_pool3d": lambda: nn.MaxPool3d((2, 2, 3), rounding="floor"),
    "avg_pool3d": lambda: nn.AvgPool3d((2, 3, 2), padding=(1, 0, 0), rounding="floor", count_include_pad=False),
    "global_avg_pool3d": nn.GlobalAvgPool3d,
    "frame": lambda: nn.Frame(1),
    "last_frame": lambda: nn.Frame(-1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_layers(name: str) -> None:
    model = nn.Sequential((2, 4, 6, 7), LAYERS[name]())
    x = normal(2, 2, 4, 6, 7)
    if name == "max_pool3d":  # far apart, so that no maximum changes
        x = (np.random.default_rng(0).permutation(x.size).reshape(x.shape) / 10).astype(np.float32)
    assert model.forward(x).shape[1:] == model.shapes[model.outputs[0]]
    check_gradients(model, x)


def test_unpooling_undoes_pooling() -> None:
    pool = nn.MaxPool3d(2)
    model = nn.Sequential((1, 4, 4, 6), pool, nn.MaxUnpool3d(pool))
    x = np.abs(normal(2, 1, 4, 4, 6)) + 1
    y = model.forward(x)
    assert y.shape == x.shape
    assert ((y == 0) | (y == x)).all()
    assert (y > 0).sum() == x.size // 8
    check_gradients(model, (np.random.default_rng(0).permutation(x.size).reshape(x.shape) / 10).astype(np.float32))
    with pytest.raises(TypeError, match="MaxUnpool3d: pool must be the MaxPool3d"):
        nn.MaxUnpool3d(nn.MaxPool2d(2))  # type: ignore[arg-type]


def test_learned_numbers() -> None:
    model = nn.Graph({"x": (3,)}, {"y": (nn.Linear(3, 2), ["x"]), "s": (nn.Weights(2, (0.5, -1)), ["x"])}, ["y", "s"])
    _, s = model.forward(normal(4, 3))
    np.testing.assert_array_equal(s, np.float32([0.5, -1]))
    model.backward(np.zeros((4, 2), np.float32), np.float32([1, 2]))
    np.testing.assert_array_equal(model.gradients["s.values"], [1, 2])
    with pytest.raises(ValueError, match="start must be a finite number"):
        nn.Weights(2, (1, 2, 3))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Conv3d(2, 3, 0), "kernel_size must be at least 1"),
        (lambda: nn.Conv3d(3, 4, 3, groups=2), "groups must divide"),
        (lambda: nn.Sequential((2, 6, 6), nn.Conv3d(2, 3, 3)), r"Conv3d: needs an input \(2, D, H, W\)"),
        (lambda: nn.Sequential((2, 6, 6), nn.MaxPool3d(2)), r"MaxPool3d: needs an input \(C, D, H, W\)"),
        (lambda: nn.Sequential((2, 4, 6, 6), nn.Frame(4)), "Frame: index must be from -4 to 3"),
        (lambda: models.slow_fusion(2, (1, 5, 32, 32)), "slow_fusion: input_shape must have at least 6 frames"),
        (lambda: models.late_fusion(2, distance=10), "distance must be below the number of frames"),
        (lambda: models.c3d(2, (1, 4, 8, 8)), "large enough to be halved 5 times"),
        (lambda: models.single_frame({"digit": 1}), "classes of 'digit' must be at least 2"),
        (lambda: models.MotionNet((1, 5, 30, 32)), "multiples of 4"),
        (lambda: models.multi_head({}), "a dictionary of at least 1"),
    ],
)
def test_what_cannot_be(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_what_a_neuron_sees_of_the_time() -> None:
    fields = nn.summary(models.slow_fusion(8)).splitlines()
    sees = {line.split()[0]: line.rsplit("  ", 1)[-1] for line in fields if "×" in line}
    assert sees["stage1_conv"] == "4 × 3 × 3"
    assert sees["stage2_conv"] == "6 × 8 × 8"
    assert sees["stage3_conv"] == "10 × 18 × 18"


def test_c3d_is_the_papers() -> None:
    model = models.c3d()
    assert model.shapes["pool5"] == (512, 1, 4, 4)
    # 27.66 million weights of convolutions, and those of the layers behind them.
    convolutions = sum(v.size for n, v in model.parameters.items() if n.startswith("conv"))
    assert convolutions == sum(27 * a * b + b for a, b in [(3, 64), (64, 128), (128, 256), (256, 256), (256, 512), *[(512, 512)] * 3])  # fmt: skip # noqa: E501


NETWORKS: dict[str, Callable[[], nn.Graph]] = {
    "single_frame": lambda: models.single_frame(4, (1, 6, 16, 16), channels=(8, 16), hidden=16),
    "late_fusion": lambda: models.late_fusion(4, (1, 6, 16, 16), channels=(8, 16), hidden=16),
    "early_fusion": lambda: models.early_fusion(4, (1, 6, 16, 16), channels=(8, 16), hidden=16),
    "slow_fusion": lambda: models.slow_fusion(4, (1, 6, 16, 16), channels=(8, 16, 16), hidden=16),
    "c3d": lambda: models.c3d(4, (1, 6, 16, 16), channels=((8,), (16, 16)), hidden=16, dropout=0.0),
}


def bars(n: int, seed: int = 0) -> data.Dataset:
    """A bar of 4 × 4 that moves right, down, left or up, from anywhere: (n, 1, 6, 16, 16)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.05, (n, 1, 6, 16, 16)).astype(np.float32)
    t = rng.integers(0, 4, n)
    for clip, direction in zip(x[:, 0], t, strict=True):
        step = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)][direction])
        middle = rng.integers(3, 10, 2)
        for number, frame in enumerate(clip):
            top, left = middle + (number - 3) * step
            frame[top : top + 4, left : left + 4] += 1
    return data.Dataset(x, t)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", NETWORKS)
def test_only_several_frames_tell_where_it_goes(name: str, device: Any) -> None:
    if device == "cuda" and DEVICE == "cpu":
        pytest.skip("runs where DIPKERNELS_DEVICE is cuda or emulated")
    model, parts = NETWORKS[name](), (bars(400 if device == "cpu" else 24), bars(100, 1))
    epochs = 12 if device == "cpu" else 2
    history = train.fit(
        model, parts[0], optimizer=nn.Adam(0.005), epochs=epochs, batch_size=32 if device == "cpu" else 12, keep="last",
        device=device, progress=False,
    )  # fmt: skip
    assert np.isfinite(history.epochs[-1].train_loss)
    if device != "cpu":
        on_cpu = NETWORKS[name]()
        other = train.fit(
            on_cpu, parts[0], optimizer=nn.Adam(0.005), epochs=epochs, batch_size=12, keep="last", progress=False
        )
        # Four steps, whose sums are taken in other orders.
        assert history.epochs[-1].train_loss == pytest.approx(other.epochs[-1].train_loss, rel=1e-3)
        return
    right = train.evaluate(model, parts[1]).accuracy
    assert right is not None
    assert (right < 0.5) == (name == "single_frame"), right


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_motion_net_learns_velocities(device: Any) -> None:
    if device == "cuda" and DEVICE == "cpu":
        pytest.skip("runs where DIPKERNELS_DEVICE is cuda or emulated")
    few = bars(200 if device == "cpu" else 16)
    t = np.zeros((len(few), 3, 16, 16), np.float32)
    for target, clip, direction in zip(t, few.x[:, 0], few.t, strict=True):
        inside = clip[3] > 0.5
        target[:, inside] = np.float32([*[(0, 1), (1, 0), (0, -1), (-1, 0)][direction], 1])[:, None]
    model = models.MotionNet((1, 6, 16, 16), width=8)
    history = train.fit(
        model, few.x, t, loss=model.loss, optimizer=nn.Adam(0.01), epochs=15 if device == "cpu" else 1, batch_size=16,
        keep="last", device=device, progress=False,
    )  # fmt: skip
    assert np.isfinite(history.epochs[-1].train_loss)
    if device == "cpu":
        errors = metrics.velocity_errors(train.predict(model, few.x), t)
        assert len(errors) == len(few)
        assert errors.mean() < 0.4  # where all is taken to stand still it is 1


def test_the_motion_loss_is_its_formula() -> None:
    outputs, t = normal(2, 2, 3, 4), normal(2, 3, 3, 4, seed=1)
    t[:, 2] = np.random.default_rng(0).integers(0, 3, (2, 3, 4))
    value, gradient = MotionLoss()(outputs, t)
    mask = t[:, 2:] > 0
    assert value == pytest.approx(float((mask * (outputs - t[:, :2]) ** 2).sum() / 2 / mask.sum()), rel=1e-6)
    moved = outputs + np.float32(1e-2) * gradient
    slope = (MotionLoss()(moved, t)[0] - value) / 1e-2
    assert slope == pytest.approx(float(np.square(gradient, dtype=np.float64).sum()), rel=0.02)
    assert (gradient[np.broadcast_to(~mask, gradient.shape)] == 0).all()
    with pytest.raises(ValueError, match="found must be"):
        metrics.velocity_errors(outputs, outputs)
