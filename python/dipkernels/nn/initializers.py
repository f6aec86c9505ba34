"""Initialisers of weights: functions of (rng, shape, fan_in, fan_out)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dipkernels.ops.backend import FloatArray


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> FloatArray:
    """Normal with variance 2/fan_in, for ReLU. Source: He et al. 2015."""
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / fan_in))


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> FloatArray:
    """Uniform with variance 2/(fan_in + fan_out), for tanh and sigmoid. Source: Glorot, Bengio 2010."""
    limit = np.float32(np.sqrt(6.0 / (fan_in + fan_out)))
    return (2 * rng.random(shape, np.float32) - 1) * limit


def lecun_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> FloatArray:
    """Normal with variance 1/fan_in. Source: LeCun et al. 1998, "Efficient BackProp"."""
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(1.0 / fan_in))


def zeros(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> FloatArray:
    """Zeros, for a single neuron."""
    return np.zeros(shape, np.float32)


INITIALIZERS: dict[str, Callable[[np.random.Generator, tuple[int, ...], int, int], FloatArray]] = {
    "he_normal": he_normal,
    "glorot_uniform": glorot_uniform,
    "lecun_normal": lecun_normal,
    "zeros": zeros,
}
