"""What decides a guess: on networks of which it is known."""

from __future__ import annotations

import numpy as np
import pytest

from cases.case import normal
from dipkernels import models, nn, ops, viz


def linear(weight: np.ndarray) -> nn.Graph:
    """Logits that are sums of the pixels, each times its weight (classes, C, H, W)."""
    model = nn.Sequential(weight.shape[1:], nn.Flatten(), nn.Linear(weight[0].size, len(weight), bias=False))
    model.parameters["linear1.weight"][...] = weight.reshape(len(weight), -1)
    return model


def test_the_gradient_of_a_linear_network_is_its_weights() -> None:
    weight = normal(3, 2, 5, 6)
    found = viz.gradient_map(linear(weight), normal(2, 5, 6, seed=1), 2)
    np.testing.assert_array_equal(found, np.abs(weight[2]).max(0))


def test_the_gradient_is_that_of_the_first_guess() -> None:
    model, image = models.lenet5(seed=3), normal(1, 32, 32)
    first = int(model.forward(image[None]).argmax())
    np.testing.assert_array_equal(viz.gradient_map(model, image), viz.gradient_map(model, image, first))
    step = np.float32(1e-2)
    place = np.unravel_index(viz.gradient_map(model, image).argmax(), (32, 32))
    changed = image.copy()
    changed[0, place[0], place[1]] += step
    slope = (model.forward(changed[None]) - model.forward(image[None]))[0, first] / step
    assert abs(slope) == pytest.approx(viz.gradient_map(model, image).max(), rel=0.05)


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 2), (4, 4), (5, 3)])
def test_occlusion_finds_the_pixels_that_count(size: int, stride: int) -> None:
    weight = np.zeros((2, 1, 9, 10), np.float32)
    weight[1, 0, 4, 6] = 5  # class 1 where this pixel is 1
    image = np.ones((1, 9, 10), np.float32)
    model = linear(weight)
    lost = viz.occlusion_map(model, image, 1, size=size, stride=stride)
    whole, half = (float(ops.softmax(model.forward(x[None]), 1)[0, 1]) for x in (image, 0 * image))
    assert lost.shape == (9, 10)
    assert lost[4, 6] == pytest.approx(whole - half, rel=1e-5)
    far = np.hypot(*np.mgrid[-4:5, -6:4]) >= 1.5 * size
    assert (np.abs(lost[far]) < 1e-6).all()
    np.testing.assert_allclose(viz.occlusion_map(model, image, 0, size=size, stride=stride), -lost, atol=1e-6)


def test_the_picture_and_what_is_refused() -> None:
    model, image = models.lenet5(), normal(1, 32, 32)
    figure = viz.saliency(model, image)
    assert [axes.get_title() for axes in figure.axes[1:3]] == [
        "|gradient| of its logit",
        "probability lost where hidden",
    ]
    with pytest.raises(ValueError, match=r"gradient_map: target must be a class from 0 to 9, got 10"):
        viz.gradient_map(model, image, 10)
    with pytest.raises(ValueError, match="stride must not be above size"):
        viz.occlusion_map(model, image, size=2, stride=3)
    with pytest.raises(ValueError, match="must have one input, images"):
        viz.gradient_map(nn.Sequential((4,), nn.Linear(4, 3)), normal(1, 2, 2))
    with pytest.raises(ValueError, match="one row of logits"):
        viz.saliency(nn.Sequential((1, 4, 4), nn.Conv2d(1, 2, 3)), normal(1, 4, 4))
