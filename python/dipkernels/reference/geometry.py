"""Padding and output sizes, written out again for the oracles: nothing here is shared with the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["output_size"]

Float64: TypeAlias = npt.NDArray[np.float64]


def pair(value: Any) -> tuple[int, int]:
    """(height, width) from one number or two."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def padding_pairs(value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) from one number, (height, width), or all four."""
    vertical, horizontal = pair(value)
    return pair(vertical), pair(horizontal)


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis, from one or as many."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def padding_per_axis(value: Any, axes: int) -> tuple[tuple[int, int], ...]:
    """(start, end) for each axis, from one number, one for each axis, or all of them."""
    return tuple(pair(side) for side in per_axis(value, axes))


def output_size(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    *,
    rounding: str = "exact",
) -> int:
    """O = (I − F + P_start + P_end)/S + 1."""
    start, end = pair(padding)
    steps, rest = divmod(input_size + start + end - dilation * (kernel_size - 1) - 1, stride)
    if steps < 0 or (rest and rounding == "exact"):
        raise ValueError("the window does not fit")
    one_more = rest and rounding == "ceil" and (steps + 1) * stride < input_size + start
    return steps + 1 + bool(one_more)


def same_padding(input_size: int, kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """(start, end) for a result of ⌈input/stride⌉."""
    missing = (-(-input_size // stride) - 1) * stride + dilation * (kernel_size - 1) + 1 - input_size
    return max(missing, 0) // 2, max(missing, 0) - max(missing, 0) // 2


class Windows:
    """The windows of an operator over x (N, C, H, W), or, of three axes, (N, C, D, H, W): where their taps lie in the
    padded input.
    """

    def __init__(
        self,
        size: tuple[int, ...],
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any = 1,
        rounding: str = "exact",
        axes: int = 2,
    ) -> None:
        self.kernel, self.stride, self.dilation = (per_axis(v, axes) for v in (kernel_size, stride, dilation))
        self.size = size[-axes:]
        if padding == "same":
            each = zip(self.size, self.kernel, self.stride, self.dilation, strict=True)
            padding, rounding = tuple(same_padding(*axis) for axis in each), "floor"
        self.padding = padding_per_axis(0 if padding == "valid" else padding, axes)
        self.output = tuple(
            output_size(n, f, s, p, d, rounding=rounding)
            for n, f, s, p, d in zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        )
        # How far the last windows reach beyond the padding, where the output size is rounded up.
        self.beyond = tuple(
            max((o - 1) * step + d * (f - 1) + 1 - n - sum(p), 0)
            for o, step, d, f, n, p in zip(
                self.output, self.stride, self.dilation, self.kernel, self.size, self.padding, strict=True
            )
        )

    def pad(self, x: Float64, value: float = 0.0) -> Float64:
        """x with its padding, and zeros as far as windows reach."""
        padded = np.pad(x, ((0, 0), (0, 0), *self.padding), constant_values=value)
        return np.pad(padded, ((0, 0), (0, 0), *((0, more) for more in self.beyond)))

    def crop(self, padded: Float64) -> Float64:
        """A padded array without its padding."""
        inner = (slice(start, start + n) for (start, _), n in zip(self.padding, self.size, strict=True))
        everywhere: Any = (..., *inner)
        return padded[everywhere]

    def tap_indices(self) -> Iterator[tuple[int, ...]]:
        """The taps of a window, (r, s) or (t, r, s), in order."""
        return product(*(range(f) for f in self.kernel))

    def taps(self) -> Iterator[Any]:
        """For each tap of the window what of the padded input it meets, one element for each window, as an index."""
        for indices in self.tap_indices():
            slices = (
                slice(tap * d, tap * d + (o - 1) * step + 1, step)
                for tap, d, o, step in zip(indices, self.dilation, self.output, self.stride, strict=True)
            )
            yield (..., *slices)

    def meetings(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]]:
        """For each tap the windows in which it meets x, as slices of the output, and where, as slices of x.

        A tap on the padding meets nothing: what it would be multiplied with does not matter, be it infinite or NaN.
        """
        for indices in self.tap_indices():
            outputs, inputs = [], []
            for axis, tap in enumerate(indices):
                step, shift = self.stride[axis], tap * self.dilation[axis] - self.padding[axis][0]
                first = max(0, -(shift // step))
                last = max(first, min(self.output[axis], (self.size[axis] - 1 - shift) // step + 1))
                outputs.append(slice(first, last))
                start = first * step + shift
                inputs.append(slice(start, max(start + (last - first) * step - step + 1, start), step))
            yield indices, tuple(outputs), tuple(inputs)
