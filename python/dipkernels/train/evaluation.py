"""Outputs, loss and accuracy of a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipkernels import cuda, ops
from dipkernels.data.dataset import Dataset
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray, to_host

Loss: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]
"""(outputs, targets) → (loss, gradient of the outputs), like the `…_with_grad` functions of `ops`."""


@dataclass(frozen=True)
class Evaluation:
    """Mean loss; for classes the accuracy and the predicted class of every example, else None."""

    loss: float
    accuracy: float | None
    predictions: npt.NDArray[np.int64] | None


def outputs_on_host(model: Graph, x: FloatArray) -> Any:
    """The outputs for NumPy inputs as NumPy arrays, wherever the model's weights are."""
    if not model.on_device:
        return model.forward(x)
    outputs = model.forward(cuda.to_device(x))  # type: ignore[arg-type]
    return tuple(to_host(each) for each in outputs) if isinstance(outputs, tuple) else to_host(outputs)


def predict(model: Graph, x: FloatArray, batch_size: int = 256) -> FloatArray:
    """The outputs of a network with one head, batch by batch."""
    batches = [outputs_on_host(model, x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
    return np.concatenate(batches) if batches else outputs_on_host(model, x)


def are_classes(outputs: Any, t: npt.NDArray[Any]) -> bool:
    """Whether outputs are logits (N, C) of one head and targets class indices (N,)."""
    return not isinstance(outputs, tuple) and outputs.ndim == 2 and t.ndim == 1 and t.dtype.kind == "i"


def count_correct(outputs: Any, t: npt.NDArray[Any]) -> int | None:
    """How many rows of logits (N, C) are largest at their class; None where the targets are no classes."""
    return int((outputs.argmax(1) == t).sum()) if are_classes(outputs, t) else None


def evaluate(
    model: Graph, data: Dataset, loss: Loss = ops.cross_entropy_with_grad, batch_size: int = 256
) -> Evaluation:
    """Loss and accuracy over `data`. Raises ValueError where it is empty."""
    if not len(data):
        raise ValueError("evaluate: the data set is empty")
    total, correct, predictions = 0.0, 0, []
    classes = True
    for start in range(0, len(data), batch_size):
        x, t = data.x[start : start + batch_size], data.t[start : start + batch_size]
        outputs = outputs_on_host(model, x)
        total += float(loss(outputs, t)[0]) * len(x)
        right = count_correct(outputs, t)
        classes = classes and right is not None
        if right is not None:
            correct += right
            predictions.append(outputs.argmax(1))
    mean = total / len(data)
    return (
        Evaluation(mean, correct / len(data), np.concatenate(predictions)) if classes else Evaluation(mean, None, None)
    )
