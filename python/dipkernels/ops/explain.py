"""Which kernel an operator uses, and why."""

from __future__ import annotations

from collections.abc import Sequence

from dipkernels import _cpu
from dipkernels.ops.conv import convolution_options
from dipkernels.ops.geometry import Padding, Pair, Rounding

_OPERATORS = ("conv2d", "conv2d_backward_data", "conv2d_backward_weight")


def explain(
    op: str,
    x_size: Sequence[int],
    weight_size: Sequence[int],
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
) -> str:
    """Which of its kernels a convolution uses on the CPU, by the name that csrc/ops/conv/ways.h has, and why.

    It is that for the precision which `dipkernels.precision` has set.

    Parameters
    ----------
    op
        "conv2d", "conv2d_backward_data" or "conv2d_backward_weight".
    x_size, weight_size
        The shapes (N, C, H, W) of x and (K, C/groups, F_h, F_w) of the weight.

    The other parameters are those of `conv2d`.

    Raises
    ------
    ValueError
        Another operator, or sizes that do not fit together.

    >>> explain("conv2d", (64, 1, 32, 32), (6, 1, 5, 5)).partition(":")[0]
    'images'
    """
    if op not in _OPERATORS:
        raise ValueError(f"explain: op must be one of {', '.join(_OPERATORS)}, got {op!r}")
    options = convolution_options(op, stride, padding, dilation, groups, rounding, None)
    return _cpu.conv2d_choice(op, list(x_size), list(weight_size), **options)
