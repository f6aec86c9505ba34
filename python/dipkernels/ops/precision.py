"""How exactly convolutions and linear layers multiply, by PyTorch's words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, TypeAlias

from dipkernels.arguments import choice

Precision: TypeAlias = Literal["highest", "high", "medium"]
"""The least precision that will do; a backend may be more precise where that is no slower.

"highest": float32, or products that are as exact. "high": numbers split in two, three products of their halves, with an
error of at most 3·2⁻¹⁶ of each product. "medium": one product of numbers rounded to bfloat16, with an error of at most
2⁻⁷ (2⁻¹⁰ on GPUs, where they are rounded to TF32). Arrays of float16 and bfloat16 lose nothing: their products are
exact, whatever the precision.

On a CPU "high" and "medium" compute 3×3 convolutions of stride 1, and both their gradients, by Winograd's minimal
filtering, whose error is near 2⁻¹⁷ of the largest results within six pixels. "medium" multiplies bfloat16 numbers where
the processor does (AVX512-BF16 on AMD's, AMX on Intel's), and takes numbers below 2⁻¹²⁶ for zeros. On AMX "high" and
even "highest" are products of split bfloat16 numbers. Where infinities, NaN or a range beyond float32's rule such a way
out, float32 is multiplied instead; so it is for filters whose weights are all below 2⁻¹¹². `explain` tells which way a
convolution goes.

On a GPU whose tensor cores have bfloat16 and TF32 "medium" is one product of TF32 (the weight gradients' are as for
"high"), "high" three products of split numbers and "highest" six, where that is faster than float32; the environment
variable DIPKERNELS_GPU_FLOAT32 ("auto", "fma" or "tensor") overrules the choice. Infinities and NaN stay what they are.
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
    choice("precision", "name", name, ("highest", "high", "medium"))
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)
