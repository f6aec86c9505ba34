"""How exactly convolutions and linear layers multiply, by PyTorch's words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["highest", "high", "medium"]
"""The least precision that will do; a backend may be more precise, and the CPU always multiplies in float32.

"highest": float32. "high": numbers split in two, three products of 11-bit halves, an error near 2⁻²¹ of each product.
"medium": one product of numbers rounded to 11 bits (TF32), an error near 2⁻¹¹; none for float16 and bfloat16, which
have no more bits, so they are always multiplied like this.
"""

_current: ContextVar[Precision] = ContextVar("precision", default="highest")


def precision_or_current(precision: Precision | None) -> Precision:
    """The argument of an operator, or where it is None the one that `precision` has set."""
    return _current.get() if precision is None else precision


@contextlib.contextmanager
def precision(name: Precision) -> Iterator[None]:
    """Within it, operators that are not told otherwise multiply with this precision.

    Raises ValueError for another name than "highest", "high" and "medium".

    >>> with precision("high"):
    ...     precision_or_current(None)
    'high'
    """
    if name not in ("highest", "high", "medium"):
        raise ValueError(f'precision: name must be "highest", "high" or "medium", got {name!r}')
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)
