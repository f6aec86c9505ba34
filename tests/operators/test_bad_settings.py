"""Layers, optimizers, models, data and pictures made with what they cannot be: refused at once, by name and value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import cuda, data, models, nn, train, viz
from support.good_arguments import shown

NOT_INTS: list[Any] = ["text", None, 1.5, np.float32(2.0), True, (1, 2, 3), [], object(), np.zeros(3), 10**400]
NOT_POSITIVE: list[Any] = [*NOT_INTS, 0, -1]
NOT_PAIRS: list[Any] = [v for v in NOT_POSITIVE if v is not None]
NOT_RATES: list[Any] = ["0.1", None, True, -1, float("nan"), float("inf"), (0.1,), object(), 1j, np.zeros(2)]
NOT_SHARES: list[Any] = [*NOT_RATES, 1.5, 1.0]
NOT_FLAGS: list[Any] = ["yes", None, 0, 1, 2.0, np.zeros(2), object()]
NOT_ACTIVATIONS: list[Any] = ["gelu", 3, ("elu",), ("elu", "x"), ("leaky_relu", -1.0), ("elu", float("nan")), object()]

CONV = {"in_channels": 4, "out_channels": 6, "kernel_size": 3}
# what is made, with what, which argument is spoiled, and everything that it must not be
SETTINGS: list[tuple[Callable[..., Any], dict[str, Any], str, list[Any]]] = [
    *((nn.Conv2d, CONV, name, NOT_POSITIVE) for name in ("in_channels", "out_channels", "groups")),
    *((nn.Conv2d, CONV, name, NOT_PAIRS) for name in ("kernel_size", "stride", "dilation")),
    (nn.Conv2d, CONV, "padding", ["full", None, -1, 1.5, (1, 2, 3), ((1, 2), (3,)), True]),
    (nn.Conv2d, CONV, "groups", [3, 4]),
    (nn.Conv2d, CONV, "bias", NOT_FLAGS),
    (nn.Conv2d, CONV, "rounding", ["ceil", "up", None, 1]),
    (nn.Conv2d, CONV, "activation", NOT_ACTIVATIONS),
    *((nn.Linear, {"in_features": 3, "out_features": 4}, n, NOT_POSITIVE) for n in ("in_features", "out_features")),
    (nn.Linear, {"in_features": 3, "out_features": 4}, "activation", NOT_ACTIVATIONS),
    (nn.Activation, {}, "activation", NOT_ACTIVATIONS),
    (nn.Maxout, {}, "pieces", NOT_POSITIVE),
    (nn.Dropout, {}, "p", [*NOT_RATES, 1.01]),
    (nn.Dropout, {}, "seed", [v for v in NOT_INTS if v is not None]),
    *(
        (layer, {"kernel_size": 2}, name, values)
        for layer in (nn.MaxPool2d, nn.AvgPool2d, nn.SumPool2d, nn.L2Pool2d)
        for name, values in [("kernel_size", NOT_PAIRS), ("stride", NOT_PAIRS), ("rounding", ["up", None, 1])]
    ),
    (nn.MaxPool2d, {"kernel_size": 2}, "dilation", NOT_PAIRS),
    (nn.AvgPool2d, {"kernel_size": 2}, "count_include_pad", NOT_FLAGS),
    (nn.UpsampleNearest2d, {}, "scale_factor", NOT_PAIRS),
    (nn.UpsampleNearest2d, {}, "size", NOT_PAIRS),
    (nn.BedOfNails2d, {}, "scale_factor", NOT_PAIRS),
    (nn.MaxUnpool2d, {}, "pool", [None, nn.AvgPool2d(2), nn.MaxPool2d, 2]),
    *(
        (optimizer, {"lr": 0.1}, name, NOT_RATES)
        for optimizer in (nn.SGD, nn.AdaGrad, nn.AdaDelta, nn.Adam)
        for name in ("lr", "weight_decay")
    ),
    *((nn.Adam, {}, name, [0, -1.0, float("nan"), "1", True]) for name in ("clip_norm", "clip_value")),
    (nn.SGD, {"lr": 0.1}, "momentum", NOT_SHARES),
    (nn.SGD, {"lr": 0.1, "momentum": 0.9}, "nesterov", NOT_FLAGS),
    (nn.AdaDelta, {}, "rho", NOT_SHARES),
    *((optimizer, {}, "eps", NOT_RATES) for optimizer in (nn.AdaGrad, nn.AdaDelta, nn.Adam)),
    (nn.Adam, {}, "betas", [0.9, (0.9,), (0.9, 0.99, 0.999), (0.9, 1.0), (-0.1, 0.9), ("a", 0.9), None, "ab"]),
    *((nn.Adam, {}, name, NOT_FLAGS) for name in ("decoupled", "amsgrad")),
    *((models.convnet, {}, name, NOT_INTS) for name in ("N", "M", "K")),
    (models.convnet, {"N": 1}, "M", [6, -1]),
    *((models.convnet, {}, name, NOT_POSITIVE) for name in ("channels", "hidden")),
    (models.convnet, {}, "pool", NOT_FLAGS),
    *((f, {"images": normal(2, 1, 8, 8), "size": 4}, "size", NOT_PAIRS) for f in (data.resample,)),
    *((f, {}, "size", NOT_PAIRS) for f in (data.digits,)),
    (data.digits, {}, "validation", [v for v in NOT_INTS if v is not None]),
]


@pytest.mark.parametrize(
    ("make", "others", "name", "value"),
    [
        pytest.param(make, others, name, value, id=f"{make.__name__}-{name}-{i}")
        for make, others, name, values in SETTINGS
        for i, value in enumerate(values)
    ],
)
def test_wrong_setting(make: Callable[..., Any], others: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make(**{**others, name: value})
    text = str(caught.value)
    assert text.startswith(f"{make.__name__}: "), text
    assert name in text, text
    assert "got" in text, text
    assert any(each in text for each in shown(value)), text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)),
            "the input's shape without the batch axis comes first",
        ),
        (lambda: nn.Sequential(nn.Linear, nn.Linear), "the input's shape without the batch axis comes first"),
        (
            lambda: nn.Sequential((2,), nn.Linear, nn.Linear),
            r"must be a layer, such as Linear\(784, 10\), got the class Linear",
        ),
        (lambda: nn.Sequential((2,), lambda x: x), "must be a layer, .* got an object of type function"),
        (lambda: nn.Sequential((2,)), "give at least one layer"),
        (lambda: nn.Sequential((2, 0), nn.Flatten()), "the shape of input 'input' must be at least 1, got 0"),
        (
            lambda: nn.Sequential("images", nn.Flatten()),
            "the shape of input 'input' must be a tuple of ints, got 'images'",
        ),
        (
            lambda: nn.SGD(0.1, groups={"*": {"rate": 1}}),
            'a setting of group .* must be "lr" or "weight_decay", got \'rate\'',
        ),
        (
            lambda: nn.SGD(0.1, groups={"*": {"lr": -1}}),
            r"groups\['\*'\]\['lr'\] must be at least 0 and finite, got -1",
        ),
        (lambda: nn.UpsampleNearest2d(2, 4), "give one of scale_factor and size, got 2 and 4"),
        (lambda: viz.loss_curves(train.History()), "history has no epochs to draw"),
        (
            lambda: viz.first_layer_filters(normal(300, 784)),
            r"got shape \(300, 784\); .*weight.reshape\(-1, 1, 28, 28\)",
        ),
        (lambda: train.evaluate(nn.Sequential((2,), nn.Linear(2, 2)), 3), "evaluate: data must be a Dataset, .* got 3"),
    ],
)
def test_what_to_write_instead_is_said(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_drawing_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    for draw in (
        lambda: viz.loss_curves(train.History()),
        lambda: viz.first_layer_filters(normal(2, 1, 3, 3)),
        lambda: viz.confusion_matrix(np.zeros(1, int), np.zeros(1, int), 2),
    ):
        with pytest.raises(ImportError, match=r'drawing needs matplotlib; pip install "dipkernels\[train\]"'):
            draw()


def test_packages_are_attributes() -> None:
    import dipkernels

    for name in ("data", "models", "nn", "reference", "train", "viz"):
        assert getattr(dipkernels, name).__name__ == f"dipkernels.{name}"
        assert name in dir(dipkernels)
    with pytest.raises(AttributeError, match="no attribute 'layers'"):
        dipkernels.layers  # noqa: B018


@pytest.mark.skipif(not cuda.is_available(), reason="needs a GPU or its emulation")
@pytest.mark.parametrize("device", ["0", 1.5, True, object()])
def test_devices_that_are_none(device: Any) -> None:
    with pytest.raises(TypeError, match="to_device: device must be an int, got"):
        cuda.to_device(normal(2), device)
