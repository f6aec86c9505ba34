"""Pictures of layers, rates and planes: that they show what is there."""

from __future__ import annotations

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, models, nn, train, viz


def test_feature_maps_are_those_of_the_node() -> None:
    model, image = models.lenet5(), normal(1, 32, 32)
    figure = viz.feature_maps(model, image, "conv2")
    model.forward(image[None])
    maps = model.value("conv2")[0]
    drawn = [axes.get_images()[0] for axes in figure.axes if axes.get_images()]
    assert len(drawn) == 16
    for picture, values in zip(drawn, maps, strict=True):
        np.testing.assert_array_equal(np.asarray(picture.get_array()), values)
        assert picture.get_clim() == (0, pytest.approx(float(maps.max())))
    assert figure.get_suptitle() == "conv2: 16 maps of 10 × 10"
    few = viz.feature_maps(model, image, "input", most=1)
    low, high = next(axes.get_images()[0] for axes in few.axes if axes.get_images()).get_clim()
    assert low == -high == -float(np.abs(image).max())
    for node, message in (("fc1", "has no maps"), ("conv9", "node must be one of input, conv1")):
        with pytest.raises(ValueError, match=message):
            viz.feature_maps(model, image, node)


def test_learning_rates_are_the_schedule() -> None:
    digits = data.digits().test.subset(range(64))
    history = train.fit(
        models.lenet5(), digits, optimizer=nn.SGD(0.1), epochs=3, schedule=lambda n: 0.1 / n, progress=False
    )
    (line,) = viz.learning_rates(history).axes[0].get_lines()
    np.testing.assert_allclose(np.asarray(line.get_xydata()), [[1, 0.1], [2, 0.05], [3, 0.1 / 3]])
    with pytest.raises(ValueError, match="no epochs to draw"):
        viz.learning_rates(train.History())


def test_a_decision_plane_is_the_model_on_it() -> None:
    points = data.toy_points("blobs", 40, seed=2)
    neuron = models.perceptron(2)
    neuron.learn(points.x, points.t.astype(np.float32))
    plane = viz.decision_plane(neuron, points, steps=9).axes[0].collections[0]
    assert set(np.unique(np.asarray(plane.get_array()))) <= {0.0, 1.0}
    with pytest.raises(ValueError, match="must give one number or two logits"):
        viz.decision_plane(nn.Sequential((2,), nn.Linear(2, 3)), points)


def test_a_confusion_matrix_says_how_much_of_every_class_was_recognised() -> None:
    figure = viz.confusion_matrix(np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 2, 2, 2]), 4)
    (axes,) = figure.axes
    (rates,) = axes.child_axes
    assert [label.get_text() for label in rates.get_yticklabels()] == ["67%", "0%", "100%", "none there"]
    assert axes.get_title() == "66.67% of 6 right"


def test_mistakes_say_what_they_were_taken_for() -> None:
    x, t = normal(2, 1, 4, 4), np.array([3, 1])
    probabilities = np.float32([[0.1, 0, 0.2, 0.1, 0.6], [0.3, 0.5, 0.2, 0, 0]])
    figure = viz.worst_mistakes(x, t, probabilities, rows=1, columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["3 (10%)\ntaken for 4 (60%)", "1 (50%)\nthen 0 (30%)"]


@pytest.mark.parametrize("name", data.TOYS)
def test_toy_points_are_the_same_every_time(name: str) -> None:
    first, again = (data.toy_points(name, 21, 0.2, 5) for _ in range(2))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.t, np.arange(21) % 2)
    assert np.abs(first.x).max() < 3
    with pytest.raises(ValueError, match="toy_points: name must be"):
        data.toy_points("moons")
