"""The geometry of layers with windows: checked when the layer is made, and its output size for an input's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels import ops
from dipkernels.ops.geometry import (
    Padding,
    Pair,
    Triple,
    padding_pairs,
    padding_triples,
    pair,
    resolved_padding,
    triple,
)


def positive_pair(op: str, name: str, value: Pair) -> tuple[int, int]:
    """(height, width), both at least 1."""
    both = pair(op, name, value)
    if min(both) < 1:
        raise ValueError(f"{op}: {name} must be at least 1, got {value!r}")
    return both


def positive_sizes(op: str, name: str, value: Pair | Triple, axes: int) -> tuple[int, ...]:
    """(height, width), or of three axes (depth, height, width), all at least 1."""
    if axes == 2:
        return positive_pair(op, name, value)
    sizes = triple(op, name, value)
    if min(sizes) < 1:
        raise ValueError(f"{op}: {name} must be at least 1, got {value!r}")
    return sizes


def layer_padding(op: str, padding: Any, axes: int = 2) -> Any:
    """(start, end) of each axis; "same" and "valid" as they are, for what they come to depends on the input."""
    if isinstance(padding, str) and padding in ("same", "valid"):
        return padding
    pads = padding_pairs(op, padding) if axes == 2 else padding_triples(op, padding)
    if min(min(side) for side in pads) < 0:
        raise ValueError(f"{op}: padding must be at least 0, got {padding!r}")
    return pads


def window_output(
    op: str,
    size: Sequence[int],
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    rounding: Any,
) -> tuple[int, ...]:
    """The size of the result along each axis."""
    pads, rounding = resolved_padding(op, padding, rounding, size, kernel_size, stride, dilation)
    return tuple(
        ops.output_size(n, f, s, p, d, rounding=rounding)
        for n, f, s, p, d in zip(size, kernel_size, stride, pads, dilation, strict=True)
    )


def grown_field(
    sizes: Sequence[int],
    jumps: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[list[int], list[int]]:
    """`Layer.receptive_field` of a window."""
    grown = [s + j * d * (f - 1) for s, j, f, d in zip(sizes, jumps, kernel_size, dilation, strict=True)]
    return grown, [j * s for j, s in zip(jumps, stride, strict=True)]
