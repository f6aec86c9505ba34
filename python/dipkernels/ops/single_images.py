"""Images without a batch axis, (C, H, W), for operators that take (N, C, H, W), and clips without one: as in PyTorch,
results lack it too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def single_images(
    *arrays: str, size: str = "", results: tuple[int, ...] = (0,), axes: int = 3
) -> Callable[[Function], Function]:
    """A decorator: where the function's first argument has the axes of one image, it is called with a batch of one.

    `arrays` names the arguments that have the batch axis then, besides `out`; `size` one that is a shape with it;
    `results` says which of the results lose it again.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        first = next(iter(signature.parameters))

        def call_with_batch_of_one(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            out = given.get("out")
            for name in (*arrays, "out"):
                shape = getattr(given.get(name), "shape", ())
                if len(shape) == axes:
                    given[name] = given[name].reshape((1, *shape))
            if size in given and hasattr(given[size], "__len__") and len(given[size]) == axes:
                given[size] = (1, *given[size])
            found = function(**given)
            several = list(found) if isinstance(found, tuple) else [found]
            for i in results:
                if several[i] is not None:
                    several[i] = several[i].reshape(tuple(several[i].shape[1:])) if out is None or i else out
            return tuple(several) if isinstance(found, tuple) else several[0]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            leading = args[0] if args else kwargs.get(first)
            if len(getattr(leading, "shape", ())) == axes:
                return call_with_batch_of_one(*args, **kwargs)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def single_clips(*arrays: str, size: str = "", results: tuple[int, ...] = (0,)) -> Callable[[Function], Function]:
    """The same for operators of clips, (C, D, H, W) for (N, C, D, H, W)."""
    return single_images(*arrays, size=size, results=results, axes=4)
