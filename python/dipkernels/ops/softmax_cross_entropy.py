"""Softmax cross-entropy and the focal loss: value and gradient in one pass over the logits."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from dipkernels.ops.backend import FloatArray, LabelArray, backend_of

__all__ = [
    "automated_focal_loss",
    "automated_focal_loss_with_grad",
    "cross_entropy",
    "cross_entropy_with_grad",
    "focal_loss",
    "focal_loss_with_grad",
    "nll_loss",
    "nll_loss_with_grad",
]

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def _run(
    op: str,
    logits: FloatArray,
    target: Any,
    weight: FloatArray | None,
    ignore_index: int,
    reduction: Reduction,
    label_smoothing: float,
    gamma: float,
    with_grad: bool,
    out: FloatArray | None,
    running: FloatArray | None = None,
    momentum: float = 0.0,
) -> tuple[Any, Any]:
    shape: tuple[int, ...] = getattr(target, "shape", ())
    classes: tuple[int, ...] = getattr(logits, "shape", ())
    if len(shape) == len(classes) > 2 and shape[1] == 1 and "float" not in str(target.dtype):
        target = target.reshape((shape[0], *shape[2:]))  # a mask that has an axis of channels
    module = backend_of(op, logits, target, weight)
    return module.softmax_cross_entropy(
        op,
        logits,
        target,
        weight,
        ignore_index,
        reduction,
        label_smoothing,
        gamma,
        running,
        momentum,
        with_grad,
        out,
    )


def cross_entropy(
    logits: FloatArray,
    target: LabelArray | FloatArray,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """−Σ_c w_c·t_c·log softmax(logits)_c, the softmax loss.

    Parameters
    ----------
    logits : float32 (N, C) or (N, C, ...)
    target
        Class indices (N, ...) of any integer dtype, for images also (N, 1, ...), or float32 distributions over the
        classes, shaped as logits.
    weight : float32 (C,), optional
        Of the classes, at least 0.
    ignore_index
        Positions with this class index add nothing. For distributions there is none: ValueError for another than -100.
    reduction
        "mean": a float, divided by the sum of the weights of the labels that count (for distributions by the number
        of positions), NaN where that is zero; "sum": a float; "none": float32, one loss a position.
    label_smoothing
        ε from 0 to 1: the target becomes (1 − ε)·t + ε/C.

    Raises
    ------
    TypeError
        Other dtypes.
    ValueError
        Shapes that do not fit; a probability that is negative, infinite or NaN.
    IndexError
        A class index outside 0 … C − 1 that is not ignore_index; the message has its position and value.

    Source: lecture, −1/N Σ log(e^{s_y}/Σ_j e^{s_j}).

    >>> round(cross_entropy(np.float32([[0, 0]]), np.array([1])), 6)
    0.693147
    """
    return _run("cross_entropy", logits, target, weight, ignore_index, reduction, label_smoothing, 0.0, False, None)[0]


def cross_entropy_with_grad(
    logits: FloatArray,
    target: LabelArray | FloatArray,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """(loss, dloss/dlogits) of `cross_entropy`, in one pass. `out` may be logits itself.

    With reduction "none" the gradient is that of the sum. Where nothing counts (an empty batch, every label ignored)
    the gradient is zero.

    >>> loss, gradient = cross_entropy_with_grad(np.float32([[0, 0]]), np.array([1]))
    >>> gradient
    array([[ 0.5, -0.5]], dtype=float32)
    """
    return _run("cross_entropy", logits, target, weight, ignore_index, reduction, label_smoothing, 0.0, True, out)


def focal_loss(
    logits: FloatArray,
    target: LabelArray,
    gamma: float = 2.0,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Any:
    """FL(p_t) = −w_t·(1 − p_t)^γ·log p_t with p = softmax(logits): easy examples count less.

    Parameters as in `cross_entropy`, targets class indices; γ = 0 is the cross-entropy.

    Source: Lin et al. 2017, "Focal loss for dense object detection".

    >>> round(focal_loss(np.float32([[0, 0]]), np.array([1]), gamma=1.0), 6)
    0.346574
    """
    return _run("focal_loss", logits, target, weight, ignore_index, reduction, 0.0, gamma, False, None)[0]


def focal_loss_with_grad(
    logits: FloatArray,
    target: LabelArray,
    gamma: float = 2.0,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """(loss, dloss/dlogits) of `focal_loss`, in one pass. `out` may be logits itself.

    The loss as `focal_loss` gives it, the gradient float32 in the shape of the logits. Where nothing counts it is zero.
    Parameters and errors as there. Source: Lin et al. 2017.
    """
    return _run("focal_loss", logits, target, weight, ignore_index, reduction, 0.0, gamma, True, out)


def automated_focal_loss(
    logits: FloatArray,
    target: LabelArray,
    running: FloatArray,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Any:
    """The focal loss with γ = −log p̂, where `running`, float32 (1,), is p̂, a mean of the labels' probabilities: the
    worse the network, the more the hard examples count; towards the end it is the cross-entropy.

    Parameters and errors as in `focal_loss`; `running` stays as it is. γ is at most 13.8.

    Source: lecture, automated focal loss; Weber, Fürst, Zöllner 2019, "Automated Focal Loss for Image based Object
    Detection".

    >>> round(automated_focal_loss(np.float32([[0, 0]]), np.array([1]), np.float32([np.exp(-1)])), 5)
    0.34657
    """
    op = "automated_focal_loss"
    return _run(op, logits, target, weight, ignore_index, reduction, 0.0, 0.0, False, None, running)[0]


def automated_focal_loss_with_grad(
    logits: FloatArray,
    target: LabelArray,
    running: FloatArray,
    momentum: float = 0.95,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """(loss, dloss/dlogits) of `automated_focal_loss`, in one pass, after which `running` float32 (1,) becomes
    momentum·running + (1 − momentum)·p̄, in place.

    p̄ is the mean probability of these labels, weighted as they are; where none counts `running` stays. The derivative
    takes γ for constant. `out` may be logits itself. ValueError for a momentum outside 0 … 1.

    >>> running = np.float32([0.9])
    >>> loss, gradient = automated_focal_loss_with_grad(np.float32([[0, 0]]), np.array([1]), running, momentum=0.5)
    >>> running
    array([0.7], dtype=float32)
    """
    op = "automated_focal_loss_with_grad"
    return _run(op, logits, target, weight, ignore_index, reduction, 0.0, 0.0, True, out, running, momentum)


def nll_loss(
    log_probabilities: FloatArray,
    target: LabelArray,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Any:
    """−w_y·x_y for logarithms of probabilities x (N, C) or (N, C, ...), as `log_softmax` gives them.

    Parameters as in `cross_entropy`, targets class indices. Prefer `cross_entropy` on logits: one pass, no rounding in
    between. Source: lecture, −1/N Σ log p_i.

    >>> round(nll_loss(np.float32([[-0.5, -2]]), np.array([1])), 6)
    2.0
    """
    return _run("nll_loss", log_probabilities, target, weight, ignore_index, reduction, 0.0, 0.0, False, None)[0]


def nll_loss_with_grad(
    log_probabilities: FloatArray,
    target: LabelArray,
    weight: FloatArray | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    out: FloatArray | None = None,
) -> tuple[Any, FloatArray]:
    """(loss, dloss/dx) of `nll_loss`.

    The loss as `nll_loss` gives it, the gradient float32 in the shape of x, or `out`. Parameters and errors as there.
    Source: lecture, −1/N Σ log p_i.
    """
    return _run("nll_loss", log_probabilities, target, weight, ignore_index, reduction, 0.0, 0.0, True, out)
