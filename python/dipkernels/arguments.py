"""Scalars and sizes as users write them, checked in one place: errors name operator, argument, got and taken.

The compiled modules check what goes to them in the same way (csrc/bind/arguments.h).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np


def described(value: Any) -> str:
    """What was given, in a few words."""
    if getattr(value, "ndim", 0):
        return f"an array of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def integer(op: str, name: str, value: Any, least: int = -(2**62), wanted: str = "an int") -> int:
    """An int from any type that holds one without a loss, NumPy's too.

    TypeError where it is none; ValueError below `least` or beyond ±2⁶².

    >>> integer("conv2d", "groups", np.int32(2))
    2
    """
    if type(value) is int and least <= value < 2**62:
        return value
    if not isinstance(value, (bool, np.bool_)):
        try:
            number = operator.index(value)
        except TypeError:
            pass
        else:
            if least <= number < 2**62:
                return number
            limit = f"at least {least}" if number < least > -(2**62) else "below 2^62"
            raise ValueError(f"{op}: {name} must be {limit}, got {described(value)}")
    raise TypeError(f"{op}: {name} must be {wanted}, got {described(value)}")


def number(op: str, name: str, value: Any) -> float:
    """A float from any number, NumPy's and arrays of no dimensions too; TypeError for anything else.

    >>> number("SGD", "lr", np.float32(0.5))
    0.5
    """
    if type(value) in (int, float):
        return float(value)
    if not isinstance(value, (bool, np.bool_, str, bytes, complex)) and not getattr(value, "ndim", 0):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(f"{op}: {name} must be a number, got {described(value)}")


def numbers(op: str, name: str, value: Any, count: int) -> tuple[float, ...]:
    """So many floats; TypeError or ValueError for anything else."""
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, str):
        raise TypeError(f"{op}: {name} must be {count} numbers, got {described(value)}")
    if len(value) != count:
        raise ValueError(f"{op}: {name} must be {count} numbers, got {described(value)}")
    return tuple(number(op, f"{name}[{i}]", each) for i, each in enumerate(value))


def limited(op: str, name: str, value: Any, below: float = float("inf")) -> float:
    """A number that is finite, at least 0 and below that; ValueError otherwise."""
    result = number(op, name, value)
    if not 0 <= result < below:
        raise ValueError(
            f"{op}: {name} must be at least 0 and {'finite' if below == float('inf') else f'below {below:g}'}, "
            f"got {described(value)}"
        )
    return result


def flag(op: str, name: str, value: Any) -> bool:
    """True or False; TypeError for anything else."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{op}: {name} must be True or False, got {described(value)}")


def choice(op: str, name: str, value: Any, choices: Iterable[str]) -> str:
    """One of these names; TypeError for what is no string, ValueError for another."""
    known = list(choices)
    if isinstance(value, str) and value in known:
        return value
    text = " or ".join(filter(None, [", ".join(f'"{each}"' for each in known[:-1]), f'"{known[-1]}"']))
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{op}: {name} must be {text}, got {described(value)}")


def size(op: str, name: str, value: Any, axes: str, least: int = -(2**62)) -> tuple[int, ...]:
    """A shape with one int, of at least that, for each letter of `axes`, "NCHW" say.

    >>> size("conv2d_backward_data", "input_size", [1, 2, 3, 3], "NCHW")
    (1, 2, 3, 3)
    """
    wanted = f"({', '.join(axes)})"
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, str):
        raise TypeError(f"{op}: {name} must be {wanted}, got {described(value)}")
    if len(value) != len(axes):
        raise ValueError(f"{op}: {name} must be {wanted}, got {described(value)}")
    return tuple(integer(op, f"{name}[{i}]", each, least) for i, each in enumerate(value))


def integers(op: str, name: str, value: Any) -> list[int]:
    """A list of ints from any sequence of them; TypeError for anything else.

    >>> integers("concatenate_backward", "channels", (2, np.int64(1)))
    [2, 1]
    """
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes)):
        try:
            return [integer(op, name, each) for each in value]
        except TypeError:
            pass
    raise TypeError(f"{op}: {name} must be a list of ints, got {described(value)}")


def size_of_one(op: str, name: str, value: Any) -> tuple[int, ...]:
    """The shape of one example, without the batch axis: a sequence of ints of at least 1, or one int for a vector.

    >>> size_of_one("Graph", "input", 784)
    (784,)
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return (integer(op, name, value, 1),)
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, str):
        raise TypeError(f"{op}: {name} must be a tuple of ints, got {described(value)}")
    return tuple(integer(op, name, each, 1) for each in value)


def arrays(op: str, name: str, value: Any) -> list[Any]:
    """A list of arrays from any sequence or iterator of them; TypeError for what is none, an array among it."""
    if hasattr(value, "shape") or isinstance(value, (str, bytes, dict)):
        raise TypeError(f"{op}: {name} must be a list of arrays, got {described(value)}")
    try:
        return list(value)
    except TypeError:
        raise TypeError(f"{op}: {name} must be a list of arrays, got {described(value)}") from None


def function(op: str, name: str, value: Any) -> Callable[..., Any]:
    """Something to call; TypeError for anything else."""
    if not callable(value):
        raise TypeError(f"{op}: {name} must be a function, got {described(value)}")
    return value
