"""Networks that look at every place, and at every pixel: convolutionalized classifiers, SegNet, FCN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import models, nn
from dipkernels.models.encoder_decoder import UPSAMPLINGS
from support.gradients import check_gradients


def small_classifier(**options: Any) -> nn.Sequential:
    return nn.Sequential(
        (2, 12, 10),
        {
            "conv1": nn.Conv2d(2, 3, 3, activation="relu"),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(3, 4, 2, activation="relu"),
            "flatten": nn.Flatten(),
            "dropout": nn.Dropout(0.5),
            "fc1": nn.Linear(48, 7, activation="relu"),
            "fc2": nn.Linear(7, 5),
        },
        **options,
    )


def windows(model: nn.Graph, image: Any, step: int) -> Any:
    """The scores of the classifier at every place of a larger image, (classes, rows, columns)."""
    (_, height, width) = next(iter(model.inputs.values()))
    rows, columns = ((n - m) // step + 1 for n, m in zip(image.shape[2:], (height, width), strict=True))
    crops = [
        image[0, :, i * step : i * step + height, j * step : j * step + width]
        for i in range(rows)
        for j in range(columns)
    ]
    return np.moveaxis(model.forward(np.stack(crops)).reshape(rows, columns, -1), -1, 0)


def test_convolutionalized_is_the_classifier_at_its_own_size() -> None:
    model, x = small_classifier(seed=1), normal(3, 2, 12, 10)
    scores = models.convolutionalize(model).forward(x)
    assert scores.shape == (3, 5, 1, 1)
    np.testing.assert_allclose(scores[:, :, 0, 0], model.forward(x), atol=1e-5)


def test_convolutionalized_is_the_sliding_window_bit_for_bit() -> None:
    """In small whole numbers every sum is exact, whatever its order: the windows are the same, and nothing else."""
    model = small_classifier()
    rng = np.random.default_rng(0)
    for value in model.parameters.values():
        value[...] = rng.integers(-2, 3, value.shape)
    image = rng.integers(-2, 3, (1, 2, 30, 27)).astype(np.float32)
    got = models.convolutionalize(model, (30, 27)).forward(image)[0]
    expected = windows(model, image, 2)
    assert got.shape == expected.shape == (5, 10, 9)
    np.testing.assert_array_equal(got, expected)


def test_lenet5_finds_a_digit_on_a_canvas() -> None:
    model, image = models.lenet5(seed=2), normal(1, 1, 64, 48)
    got = models.convolutionalize(model, (64, 48)).forward(image)[0]
    np.testing.assert_allclose(got, windows(model, image, 4), atol=2e-4)


def test_the_copy_has_weights_of_its_own() -> None:
    model = small_classifier()
    copy = models.convolutionalize(model)
    copy.parameters["fc1.weight"][...] = 7
    copy.parameters["conv1.weight"][...] = 7
    assert not (model.parameters["fc1.weight"] == 7).any()
    assert not (model.parameters["conv1.weight"] == 7).any()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: models.mlp(), "takes images"),
        (lambda: nn.Sequential((1, 4, 4), nn.Conv2d(1, 2, 3)), "no linear layer"),
        (lambda: nn.Sequential((1, 4, 4), nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 2)), "pads"),
        (lambda: models.segnet(2, (1, 8, 8), channels=(2,)), "no linear layer|pads"),
    ],
)
def test_what_cannot_be_convolutionalized(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.convolutionalize(model())


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("build", [models.segnet, models.fcn])
def test_every_pixel_gets_scores_and_a_gradient(build: Any, upsampling: Any) -> None:
    """On a size that cannot be halved evenly. Gradients are those of use, where batches have no say."""
    model = build(3, (2, 13, 10), channels=(3, 4), upsampling=upsampling)
    x = normal(2, 2, 13, 10)
    for _ in range(3):
        assert model.forward(x, training=True).shape == (2, 3, 13, 10)
    # ReLU has no derivative at 0, near which some of so many numbers are.
    for layer in model.layers.values():
        if isinstance(layer, nn.BatchNorm) and layer.activation:
            layer.activation = "tanh"
    # A longer step would move maxima, which then go back to another place.
    check_gradients(model, x, step=1e-4, tolerance=4e-4)


def test_learns_a_mask_in_a_few_steps() -> None:
    from dipkernels import ops

    rng = np.random.default_rng(0)
    t = np.zeros((8, 16, 16), np.int64)
    for mask in t:
        top, left = rng.integers(0, 8, 2)
        mask[top : top + 8, left : left + 8] = 1
    x = (t[:, None] + normal(8, 1, 16, 16) * 0.3).astype(np.float32)
    for build in (models.segnet, models.fcn):
        model, optimizer = build(2, (1, 16, 16), channels=(4, 8)), nn.Adam(0.01)
        for _ in range(60):
            loss, gradient = ops.cross_entropy_with_grad(model.forward(x, training=True), t)
            model.backward(gradient)
            optimizer.step(model.parameters, model.gradients)
        assert loss < 0.1
        assert (model.forward(x).argmax(1) == t).mean() > 0.95


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="upsampling must be"):
        models.segnet(3, upsampling="magic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="halved"):
        models.fcn(3, (1, 6, 6), channels=(2, 2, 2))
    with pytest.raises(ValueError, match="classes must be at least 2"):
        models.segnet(1)
