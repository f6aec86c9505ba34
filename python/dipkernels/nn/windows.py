"""The geometry of layers with windows: checked when the layer is made, and its output size for an input's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipkernels import ops
from dipkernels.ops.geometry import Padding, Pair, padding_pairs, pair, resolved_padding


def positive_pair(op: str, name: str, value: Pair) -> tuple[int, int]:
    """(height, width), both at least 1."""
    both = pair(op, name, value)
    if min(both) < 1:
        raise ValueError(f"{op}: {name} must be at least 1, got {value!r}")
    return both


def layer_padding(op: str, padding: Padding) -> Padding:
    """((top, bottom), (left, right)); "same" and "valid" as they are, for what they come to depends on the input."""
    if isinstance(padding, str) and padding in ("same", "valid"):
        return padding
    pads = padding_pairs(op, padding)
    if min(*pads[0], *pads[1]) < 0:
        raise ValueError(f"{op}: padding must be at least 0, got {padding!r}")
    return pads


def window_output(
    op: str,
    size: Sequence[int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    rounding: Any,
) -> tuple[int, int]:
    """The (height, width) of the result."""
    pads, rounding = resolved_padding(op, padding, rounding, size, kernel_size, stride, dilation)
    height, width = (
        ops.output_size(n, f, s, p, d, rounding=rounding)
        for n, f, s, p, d in zip(size, kernel_size, stride, pads, dilation, strict=True)
    )
    return height, width
