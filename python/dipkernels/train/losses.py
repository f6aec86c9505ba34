"""What `fit` and `evaluate` take for a loss, and how its value over a data set comes from those of the batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.arguments import described
from dipkernels.ops.backend import FloatArray

Loss: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]
"""(outputs, targets) → (loss, gradient of the outputs), like the `…_with_grad` functions of `ops`."""

# The automated focal loss has a state: `train.AutomatedFocalLoss`.
_STATELESS = [name for name in ops.__all__ if name.endswith("_with_grad") and not name.startswith("automated")]
_VALUES = [name.removesuffix("_with_grad") for name in _STATELESS]

LOSSES: dict[str, Loss] = {name.removesuffix("_loss"): getattr(ops, f"{name}_with_grad") for name in _VALUES}
"""By name: "cross_entropy", "focal", "nll", "mse", "l1", "huber", "smooth_l1", "msle", "hinge", …"""

_WITH_GRADIENT = {getattr(ops, name): getattr(ops, f"{name}_with_grad") for name in _VALUES}
_OF_LABELS = (ops.cross_entropy_with_grad, ops.focal_loss_with_grad, ops.nll_loss_with_grad)


def as_loss(op: str, loss: Any) -> Loss:
    """A loss from its name, from a function of `ops` with or without the gradient, `functools.partial` of one, or any
    function (outputs, targets) → (loss, gradient).

    TypeError or ValueError, in the name of `op`, for anything else.
    """
    if isinstance(loss, str):
        name = loss.removesuffix("_with_grad").removesuffix("_loss")
        if name not in LOSSES:
            raise ValueError(f"{op}: loss must be one of {', '.join(sorted(LOSSES))}, or a function, got {loss!r}")
        return LOSSES[name]
    if isinstance(loss, functools.partial):
        return functools.partial(as_loss(op, loss.func), *loss.args, **loss.keywords)
    if not callable(loss):
        raise TypeError(f"{op}: loss must be a name or a function, got {described(loss)}")
    found: Loss = _WITH_GRADIENT.get(loss, loss)
    return found


def name_of(loss: Loss) -> str:
    """What `history.settings` call it."""
    function = loss.func if isinstance(loss, functools.partial) else loss
    return str(getattr(function, "__name__", type(function).__name__)).removesuffix("_with_grad")


@dataclass(frozen=True)
class Counting:
    """How the losses of batches make up that of a data set.

    `of_examples` (N,) says how much of a mean each example is: 1, or for class indices the weight of its labels, 0
    where they are ignored. None: the loss is a sum, and sums are added. `right`, for class indices in their shape,
    tells which of them can be right: all that are not ignored.
    """

    of_examples: FloatArray | None
    right: npt.NDArray[np.bool_]

    def of(self, chosen: Any) -> float:
        """What a batch of these examples is multiplied by."""
        return 1.0 if self.of_examples is None else float(self.of_examples[chosen].sum(dtype=np.float64))


def counting(loss: Loss, t: npt.NDArray[Any]) -> Counting:
    """For targets t. A loss with a method `counts(t)`, which gives `of_examples`, says so itself."""
    function, options = (loss.func, loss.keywords) if isinstance(loss, functools.partial) else (loss, {})
    reduction = options.get("reduction", "mean")
    if reduction not in ("mean", "sum"):
        raise ValueError(f'loss: reduction must be "mean" or "sum", got {reduction!r}')
    labels = t.dtype.kind in "iu"
    kept: npt.NDArray[np.bool_] = t != options.get("ignore_index", -100) if labels else np.ones(t.shape, bool)
    if hasattr(function, "counts"):
        return Counting(np.asarray(function.counts(t), np.float32), kept)
    if reduction == "sum" or function is ops.half_sum_of_squares_with_grad:
        return Counting(None, kept)
    if function not in _OF_LABELS or not labels:
        return Counting(np.ones(len(t), np.float32), kept)
    weight = options.get("weight")
    each = kept.astype(np.float32) if weight is None else np.where(kept, np.asarray(weight)[np.where(kept, t, 0)], 0)
    return Counting(each.reshape(len(t), -1).sum(1).astype(np.float32), kept)


def weighted(loss: Loss, outputs: Any, t: npt.NDArray[Any], weights: FloatArray) -> tuple[float, FloatArray]:
    """The loss and its gradient where each example counts as often as its weight says.

    ValueError for a loss that has no reduction "none".
    """
    try:
        values, gradient = loss(outputs, t, reduction="none")  # type: ignore[call-arg]
    except TypeError as error:
        raise ValueError(
            f"fit: sample_weight needs a loss of dipkernels with a reduction, got {name_of(loss)}"
        ) from error
    counted = counting(loss, t).of_examples
    each = np.ones(len(t)) if counted is None else counted.astype(np.float64)
    if values.size != len(t) and name_of(loss) not in ("cross_entropy", "focal_loss", "nll_loss"):
        each = each * (values.size / max(len(t), 1))
    total = float((each * weights).sum())
    shape = (len(t), *[1] * (gradient.ndim - 1))
    scale = (weights / total if total else np.zeros_like(weights)).astype(np.float32).reshape(shape)
    sums = values.reshape(len(t), -1).sum(1, dtype=np.float64)
    return float((sums * weights).sum() / total) if total else float("nan"), gradient * scale
