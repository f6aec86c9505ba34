"""Batch normalisation, and its gradient.

Common parameters: `x` float32 (N, C, …), with any number of axes after the channels; `mean`, `var`, `weight` and `bias`
float32 (C,), the last two optional: ones and zeros. TypeError for other dtypes, ValueError for shapes that do not fit.
Source: Ioffe, Szegedy 2015, "Batch Normalization".
"""

from __future__ import annotations

from dipkernels.ops.activation import Activation, activation_arguments
from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_with_stats"]


def batch_norm(
    x: FloatArray,
    mean: FloatArray,
    var: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    eps: float = 1e-5,
    activation: Activation = None,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """y = (x − mean)/√(var + eps)·weight + bias, through the activation: as a trained network does it.

    `out` may be x. Raises ValueError for an `eps` below 0.

    >>> batch_norm(np.float32([[1], [3]]), np.float32([2]), np.float32([4]), eps=0)
    array([[-0.5],
           [ 0.5]], dtype=float32)
    """
    name, alpha = activation_arguments("batch_norm", activation)
    module = backend_of("batch_norm", x, mean, var, weight, bias)
    return module.batch_norm(x, mean, var, weight, bias, eps=eps, activation=name, alpha=alpha, out=out)


def batch_norm_with_stats(
    x: FloatArray,
    running_mean: FloatArray | None = None,
    running_var: FloatArray | None = None,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Activation = None,
    *,
    out: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(y, mean, var): y as `batch_norm` gives it with the mean and the variance of the batch itself, as in training.

    Parameters
    ----------
    running_mean, running_var : float32 (C,), optional
        Averages over the batches, updated in place: running += momentum·(this batch's − running), with the variance
        that divides by count − 1. They are what `batch_norm` takes after training.
    momentum
        From 0 to 1.

    Returns
    -------
    y as x; mean and var float32 (C,), the variance dividing by count; zeros for an empty batch, which leaves the
    averages alone.

    Raises
    ------
    ValueError
        Every channel has one value only, so that it has no variance; or momentum or eps are out of range.

    >>> y, mean, var = batch_norm_with_stats(np.float32([[1], [3]]), eps=0)
    >>> y.ravel().tolist(), mean.item(), var.item()
    ([-1.0, 1.0], 2.0, 1.0)
    """
    op = "batch_norm_with_stats"
    name, alpha = activation_arguments(op, activation)
    module = backend_of(op, x, running_mean, running_var, weight, bias)
    return module.batch_norm_with_stats(
        x,
        running_mean,
        running_var,
        weight,
        bias,
        momentum=momentum,
        eps=eps,
        activation=name,
        alpha=alpha,
        out=out,
    )


def batch_norm_backward(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    var: FloatArray,
    weight: FloatArray | None = None,
    eps: float = 1e-5,
    training: bool = True,
    *,
    out: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(dx, dweight, dbias), the gradients of ⟨dy, y⟩.

    Parameters
    ----------
    dy : float32, as x
        With a fused activation, first passed through that activation's backward function.
    mean, var
        Those that y was computed with.
    training
        Whether they were the batch's own, and so depend on x.
    out
        For dx; may be dy.

    >>> dx, dweight, dbias = batch_norm_backward(
    ...     np.float32([[1], [2]]), np.float32([[1], [3]]), np.float32([2]), np.float32([1]), eps=0, training=False
    ... )
    >>> dx.ravel().tolist(), dweight.item(), dbias.item()
    ([1.0, 2.0], 1.0, 3.0)
    """
    module = backend_of("batch_norm_backward", dy, x, mean, var, weight)
    return module.batch_norm_backward(dy, x, mean, var, weight, eps=eps, training=training, out=out)
