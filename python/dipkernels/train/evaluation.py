"""Outputs, loss and accuracy of a trained network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels import cuda, ops
from dipkernels.arguments import integer
from dipkernels.checks import array, checked, network
from dipkernels.data.dataset import Dataset, as_dataset
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray, to_host
from dipkernels.train.losses import Loss, as_loss, counting


@dataclass(frozen=True)
class Evaluation:
    """The loss over all examples; for classes the accuracy, of those that are not ignored, and the predicted class of
    every example, or of every pixel, else None.
    """

    loss: float
    accuracy: float | None
    predictions: npt.NDArray[np.int64] | None


def outputs_on_host(model: Graph, x: FloatArray) -> Any:
    """The outputs for NumPy inputs as NumPy arrays, wherever the model's weights are."""
    if not model.on_device:
        return model.forward(x)
    outputs = model.forward(cuda.to_device(x))  # type: ignore[arg-type]
    return tuple(to_host(each) for each in outputs) if isinstance(outputs, tuple) else to_host(outputs)


def batch_of(x: FloatArray) -> int:
    """How many examples to compute at once: of large images few, whose maps would otherwise fill the memory."""
    numbers, most = 1 << 20, 256
    return int(np.clip(numbers // max(1, math.prod(x.shape[1:])), 1, most))


@checked(model=network, x=array("N*"))
def predict(model: Graph, x: FloatArray, batch_size: int | None = None) -> FloatArray:
    """The outputs of a network with one head, batch by batch."""
    size = batch_of(x) if batch_size is None else integer("predict", "batch_size", batch_size, 1)
    batches = [outputs_on_host(model, x[i : i + size]) for i in range(0, len(x), size)]
    return np.concatenate(batches) if batches else outputs_on_host(model, x)


@checked(model=network, x=array("N*"))
def predict_heads(model: Graph, x: FloatArray, batch_size: int | None = None) -> tuple[FloatArray, ...]:
    """The outputs of every head of a network, one or several, batch by batch."""
    size = batch_of(x) if batch_size is None else integer("predict_heads", "batch_size", batch_size, 1)
    batches = [outputs_on_host(model, x[i : i + size]) for i in range(0, max(len(x), 1), size)]
    heads = [batch if isinstance(batch, tuple) else (batch,) for batch in batches]
    return tuple(np.concatenate(each) for each in zip(*heads, strict=True))


def are_classes(outputs: Any, t: npt.NDArray[Any]) -> bool:
    """Whether outputs are logits (N, C, …) of one head and targets class indices (N, …), of images or of pixels."""
    if isinstance(outputs, tuple) or t.dtype.kind not in "iu":
        return False
    shape = tuple(outputs.shape)
    return len(shape) >= 2 and (shape[0], *shape[2:]) == (shape[0], *t.shape[1:])


def count_correct(outputs: Any, t: npt.NDArray[Any], counts: npt.NDArray[np.bool_]) -> int | None:
    """How many logits (N, C, …) are largest at their class, of those that count; None where t are no classes."""
    return int((counts & (outputs.argmax(1) == t)).sum()) if are_classes(outputs, t) else None


@checked(model=network)
def evaluate(
    model: Graph,
    data: Dataset | Any,
    t: Any = None,
    *,
    loss: Loss | str = ops.cross_entropy_with_grad,
    batch_size: int | None = None,
) -> Evaluation:
    """Loss and accuracy over `data`, or over inputs `data` with targets `t`; `loss` as `fit` takes it.

    The loss does not depend on the batch size, by default as many as have a million numbers, at most 256: a mean is
    one over all that counts, a sum one over all examples.
    Raises ValueError where there are no examples.
    """
    data = as_dataset("evaluate", data, t)
    loss = as_loss("evaluate", loss)
    size = batch_of(data.x) if batch_size is None else integer("evaluate", "batch_size", batch_size, 1)
    if not len(data):
        raise ValueError("evaluate: the data set is empty")
    counted = counting(loss, data.t)
    judge = getattr(loss, "evaluation", loss)  # of a loss that learns from what it sees
    total, count, correct, predictions = 0.0, 0.0, 0, []
    classes = True
    for start in range(0, len(data), size):
        chosen = slice(start, start + size)
        outputs = outputs_on_host(model, data.x[chosen])
        share = counted.of(chosen)
        if share:  # the mean of nothing is NaN
            total, count = total + float(judge(outputs, data.t[chosen])[0]) * share, count + share
        right = count_correct(outputs, data.t[chosen], counted.right[chosen])
        classes = classes and right is not None
        if right is not None:
            correct += right
            predictions.append(outputs.argmax(1))
    value = total if counted.of_examples is None else total / count if count else float("nan")
    if not classes:
        return Evaluation(value, None, None)
    can_be_right = int(counted.right.sum())
    return Evaluation(value, correct / can_be_right if can_be_right else float("nan"), np.concatenate(predictions))
