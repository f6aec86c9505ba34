"""Losses other than softmax cross-entropy. Every loss `f` has an `f_with_grad` → (loss, dloss/dx), in one pass.

Common parameters: `x` and `target` float32 arrays of one shape; `reduction` "mean" (over all elements; NaN for none),
"sum", both giving a float, or "none", giving float32 values, with the gradient of their sum; `out` receives the
gradient and may be x itself. TypeError for other dtypes, ValueError for shapes that differ.
"""

from __future__ import annotations

from typing import Any

from dipkernels.ops.backend import FloatArray, LabelArray, backend_of
from dipkernels.ops.softmax_cross_entropy import Reduction

__all__ = [
    "half_sum_of_squares",
    "half_sum_of_squares_with_grad",
    "hinge_loss",
    "hinge_loss_with_grad",
    "huber_loss",
    "huber_loss_with_grad",
    "l1_loss",
    "l1_loss_with_grad",
    "mse_loss",
    "mse_loss_with_grad",
    "msle_loss",
    "msle_loss_with_grad",
    "probability_loss",
    "probability_loss_with_grad",
    "smooth_l1_loss",
    "smooth_l1_loss_with_grad",
]


def _elementwise(
    op: str,
    kind: str,
    x: FloatArray,
    target: FloatArray,
    reduction: Reduction,
    with_grad: bool,
    out: FloatArray | None = None,
    beta: float = 0.0,
    factor: float = 1.0,
) -> tuple[Any, Any]:
    module = backend_of(op, x, target)
    return module.elementwise_loss(op, kind, x, target, beta, factor, reduction, with_grad, out)


def mse_loss(x: FloatArray, target: FloatArray, reduction: Reduction = "mean") -> Any:
    """Mean squared error, (x − target)². Source: lecture.

    x and target float32 of one shape; a float, or float32 values with reduction "none". TypeError for other dtypes,
    ValueError for shapes that differ.

    >>> mse_loss(np.float32([1, 2]), np.float32([1, 4]))
    2.0
    """
    return _elementwise("mse_loss", "squared", x, target, reduction, False)[0]


def mse_loss_with_grad(
    x: FloatArray, target: FloatArray, reduction: Reduction = "mean", *, out: FloatArray | None = None
) -> tuple[Any, FloatArray]:
    """`mse_loss` and its gradient 2·(x − target).

    (loss, gradient): the loss as `mse_loss` gives it, the gradient float32 in the shape of x, or `out`. Parameters and
    errors as there. Source: the derivative of the formula.
    """
    return _elementwise("mse_loss", "squared", x, target, reduction, True, out)


def half_sum_of_squares(x: FloatArray, target: FloatArray) -> float:
    """The lecture's error function ½ Σ ‖x − target‖², a sum over everything.

    x and target float32 of one shape; a float. TypeError for other dtypes, ValueError for shapes that differ. Source:
    lecture, backpropagation.

    >>> half_sum_of_squares(np.float32([1, 2]), np.float32([1, 4]))
    2.0
    """
    return _elementwise("half_sum_of_squares", "squared", x, target, "sum", False, factor=0.5)[0]


def half_sum_of_squares_with_grad(
    x: FloatArray, target: FloatArray, *, out: FloatArray | None = None
) -> tuple[float, FloatArray]:
    """`half_sum_of_squares` and its gradient x − target.

    (loss, gradient): a float, and float32 in the shape of x, or `out`. TypeError for other dtypes, ValueError for
    shapes that differ. Source: lecture, backpropagation.
    """
    return _elementwise("half_sum_of_squares", "squared", x, target, "sum", True, out, factor=0.5)


def l1_loss(x: FloatArray, target: FloatArray, reduction: Reduction = "mean") -> Any:
    """Mean absolute error (MAE), |x − target|. Source: lecture.

    x and target float32 of one shape; a float, or float32 values with reduction "none". TypeError for other dtypes,
    ValueError for shapes that differ.

    >>> l1_loss(np.float32([1, 2]), np.float32([1, 4]))
    1.0
    """
    return _elementwise("l1_loss", "absolute", x, target, reduction, False)[0]


def l1_loss_with_grad(
    x: FloatArray, target: FloatArray, reduction: Reduction = "mean", *, out: FloatArray | None = None
) -> tuple[Any, FloatArray]:
    """`l1_loss` and its gradient, the sign of x − target, 0 where they are equal.

    (loss, gradient): the loss as `l1_loss` gives it, the gradient float32 in the shape of x, or `out`. Parameters and
    errors as there. Source: the derivative of the formula.
    """
    return _elementwise("l1_loss", "absolute", x, target, reduction, True, out)


def msle_loss(x: FloatArray, target: FloatArray, reduction: Reduction = "mean") -> Any:
    """Mean squared logarithmic error, (log(x + 1) − log(target + 1))², for x and target above −1 (NaN below).

    Source: lecture.

    >>> round(msle_loss(np.float32([0]), np.float32([1])), 6)
    0.480453
    """
    return _elementwise("msle_loss", "squared_logarithm", x, target, reduction, False)[0]


def msle_loss_with_grad(
    x: FloatArray, target: FloatArray, reduction: Reduction = "mean", *, out: FloatArray | None = None
) -> tuple[Any, FloatArray]:
    """`msle_loss` and its gradient 2·(log(x + 1) − log(target + 1))/(x + 1).

    (loss, gradient): the loss as `msle_loss` gives it, the gradient float32 in the shape of x, or `out`. Parameters and
    errors as there. Source: the derivative of the formula.
    """
    return _elementwise("msle_loss", "squared_logarithm", x, target, reduction, True, out)


def smooth_l1_loss(x: FloatArray, target: FloatArray, reduction: Reduction = "mean", beta: float = 1.0) -> Any:
    """d²/(2β) for |d| < β and |d| − β/2 beyond, d = x − target; β ≥ 0. For boxes.

    Source: Girshick 2015, "Fast R-CNN".

    >>> smooth_l1_loss(np.float32([0.5, 3]), np.float32([0, 0]), "none")
    array([0.125, 2.5  ], dtype=float32)
    """
    return _elementwise("smooth_l1_loss", "smooth_l1", x, target, reduction, False, beta=beta)[0]


def smooth_l1_loss_with_grad(
    x: FloatArray,
    target: FloatArray,
    reduction: Reduction = "mean",
    beta: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """`smooth_l1_loss` and its gradient, d/β or the sign of d.

    (loss, gradient): the loss as `smooth_l1_loss` gives it, the gradient float32 in the shape of x, or `out`.
    Parameters and errors as there. Source: the derivative of the formula.
    """
    return _elementwise("smooth_l1_loss", "smooth_l1", x, target, reduction, True, out, beta=beta)


def huber_loss(x: FloatArray, target: FloatArray, reduction: Reduction = "mean", delta: float = 1.0) -> Any:
    """d²/2 for |d| < δ and δ·(|d| − δ/2) beyond, d = x − target; δ > 0. Source: Huber 1964.

    x and target float32 of one shape; a float, or float32 values with reduction "none". TypeError for other dtypes,
    ValueError for shapes that differ or a delta of 0.

    >>> huber_loss(np.float32([0.5, 3]), np.float32([0, 0]), "none", delta=2.0)
    array([0.125, 4.   ], dtype=float32)
    """
    return _elementwise("huber_loss", "huber", x, target, reduction, False, beta=delta)[0]


def huber_loss_with_grad(
    x: FloatArray,
    target: FloatArray,
    reduction: Reduction = "mean",
    delta: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """`huber_loss` and its gradient, d or δ times the sign of d.

    (loss, gradient): the loss as `huber_loss` gives it, the gradient float32 in the shape of x, or `out`. Parameters
    and errors as there. Source: the derivative of the formula.
    """
    return _elementwise("huber_loss", "huber", x, target, reduction, True, out, beta=delta)


def hinge_loss(
    scores: FloatArray,
    target: LabelArray,
    margin: float = 1.0,
    reduction: Reduction = "mean",
    p: int = 1,
    weight: FloatArray | None = None,
) -> Any:
    """Multi-class hinge, w_y·Σ_{j ≠ y} max(0, s_j − s_y + margin)^p, for scores (N, C) and class indices (N,).

    `p` is 1 or 2, `weight` float32 (C,) with those of the classes, at least 0. The mean is over N.
    (torch.nn.functional.multi_margin_loss divides by C as well.) Raises IndexError for a class index outside 0 … C − 1.
    Source: lecture; Weston, Watkins 1999.

    >>> hinge_loss(np.float32([[1, 2, 0]]), np.array([1]), margin=1.5)
    0.5
    """
    module = backend_of("hinge_loss", scores, target, weight)
    return module.hinge_loss(scores, target, margin, reduction, p, weight, False, None)[0]


def hinge_loss_with_grad(
    scores: FloatArray,
    target: LabelArray,
    margin: float = 1.0,
    reduction: Reduction = "mean",
    p: int = 1,
    weight: FloatArray | None = None,
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """`hinge_loss` and its gradient: for every class within the margin, minus their sum for the label.

    (loss, gradient): the loss as `hinge_loss` gives it, the gradient float32 in the shape of x, or `out`. Parameters
    and errors as there. Source: the derivative of the formula.
    """
    module = backend_of("hinge_loss", scores, target, weight)
    return module.hinge_loss(scores, target, margin, reduction, p, weight, True, out)


def probability_loss(probabilities: FloatArray, target: LabelArray, reduction: Reduction = "mean") -> Any:
    """Cross-entropy on probabilities, −log p_y, for probabilities (N, C, ...) and class indices (N, ...).

    Prefer `cross_entropy` on logits where there are any: it stays accurate for small p. Infinite where p_y = 0.
    Raises ValueError for p_y outside 0 … 1 and IndexError for a class index outside 0 … C − 1.
    Source: lecture, −1/N Σ log p_i.

    >>> round(probability_loss(np.float32([[0.25, 0.75]]), np.array([0])), 6)
    1.386294
    """
    return backend_of("probability_loss", probabilities, target).probability_loss(
        probabilities, target, reduction, False, None
    )[0]


def probability_loss_with_grad(
    probabilities: FloatArray,
    target: LabelArray,
    reduction: Reduction = "mean",
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """`probability_loss` and its gradient, −1/p_y at the label and 0 elsewhere.

    (loss, gradient): the loss as `probability_loss` gives it, the gradient float32 in the shape of x, or `out`.
    Parameters and errors as there. Source: the derivative of the formula.
    """
    return backend_of("probability_loss", probabilities, target).probability_loss(
        probabilities, target, reduction, True, out
    )
