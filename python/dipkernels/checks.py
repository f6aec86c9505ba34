"""What a function takes, said in one line above it: `@checked(model=network, image=array("CHW"), most=whole(1))`.

Each kind gets the name of the function, that of the argument and the value, and returns what the function works with;
TypeError or ValueError, which names all three and what is taken, where the value is of another kind. So functions of
`arguments` that need nothing else are kinds as well: `flag`, `function`, `limited`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

from dipkernels.arguments import choice, described, integer, number, size

P = ParamSpec("P")
R = TypeVar("R")
Kind: TypeAlias = Callable[[str, str, Any], Any]


def checked(**kinds: Kind) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Checks these arguments of a function, or of a class's `__init__`, before it runs. None stays what it is where it
    is the default.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        *_, owner, name = f".{function.__qualname__}".split(".")
        op = owner if name == "__init__" else name
        if unknown := kinds.keys() - signature.parameters:
            raise TypeError(f"checked: {function.__qualname__} has no argument {', '.join(sorted(unknown))}")

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return function(*args, **kwargs)  # Python says what is missing
            for argument, kind in kinds.items():
                if argument not in bound.arguments:
                    continue
                value = bound.arguments[argument]
                if value is not None or signature.parameters[argument].default is not None:
                    bound.arguments[argument] = kind(op, argument, value)
            return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def check_fields(given: Any, **kinds: Kind) -> None:
    """The same for the fields of a dataclass, when it is made."""
    for name, kind in kinds.items():
        object.__setattr__(given, name, kind(type(given).__name__, name, getattr(given, name)))


def _refuse(op: str, name: str, wanted: str, value: Any, error: type[Exception] = TypeError) -> Exception:
    return error(f"{op}: {name} must be {wanted}, got {described(value)}")


def instance(kind: type) -> Kind:
    """One of a class."""

    def check(op: str, name: str, value: Any) -> Any:
        if not isinstance(value, kind):
            article = "an" if kind.__name__[0] in "AEIOU" else "a"
            raise _refuse(op, name, f"{article} {kind.__name__}", value)
        return value

    return check


def network(op: str, name: str, value: Any) -> Any:
    """A `nn.Graph`, so a `nn.Sequential` too."""
    return later("nn.graph", "Graph")(op, name, value)


def later(module: str, name: str) -> Kind:
    """One of a class of dipkernels that is imported when there is something to check: the class's own module may need
    that of the function.
    """

    def check(op: str, argument: str, value: Any) -> Any:
        return instance(getattr(importlib.import_module(f"dipkernels.{module}"), name))(op, argument, value)

    return check


def whole(least: int = 0) -> Kind:
    """An int, of any type that holds one, of at least that."""
    return lambda op, name, value: integer(op, name, value, least)


def random_seed(op: str, name: str, value: Any) -> int:
    """What random numbers begin with: an int of at least 0."""
    return integer(op, name, value, 0)


def real(least: float = -math.inf, most: float = math.inf) -> Kind:
    """A finite number from `least` to `most`."""

    def check(op: str, name: str, value: Any) -> float:
        result = number(op, name, value)
        if not (math.isfinite(result) and least <= result <= most):
            bounds = [f"at least {least:g}" if least > -math.inf else ""]
            bounds.append(f"at most {most:g}" if most < math.inf else "finite")
            raise _refuse(op, name, " and ".join(filter(None, bounds)), value, ValueError)
        return result

    return check


def positive(op: str, name: str, value: Any) -> float:
    """A finite number above 0."""
    result = number(op, name, value)
    if not 0 < result < math.inf:
        raise _refuse(op, name, "above 0 and finite", value, ValueError)
    return result


def array(axes: str, *, filled: bool = False) -> Kind:
    """An array of numbers with one axis for each letter, a digit being the axis's length; a "*" at the end stands for
    any number of axes. With `filled` it has a number at least.
    """
    named = "an array of numbers" if axes == "*" else f"an array ({', '.join(axes).replace('*', '...')}) of numbers"

    def check(op: str, name: str, value: Any) -> Any:
        try:
            result = np.asarray(value)
        except (TypeError, ValueError):
            raise _refuse(op, name, named, value) from None
        if result.dtype.kind not in "fiub":
            raise _refuse(op, name, named, value)
        fixed = axes.removesuffix("*")
        fits = len(fixed) <= result.ndim if axes.endswith("*") else len(fixed) == result.ndim
        lengths = zip(fixed, result.shape, strict=False)
        if not fits or any(letter.isdigit() and int(letter) != length for letter, length in lengths):
            raise ValueError(f"{op}: {name} must be {named}, got shape {result.shape}")
        if filled and not result.size:
            raise ValueError(f"{op}: {name} must not be empty, got shape {result.shape}")
        return result

    return check


def one_of(choices: Iterable[str]) -> Kind:
    """One of these names."""
    return lambda op, name, value: choice(op, name, value, choices)


def listed(kind: Kind, least: int = 0, count: int | None = None) -> Kind:
    """A list, or another sequence, of so many things of a kind."""

    def check(op: str, name: str, value: Any) -> list[Any]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Sequence, np.ndarray)):
            raise _refuse(op, name, "a list", value)
        if count is not None and len(value) != count:
            raise _refuse(op, name, f"a list of {count}", value, ValueError)
        if len(value) < least:
            raise _refuse(op, name, f"a list of at least {least}", value, ValueError)
        return [kind(op, f"{name}[{i}]", each) for i, each in enumerate(value)]

    return check


def string(op: str, name: str, value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _refuse(op, name, "a string", value)
    return value


def mapping(kind: Kind, least: int = 0) -> Kind:
    """A dictionary, or the like, from at least so many names to things of a kind."""

    def check(op: str, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _refuse(op, name, "a dictionary", value)
        if len(value) < least:
            raise _refuse(op, name, f"a dictionary of at least {least}", value, ValueError)
        return {string(op, f"a name in {name}", key): kind(op, f"{name}[{key!r}]", each) for key, each in value.items()}

    return check


def file_path(op: str, name: str, value: Any) -> Path:
    """A path of a file or folder."""
    if not isinstance(value, (str, os.PathLike)) or isinstance(value, bytes):
        raise _refuse(op, name, "a path", value)
    return Path(value)


def shape(axes: str) -> Kind:
    """A size of at least 1 along each axis."""
    return lambda op, name, value: size(op, name, value, axes, 1)


def as_many(op: str, **given: Any) -> None:
    """ValueError where these have not all the same length; those that are None do not count."""
    lengths = {name: len(value) for name, value in given.items() if value is not None}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise ValueError(f"{op}: {' and '.join(lengths)} must be as many, got {counts}")
