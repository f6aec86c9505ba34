"""Learning: gradient descent, its variants, losses, and overfitting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dipkernels import models, nn, ops, train
from dipkernels.data import Dataset, digits, toy_points
from dipkernels.lecture.example import Chapter, Example, Number
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _valley(w: Any) -> Any:
    return 0.5 * (w[0] ** 2 + 25 * w[1] ** 2)


def _slope(w: Any) -> Any:
    return np.array([w[0], 25 * w[1]])


def _landscape(axes: Any) -> None:
    x, y = np.meshgrid(np.linspace(-11, 11, 120), np.linspace(-2, 2, 120))
    axes.contourf(x, y, np.sqrt(_valley((x, y))), 14, cmap="Greys", alpha=0.6)
    axes.set(xlim=(-11, 11), ylim=(-2, 2))


def learning_rates() -> Example:
    """Small converges slowly, large diverges."""
    rates = {"0.01, slow": 0.01, "0.05, good": 0.05, "0.07, zig-zag": 0.07, "0.09, diverges": 0.09}
    found = {name: train.gradient_descent(_valley, _slope, [10.0, 1.0], lr=lr, max_steps=2000)
             for name, lr in rates.items()}  # fmt: skip

    def figure() -> Figure:
        drawn = figure_class()(figsize=(9, 4), layout="constrained")
        for axes, (name, descent) in zip(drawn.subplots(2, 2).flat, found.items(), strict=True):
            _landscape(axes)
            inside = descent.path[np.abs(descent.path[:, 1]) < 2][:60]
            axes.plot(*inside.T, "o-", ms=3, lw=1)
            axes.set_title(f"ε = {name}", fontsize=10)
        return drawn

    converged = [f"{len(each.path) - 1} steps" if each.converged else "diverges" for each in found.values()]
    return Example(
        "Gradient descent and its learning rate",
        "w ← w − ε·∇f(w), until ‖∇f‖ is close to zero, in a valley whose sides are 25 times as steep as its floor. A "
        "small ε "
        "converges slowly, a larger one zig-zags across the valley, one too large diverges.",
        [Number(f"ε = {name.split(',')[0]}", what) for name, what in zip(found, converged, strict=True)],
        figure=figure,
    )


def optimizers() -> Example:
    """The variants side by side in the valley."""
    rules: dict[str, Any] = {
        "gradient descent": nn.SGD(0.02), "momentum": nn.SGD(0.02, 0.7), "Nesterov": nn.SGD(0.02, 0.7, nesterov=True),
        "AdaGrad": nn.AdaGrad(1.0), "AdaDelta": nn.AdaDelta(1.0), "Adam": nn.Adam(0.3),
    }  # fmt: skip
    paths, steps = {}, {}
    for name, rule in rules.items():
        w = np.array([10, 1], np.float32)
        path = [w.copy()]
        while len(path) < 1500 and np.linalg.norm(_slope(w)) > 1e-2:
            rule.step({"w": w}, {"w": np.asarray(_slope(w), np.float32)})
            path.append(w.copy())
        paths[name], steps[name] = np.array(path), len(path) - 1

    def figure() -> Figure:
        drawn = figure_class()(figsize=(9, 4.4), layout="constrained")
        for axes, (name, path) in zip(drawn.subplots(2, 3).flat, paths.items(), strict=True):
            _landscape(axes)
            axes.plot(*path.T, lw=1)
            axes.plot(*path[0], "ko", ms=5)
            axes.plot(*path[-1], "rs", ms=5)
            axes.set_title(f"{name}: {steps[name]} steps", fontsize=10)
        return drawn

    return Example(
        "Momentum, Nesterov, AdaGrad, AdaDelta, Adam",
        "Each is one fused kernel. Steps until ‖∇f‖ < 0.01, at most 1,500; the dot is the start, the square the end. "
        "Momentum "
        "goes through the valley in less than half of the steps of plain descent.",
        [Number(name, f"{count} steps" if count < 1499 else "not yet there") for name, count in steps.items()],
        figure=figure,
    )


def losses() -> Example:
    """Losses by hand."""
    h, y = np.array([0, 1, 3], np.float32), np.array([1, 1, 1], np.float32)
    scores = np.array([[3.2, 5.1, -1.7]], np.float32)
    p = 0.8
    logits = np.log(np.array([[1 - p, p]], np.float32))
    return Example(
        "Losses by hand",
        "Of the outputs 0, 1, 3 where 1, 1, 1 are wanted; of the scores 3.2, 5.1, −1.7 where the first class is "
        "right; and "
        "of a pixel whose class has the probability p = 0.8, for which the focal loss is −(1 − p)²·log p.",
        [
            Number("mean squared error", float(ops.mse_loss(h, y)), 5 / 3),
            Number("mean absolute error", float(ops.l1_loss(h, y)), 1.0),
            Number("mean squared logarithmic error", float(ops.msle_loss(h, y)), 2 * np.log(2) ** 2 / 3),
            Number("½·Σ‖h − y‖²", float(ops.half_sum_of_squares(h, y)), 2.5),
            Number("hinge loss", float(ops.hinge_loss(scores, np.array([0]))), 2.9),
            Number("softmax loss", float(ops.cross_entropy(scores, np.array([0]))),
                   -np.log(np.exp(3.2) / np.exp([3.2, 5.1, -1.7]).sum())),
            Number("focal loss, γ = 2", float(ops.focal_loss(logits, np.array([1]), 2.0)), -0.04 * np.log(0.8)),
        ],
    )  # fmt: skip


def overfitting() -> Example:
    """Few noisy points and many weights."""
    few, others = toy_points("rings", 24, 0.25, 0), toy_points("rings", 400, 0.25, 1)
    layers = [nn.Linear(2, 40, activation="tanh"), nn.Linear(40, 40, activation="tanh"), nn.Linear(40, 2)]
    model = nn.Sequential((2,), *layers, seed=0)
    history = train.fit(model, few, others, optimizer=nn.Adam(0.01), epochs=300, batch_size="epoch", progress=False)
    losses_of = np.array([[each.train_loss, each.validation_loss or 0.0] for each in history.epochs])
    best = history.best_epoch or 1

    def figure() -> Figure:
        drawn = figure_class()(figsize=(6, 3), layout="constrained")
        axes = drawn.subplots()
        axes.plot(losses_of[:, 0], label="training")
        axes.plot(losses_of[:, 1], label="validation")
        axes.axvline(best, color="green", lw=1, label=f"early stopping, epoch {best}")
        axes.set(xlabel="epoch", ylabel="loss", ylim=(0, losses_of[:, 1].max() * 1.05))
        axes.legend()
        return drawn

    return Example(
        "Overfitting and early stopping",
        f"A network of {model.parameter_count:,} weights learns 24 noisy points. The training error goes on falling "
        f"while "
        "the validation error rises; early stopping keeps the weights of the epoch where that was least.",
        [
            Number("training loss at the end", f"{losses_of[-1, 0]:.3f}"),
            Number("validation loss at its least", f"{losses_of[best - 1, 1]:.3f}"),
            Number("validation loss at the end", f"{losses_of[-1, 1]:.3f}"),
        ],
        figure=figure,
    )


def lenet() -> Example:
    """LeNet-5 on real digits."""
    from dipkernels.viz import confusion_matrix

    model, parts = models.lenet5(seed=0), digits()
    both = (parts.train, parts.validation)
    examples = Dataset(np.concatenate([p.x for p in both]), np.concatenate([p.t for p in both]))
    train.fit(model, examples, optimizer=nn.Adam(0.002), epochs=20, batch_size=64, keep="last", progress=False)
    result = train.evaluate(model, parts.test)
    shapes = [
        ("×".join(map(str, model.shapes[n][1:] + model.shapes[n][:1]))) for n in ("conv1", "pool1", "conv2", "pool2")
    ]
    assert result.accuracy is not None
    assert result.predictions is not None
    predictions = result.predictions
    return Example(
        "LeNet-5",
        "32×32×1 → convolution → max pooling → convolution → max pooling → 120 → 100 → 10, trained for twenty epochs "
        "on "
        "1,438 of the built-in digits.",
        [
            Number("maps", ", ".join(shapes), "28×28×6, 14×14×6, 10×10×16, 5×5×16"),
            Number("weights", model.parameter_count, 63_802),
            Number(f"right of {len(parts.test)} digits it never saw", f"{result.accuracy:.1%}"),
        ],
        figure=lambda: confusion_matrix(parts.test.t, predictions, 10),
    )


CHAPTER: Chapter = [learning_rates, optimizers, losses, overfitting, lenet]
