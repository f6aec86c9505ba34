"""Every number of the lecture "Digital Image Processing 03: Deep Learning Crash Course" that these models can show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dipkernels import models, nn, ops, train
from dipkernels.data import Dataset, affine
from dipkernels.nn.summary import receptive_fields

# Neurons


def test_step_function() -> None:
    np.testing.assert_array_equal(ops.step(np.float32([-2, 0, 1e-30, 3])), [0, 0, 1, 1])


def test_logistic_function_is_monotone_symmetric_and_ends_at_1() -> None:
    z = np.linspace(-30, 30, 1001, dtype=np.float32)
    f = ops.sigmoid(z)
    assert (np.diff(f) >= 0).all()
    np.testing.assert_allclose(f, 1 - ops.sigmoid(-z), atol=2**-23)  # two numbers near 1, each rounded
    assert ops.sigmoid(np.float32([100]))[0] == 1
    assert ops.sigmoid(np.float32([0]))[0] == 0.5


def test_perceptron_is_a_hyperplane() -> None:
    neuron = models.perceptron(2)
    neuron.parameters["neuron.weight"][...] = [[3, -2]]
    neuron.parameters["neuron.bias"][...] = 1
    points = np.float32([[0, 0], [-1, 0], [0, 1], [1, 2], [1, 1.9]])
    np.testing.assert_array_equal(neuron.forward(points).ravel(), (1 + points @ [3, -2] > 0).astype("f4"))


@pytest.mark.parametrize(("gate", "t"), [("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("nand", [1, 1, 1, 0])])
def test_rosenblatts_rule_learns_what_is_separable(gate: str, t: list[int]) -> None:
    x = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])
    neuron = models.perceptron(2)
    assert neuron.learn(x, np.float32(t))[-1] == 0
    np.testing.assert_array_equal(neuron.forward(x).ravel(), t)


def test_rosenblatts_rule_never_learns_xor() -> None:
    x = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])
    with pytest.warns(
        UserWarning, match="after 200 epochs . patterns are wrong; .* no line parts the classes, as with XOR"
    ):
        assert min(models.perceptron(2).learn(x, np.float32([0, 1, 1, 0]), epochs=200)) > 0


def test_leaky_relu_is_max_of_a_tenth() -> None:
    x = np.linspace(-3, 3, 101, dtype=np.float32)
    np.testing.assert_array_equal(ops.leaky_relu(x, 0.1), np.maximum(np.float32(0.1) * x, x))


def test_elu() -> None:
    x = np.float32([-3, -0.5, 0, 2])
    np.testing.assert_allclose(ops.elu(x, 1.5), np.where(x >= 0, x, 1.5 * np.expm1(x)), rtol=1e-6)


def test_maxout_of_two_linear_functions() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3), np.float32)
    w1, w2, (b1, b2) = *rng.standard_normal((2, 3), np.float32), rng.standard_normal(2, np.float32)
    both = ops.linear(x, np.stack([w1, w2]), np.float32([b1, b2]))
    np.testing.assert_allclose(ops.maxout(both, 2).ravel(), np.maximum(x @ w1 + b1, x @ w2 + b2), atol=1e-5)


# Multilayer perceptrons


def test_mlp_has_266610_weights() -> None:
    model = models.mlp()
    counts = [model.parameters[f"fc{i}.weight"].size + model.parameters[f"fc{i}.bias"].size for i in (1, 2, 3)]
    assert counts == [28 * 28 * 300 + 300, 300 * 100 + 100, 10 * 100 + 10] == [235500, 30100, 1010]
    assert model.parameter_count == 266610


def test_an_mlp_on_256_by_256_pixels_is_ten_times_the_lectures_figure() -> None:
    """The lecture says "almost 2 million"; 256·256·300 + 300 is almost 20 million."""
    assert models.mlp((256 * 256, 300)).parameter_count == 256 * 256 * 300 + 300 == 19661100


def test_neuron_graph_computes_the_forward_pass_by_hand() -> None:
    connections = [("x1", "h1"), ("x2", "h1"), ("x2", "h2"), ("h1", "h2"), ("h1", "y"), ("h2", "y"), ("x1", "y")]
    net = models.NeuronGraph(["x1", "x2"], connections, ["y"], "tanh", seed=3)
    assert net.parameter_count == 7 + 3
    rng = np.random.default_rng(1)
    for before, after in connections:
        net.set_weight(before, after, rng.normal())
    for neuron in ("h1", "h2", "y"):
        net.set_bias(neuron, rng.normal())
    x = rng.standard_normal((5, 2), np.float32)
    a: dict[str, Any] = {"x1": x[:, 0], "x2": x[:, 1]}
    for i in ("h1", "h2", "y"):  # in topological order
        a[i] = np.tanh(net.bias(i) + sum(net.weight(j, k) * a[j] for j, k in connections if k == i))
    np.testing.assert_allclose(net.forward(x)[:, 0], a["y"], atol=1e-6)


def test_neuron_graph_gradient_is_the_slope_of_half_the_squared_error() -> None:
    connections = [("x1", "h"), ("x2", "h"), ("h", "y"), ("x1", "y"), ("h", "z"), ("y", "z")]
    net = models.NeuronGraph(["x1", "x2"], connections, ["z", "y"], "sigmoid", seed=1)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((6, 2), np.float32), rng.random((6, 2), np.float32)
    _, dy = ops.half_sum_of_squares_with_grad(net.forward(x), t)
    net.backward(dy)
    layer = net.neurons
    h = 1e-2
    for before, after in connections:
        w = net.weight(before, after)
        depth, row = net._place(after)
        errors = []
        for shift in (h, -h):
            net.set_weight(before, after, w + shift)
            errors.append(ops.half_sum_of_squares(net.forward(x), t))
        net.set_weight(before, after, w)
        slope = (errors[0] - errors[1]) / (2 * h)  # error h²·f'''/6 + u·f/h, both below 1e-4
        assert layer.gradients[f"weight{depth}"][row, layer.column[before]] == pytest.approx(slope, abs=1e-4)
    for mask, depth in zip(layer.masks, (1, 2, 3), strict=True):
        assert not layer.gradients[f"weight{depth}"][mask == 0].any(), "a connection that is not there learned"


def test_xor_is_learned_with_a_shortcut() -> None:
    connections = [("x1", "h"), ("x2", "h"), ("x1", "y"), ("x2", "y"), ("h", "y")]
    x, t = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]]), np.float32([[0], [1], [1], [0]])
    net = models.NeuronGraph(["x1", "x2"], connections, ["y"], "tanh", seed=0)
    data = Dataset(x, t)
    history = train.fit(
        net, data, loss=ops.half_sum_of_squares_with_grad, optimizer=nn.Adam(0.05), epochs=800, batch_size="epoch",
        progress=False,
    )  # fmt: skip
    assert history.epochs[-1].train_loss < 1e-2
    np.testing.assert_array_equal(net.forward(x) > 0.5, t > 0.5)


def valley(w: Any) -> Any:
    """A quadratic whose curvatures differ by 25: where zig-zag happens."""
    return 0.5 * (w[0] ** 2 + 25 * w[1] ** 2)


def slope(w: Any) -> Any:
    return np.array([w[0], 25 * w[1]])


def test_gradient_descent_converges_diverges_and_zigzags() -> None:
    small = train.gradient_descent(valley, slope, [10.0, 1.0], lr=0.01)
    good = train.gradient_descent(valley, slope, [10.0, 1.0], lr=0.05)
    large = train.gradient_descent(valley, slope, [10.0, 1.0], lr=0.09, max_steps=2000)
    assert small.converged
    assert good.converged
    assert len(small.path) > 2 * len(good.path)  # a small learning rate converges slowly
    assert not large.converged  # a large one diverges
    assert not np.isfinite(large.values[-1]) or large.values[-1] > large.values[0]
    zigzag = train.gradient_descent(valley, slope, [10.0, 1.0], lr=0.07).path[:20, 1]
    assert (np.sign(zigzag[:-1]) == -np.sign(zigzag[1:])).all()  # the steep coordinate changes sides at every step
    np.testing.assert_allclose(good.path[1], [10 - 0.05 * 10, 1 - 0.05 * 25])


def test_gradient_descent_stands_still_on_a_plateau() -> None:
    flat = train.gradient_descent(lambda w: 0.0, np.zeros_like, [3.0, 4.0])
    assert flat.converged
    assert len(flat.path) == 1


# Convolutional networks


@pytest.mark.parametrize(("shape", "f", "weights"), [((3, 32, 32), 5, 75), ((20, 16, 16), 3, 180)])
def test_weights_of_one_filter(shape: tuple[int, int, int], f: int, weights: int) -> None:
    layer = nn.Conv2d(shape[0], 1, f)
    assert layer.parameters["weight"].size == weights
    assert layer.parameters["bias"].size == 1


def test_weight_sharing_on_mnist() -> None:
    layer = nn.Conv2d(1, 6, 5)
    k, height, width = layer.output_shape((1, 32, 32))
    assert (k, height, width) == (6, 28, 28)
    assert (5 * 5 + 1) * (height * width) * 6 == 122304  # without sharing
    assert sum(p.size for p in layer.parameters.values()) == (5 * 5 + 1) * 6 == 156  # with it


INPUT = np.float32([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])
KERNEL = np.float32([[0, 1, 2], [2, 2, 0], [0, 1, 2]])


def test_the_convolution_example() -> None:
    y = ops.conv2d(INPUT[None, None], KERNEL[None, None])[0, 0]
    np.testing.assert_array_equal(y, [[12, 12, 17], [10, 17, 19], [9, 6, 14]])


@pytest.mark.parametrize(("stride", "padding", "size"), [(2, 1, 3), (1, 1, 5)])
def test_the_convolution_example_padded(stride: int, padding: int, size: int) -> None:
    y = ops.conv2d(INPUT[None, None], KERNEL[None, None], stride=stride, padding=padding)[0, 0]
    padded = np.pad(INPUT, padding)
    by_hand = [
        [(padded[i : i + 3, j : j + 3] * KERNEL).sum() for j in range(0, len(padded) - 2, stride)]
        for i in range(0, len(padded) - 2, stride)
    ]
    assert y.shape == (size, size)
    np.testing.assert_array_equal(y, by_hand)


def test_the_animations_sizes() -> None:
    """K = 2, S = 2, F = 3, P = 1: 7×7×3 gives 4×4×2; the animation pads 5×5×3 to 7×7×3 and gives 3×3×2."""
    weight, bias = np.ones((2, 3, 3, 3), "f4"), np.float32([1, 0])
    assert ops.conv2d(np.ones((1, 3, 7, 7), "f4"), weight, bias, stride=2, padding=1).shape == (1, 2, 4, 4)
    y = ops.conv2d(np.ones((1, 3, 5, 5), "f4"), weight, bias, stride=2, padding=1)
    assert y.shape == (1, 2, 3, 3)
    assert y[0, 0, 1, 1] == 27 + 1  # the middle window is all inside, with bias
    assert y[0, 1, 0, 0] == 12  # a corner window has 2×2 pixels of 3 channels


def test_the_impossible_convolution_names_what_would_fit() -> None:
    x, weight = np.zeros((1, 1, 10, 10), "f4"), np.zeros((1, 1, 3, 3), "f4")
    with pytest.raises(ValueError, match=r"no whole number; stride 1, 7 would fit, or 1 more padding in all"):
        ops.conv2d(x, weight, stride=2)
    assert ops.conv2d(x, weight, stride=7).shape == (1, 1, 2, 2)
    assert ops.conv2d(x, weight, stride=2, padding=((0, 1), (0, 1))).shape == (1, 1, 5, 5)


def test_relu_is_fused() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, 9, 9), np.float32), rng.standard_normal((4, 3, 3, 3), np.float32)
    bias = rng.standard_normal(4, np.float32)
    fused = ops.conv2d(x, weight, bias, activation="relu")
    np.testing.assert_array_equal(fused, np.maximum(ops.conv2d(x, weight, bias), 0))


def test_pooling_halves_and_stores_the_argmax() -> None:
    x = np.float32([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])[None, None]
    y, indices = ops.max_pool2d_with_indices(x, 2)
    np.testing.assert_array_equal(y[0, 0], [[6, 8], [3, 4]])
    np.testing.assert_array_equal(indices[0, 0], [[5, 7], [8, 15]])
    dx = ops.max_pool2d_backward(np.float32([[[[1, 2], [3, 4]]]]), indices, x.shape)
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0, 0], [0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 0, 4]])
    np.testing.assert_array_equal(ops.avg_pool2d(x, 2)[0, 0], [[3.25, 5.25], [2, 2]])
    np.testing.assert_array_equal(ops.sum_pool2d(x, 2)[0, 0], [[13, 21], [8, 8]])
    np.testing.assert_allclose(ops.l2_pool2d(x, 2)[0, 0] ** 2, [[63, 133], [18, 26]], rtol=1e-6)


@pytest.mark.parametrize(("size", "f", "s", "out"), [(28, 2, 2, 14), (10, 2, 2, 5), (27, 3, 2, 13), (55, 3, 2, 27)])
def test_pooling_sizes(size: int, f: int, s: int, out: int) -> None:
    assert ops.max_pool2d(np.zeros((1, 1, size, size), "f4"), f, s).shape[2:] == (out, out)


def test_softmax() -> None:
    z = np.float32([1, 2, 3])
    np.testing.assert_allclose(ops.softmax(z), np.exp(z) / np.exp(z).sum(), rtol=1e-6)


def test_three_3x3_layers_see_7x7_with_27_instead_of_49_parameters() -> None:
    C = 8
    three = nn.Sequential((C, 20, 20), *(nn.Conv2d(C, C, 3, bias=False) for _ in range(3)))
    one = nn.Sequential((C, 20, 20), nn.Conv2d(C, C, 7, bias=False))
    assert list(receptive_fields(three).values()) == [(3, 3), (5, 5), (7, 7)]
    assert list(receptive_fields(one).values()) == [(7, 7)]
    assert (three.parameter_count, one.parameter_count) == (27 * C**2, 49 * C**2)
    assert three.shapes["conv2d3"] == one.shapes["conv2d1"]


def test_lenet5_layers() -> None:
    model = models.lenet5()
    expected = {"conv1": (6, 28, 28), "pool1": (6, 14, 14), "conv2": (16, 10, 10), "pool2": (16, 5, 5)}
    expected_vectors = {"fc1": (120,), "fc2": (100,), "fc3": (10,)}
    for name, shape in {**expected, **expected_vectors}.items():
        assert model.shapes[name] == shape
    model.forward(np.zeros((2, 1, 32, 32), "f4"))
    assert model.value("conv2").shape == (2, 16, 10, 10)


def test_alexnets_first_layer_and_size() -> None:
    model = models.alexnet()
    assert model.parameters["conv1.weight"].shape == (96, 3, 11, 11)
    assert model.shapes["conv1"] == (96, 55, 55)
    assert model.parameter_count == 60965224


@pytest.mark.parametrize(("N", "M", "K"), [(1, 1, 0), (2, 3, 1), (3, 2, 2)])
def test_the_pattern_builder(N: int, M: int, K: int) -> None:
    model = models.convnet(N, M, K, channels=2, hidden=5)
    kinds = [type(model.layers[name]).__name__ for name in model.order]
    assert kinds == (["Conv2d"] * N + ["MaxPool2d"]) * M + ["Flatten"] + ["Linear"] * (K + 1)
    assert all(model.layers[name].activation == "relu" for name in model.order if name.startswith("conv"))  # type: ignore[attr-defined]


# Losses and optimizers


def test_softmax_loss_is_cross_entropy_of_softmax() -> None:
    s, y = np.random.default_rng(0).standard_normal((7, 4), np.float32), np.array([0, 1, 2, 3, 0, 1, 2])
    p = ops.softmax(s, 1)
    by_hand = -np.mean(np.log(p[np.arange(7), y]))
    assert ops.cross_entropy(s, y) == pytest.approx(by_hand, rel=1e-5)
    assert ops.probability_loss(p, y) == pytest.approx(by_hand, rel=1e-5)


def test_losses_by_hand() -> None:
    h, y = np.float32([0, 1, 3]), np.float32([1, 1, 1])
    assert ops.mse_loss(h, y) == pytest.approx(5 / 3)
    assert ops.l1_loss(h, y) == pytest.approx(1)
    assert ops.msle_loss(h, y) == pytest.approx(2 * np.log(2) ** 2 / 3)
    assert ops.half_sum_of_squares(h, y) == pytest.approx(2.5)
    assert ops.hinge_loss(np.float32([[3.2, 5.1, -1.7]]), np.array([0])) == pytest.approx(2.9)  # cs231n's cat
    p = 0.8
    logits = np.log(np.float32([[1 - p, p]]))
    assert ops.focal_loss(logits, np.array([1]), 2.0) == pytest.approx(-((1 - p) ** 2) * np.log(p), rel=1e-5)


def test_momentum_goes_through_the_valley_faster_than_descent() -> None:
    def steps(rule: str) -> int:
        w, v = np.float32([10, 1]), np.zeros(2, np.float32)
        for step in range(1, 2000):
            g = np.float32(slope(w))
            if np.linalg.norm(g) < 1e-3:
                return step
            if rule == "descent":
                ops.gradient_descent_step([w], [g], 0.02)
            else:
                getattr(ops, f"{rule}_step")([w], [g], [v], 0.02, 0.7)
        return 2000

    assert steps("momentum") < steps("descent") / 2
    assert steps("nesterov") < steps("descent") / 2


# Augmentation


def test_affine_moves_points_as_the_matrix_says() -> None:
    image = np.zeros((1, 1, 21, 21), "f4")
    image[0, 0, 10 - 3, 10 + 4] = 1  # the point x = 4, y = −3 from the middle
    matrix = np.array([[0.0, -1.0, 2.0], [1.0, 0.0, -5.0]])  # a quarter turn, then a shift
    x, y = matrix @ [4, -3, 1]
    for interpolation in ("nearest", "bilinear", "bicubic"):
        moved = affine(image, matrix, interpolation)
        assert np.unravel_index(moved[0, 0].argmax(), (21, 21)) == (10 + y, 10 + x)
        assert moved[0, 0].max() == pytest.approx(1, abs=0.05)
