"""The geometry arguments of window operators: what a user may write, and what the kernels take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from dipkernels import _cpu
from dipkernels.arguments import described, integer, size

__all__ = ["output_size"]

Pair: TypeAlias = int | Sequence[int]
"""One number for both axes, or (height, width)."""

Padding: TypeAlias = int | Sequence[int] | Sequence[Sequence[int]] | Literal["same", "valid"]
"""One number for all sides, (height, width), or ((top, bottom), (left, right)); "valid" is none, "same" as many as make
the result ⌈input/stride⌉ large, an odd one at the end."""

Triple: TypeAlias = int | Sequence[int]
"""One number for all three axes, or (depth, height, width)."""

Padding3d: TypeAlias = int | Sequence[int] | Sequence[Sequence[int]] | Literal["same", "valid"]
"""As `Padding`: one number for all sides, (depth, height, width), or ((front, back), (top, bottom), (left, right))."""

Rounding: TypeAlias = Literal["exact", "floor", "ceil"]
"""What becomes of an output size that is no whole number: an error, or rounded. Convolutions do not take "ceil"."""


def _is_sequence(value: Any) -> bool:
    # The usual types first: asking for the abstract one takes longer than a small kernel.
    kind = type(value)
    if kind is int or kind is tuple or kind is list:
        return kind is not int
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)


def _integer(op: str, name: str, value: Any, wanted: str = "an int or a pair of ints") -> int:
    return integer(op, name, value, wanted=wanted)


def pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """(height, width) from one number or two.

    >>> pair("conv2d", "stride", 2)
    (2, 2)
    """
    if type(value) is int and -(2**62) < value < 2**62:  # most often, and quick
        return value, value
    if _is_sequence(value):
        if len(value) != 2:
            raise ValueError(f"{op}: {name} must be an int or a pair (height, width), got {described(value)}")
        return _integer(op, name, value[0]), _integer(op, name, value[1])
    number = _integer(op, name, value)
    return number, number


def triple(op: str, name: str, value: Any) -> tuple[int, int, int]:
    """(depth, height, width) from one number or three.

    >>> triple("conv3d", "stride", (1, 2, 2))
    (1, 2, 2)
    """
    wanted = "an int or three ints"
    if not _is_sequence(value):
        number = _integer(op, name, value, wanted)
        return number, number, number
    if len(value) != 3:
        raise ValueError(f"{op}: {name} must be an int or (depth, height, width), got {described(value)}")
    depth, height, width = (_integer(op, name, each, wanted) for each in value)
    return depth, height, width


def padding_triples(op: str, value: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """((front, back), (top, bottom), (left, right)) from one number, (depth, height, width), or all six.

    >>> padding_triples("conv3d", (0, 1, 2))
    ((0, 0), (1, 1), (2, 2))
    """
    if _is_sequence(value) and len(value) == 3 and all(_is_sequence(side) for side in value):
        return pair(op, "padding", value[0]), pair(op, "padding", value[1]), pair(op, "padding", value[2])
    if isinstance(value, str):
        raise TypeError(f'{op}: padding must be ints, "same" or "valid", got {described(value)}')
    depth, height, width = triple(op, "padding", value)
    return (depth, depth), (height, height), (width, width)


def padding_pairs(op: str, value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) from one number, (height, width), or all four.

    >>> padding_pairs("conv2d", (1, 2))
    ((1, 1), (2, 2))
    """
    if _is_sequence(value) and len(value) == 2 and _is_sequence(value[0]) and _is_sequence(value[1]):
        return pair(op, "padding", value[0]), pair(op, "padding", value[1])
    if isinstance(value, str):
        raise TypeError(f'{op}: padding must be ints, "same" or "valid", got {described(value)}')
    vertical, horizontal = pair(op, "padding", value)
    return (vertical, vertical), (horizontal, horizontal)


def resolved_padding(
    op: str,
    padding: Any,
    rounding: Any,
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Any, Any]:
    """What "same" and "valid" mean for these sizes, one for each axis, and the rounding that goes with it.

    "same" makes the result ⌈input/stride⌉ large, by as few zeros as that takes, an odd one at the end; "valid" is none.

    >>> resolved_padding("conv2d", "same", "exact", (8, 7), (3, 2), (2, 1), (1, 1))
    (((0, 1), (0, 1)), 'floor')
    """
    if padding == "valid":
        return ((0, 0),) * len(input_size), rounding
    if padding != "same":
        return (padding_pairs if len(input_size) == 2 else padding_triples)(op, padding), rounding
    pads = []
    for n, f, s, d in zip(input_size, kernel_size, stride, dilation, strict=True):
        missing = 0 if s < 1 else max(((n + s - 1) // s - 1) * s + d * (f - 1) + 1 - n, 0)
        pads.append((missing // 2, missing - missing // 2))
    return tuple(pads), "floor"


def resampled_size(
    op: str, shape: Sequence[int], scale_factor: Pair | None, name: str, given: Sequence[int] | None, grow: bool
) -> tuple[int, int]:
    """The size of the large plane from that of the small one, or the other way, from whichever argument is given."""
    if len(shape) != 4:
        raise ValueError(f"{op}: {'x' if grow else 'dy'} must have 4 dimensions (N, C, H, W), got shape {tuple(shape)}")
    if (scale_factor is None) == (given is None):
        raise ValueError(
            f"{op}: give one of scale_factor and {name}, got {described(scale_factor)} and {described(given)}"
        )
    if given is not None:
        height, width = size(op, name, given, "HW")
        return height, width
    scale = pair(op, "scale_factor", scale_factor)
    if min(scale) < 1:
        raise ValueError(f"{op}: scale_factor must be at least 1, got {scale}")
    if not grow and (shape[-2] % scale[0] or shape[-1] % scale[1]):
        raise ValueError(f"{op}: scale_factor {scale} must divide height and width of dy, got shape {tuple(shape)}")
    height, width = (n * s if grow else n // s for n, s in zip(shape[-2:], scale, strict=True))
    if max(height, width) >= 2**31:
        raise ValueError(f"{op}: scale_factor is too large, got {scale}")
    return height, width


def output_size(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    *,
    rounding: Rounding = "exact",
) -> int:
    """O = (I − F + P_start + P_end)/S + 1 along one axis, F = dilation·(kernel_size − 1) + 1.

    Parameters
    ----------
    input_size, kernel_size, stride, dilation
        Numbers of elements, each at least 1.
    padding
        Zeros on both sides, or (start, end).
    rounding
        "exact": a division with a remainder is an error; "floor": it is rounded down, and the end of the input that
        no window reaches is left out; "ceil": one more window takes what there is of it.

    Raises
    ------
    ValueError
        The window does not fit into the padded input, or not a whole number of times; the message names what would.

    Source: lecture "Deep Learning Crash Course", output size of a convolution.

    >>> output_size(32, 5)
    28
    >>> output_size(10, 3, stride=2)
    Traceback (most recent call last):
    ...
    ValueError: output_size: size 10, kernel_size 3, stride 2, padding (0, 0), dilation 1 give the output size 7/2 \
+ 1, which is no whole number; stride 1, 7 would fit, or 1 more padding in all, or rounding="floor"
    """
    op = "output_size"
    return _cpu.output_size(
        op,
        "size",
        integer(op, "input_size", input_size),
        integer(op, "kernel_size", kernel_size),
        integer(op, "stride", stride),
        pair(op, "padding", padding),
        integer(op, "dilation", dilation),
        rounding,
    )
