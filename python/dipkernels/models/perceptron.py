"""The single neuron: Rosenblatt's perceptron with its learning rule, and the logistic neuron."""

from __future__ import annotations

import warnings

import numpy as np

from dipkernels.nn.graph import Sequential
from dipkernels.nn.linear import Linear
from dipkernels.ops.backend import FloatArray


class Perceptron(Sequential):
    """y = f(w₀ + wᵀx) with the step function: which side of the hyperplane w₀ + wᵀx = 0 a point lies on.

    Source: Rosenblatt 1958; lecture.

    >>> neuron = perceptron(2)
    >>> x = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> neuron.learn(x, np.float32([0, 0, 0, 1]))
    [1, 3, 3, 2, 1, 0]
    >>> neuron.forward(x).ravel()
    array([0., 0., 0., 1.], dtype=float32)
    """

    def learn(self, x: FloatArray, t: FloatArray, *, lr: float = 1.0, epochs: int = 100) -> list[int]:
        """Rosenblatt's rule, pattern by pattern: w ← w + ε·(t − y)·x and w₀ ← w₀ + ε·(t − y).

        It ends when an epoch brings no error, which it must where a hyperplane separates the classes (Novikoff 1962).

        Parameters
        ----------
        x : float32 (N, features)
        t : float32 (N,), 0 or 1
        epochs
            At most.

        Returns
        -------
        The number of errors in each epoch; warns where the last one still has some. Raises ValueError for targets other
        than 0 and 1.
        """
        t = np.asarray(t, np.float32).reshape(-1)
        if len(t) != len(x) or not np.isin(t, (0, 1)).all():
            raise ValueError("learn: t must hold one 0 or 1 for each pattern of x")
        weight, bias = self.parameters["neuron.weight"], self.parameters["neuron.bias"]
        errors: list[int] = []
        for _ in range(epochs):
            wrong = 0
            for pattern, target in zip(x, t, strict=True):
                error = target - self.forward(pattern[None])[0, 0]
                weight[0] += np.float32(lr) * error * pattern
                bias[0] += np.float32(lr) * error
                wrong += int(error != 0)
            errors.append(wrong)
            if not wrong:
                return errors
        warnings.warn(
            f"learn: after {epochs} epochs {errors[-1] if errors else 'some'} patterns are wrong; either more epochs "
            "are needed, or no line parts the classes, as with XOR, and a network with a hidden layer is",
            stacklevel=2,
        )
        return errors


def perceptron(features: int = 2) -> Perceptron:
    """A perceptron with zero weights."""
    neuron = {"neuron": Linear(features, 1, activation="step")}
    return Perceptron((features,), neuron, initializer="zeros")


def logistic_neuron(features: int = 2, *, seed: int = 0) -> Sequential:
    """y = 1/(1 + e^{−(w₀ + wᵀx)}), which gradient descent can train. Source: lecture."""
    neuron = {"neuron": Linear(features, 1, activation="sigmoid")}
    return Sequential((features,), neuron, seed=seed, initializer="glorot_uniform")
