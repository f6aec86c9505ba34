"""Which kernel an operator uses, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dipkernels import _cpu, cuda
from dipkernels.arguments import choice, size
from dipkernels.ops.conv import convolution_options
from dipkernels.ops.geometry import Padding, Padding3d, Pair, Rounding, Triple
from dipkernels.ops.precision import precision_or_current

_OPERATORS = [f"{op}{gradient}" for op in ("conv2d", "conv3d", "linear")
              for gradient in ("", "_backward_data", "_backward_weight")]  # fmt: skip


def explain(
    op: str,
    x_size: Sequence[int],
    weight_size: Sequence[int],
    stride: Pair | Triple = 1,
    padding: Padding | Padding3d = 0,
    dilation: Pair | Triple = 1,
    groups: int = 1,
    *,
    rounding: Rounding = "exact",
    device: Literal["cpu", "cuda"] = "cpu",
) -> str:
    """Which of its kernels a convolution or a linear layer of float32 uses, and why.

    It is that for the precision which `dipkernels.precision` has set. On a CPU the names are those of
    csrc/ops/conv/cpu/ways.h, and for linear layers "float32" and "bf16"; on a GPU "gathered" (float32 where it lies),
    "packed" (on tensor cores), "direct", and "small" and "few channels" for what would leave tiles empty.

    Parameters
    ----------
    op
        "conv2d", "conv2d_backward_data" or "conv2d_backward_weight", or those of conv3d or linear.
    x_size, weight_size
        The shapes (N, C, H, W) of x and (K, C/groups, F_h, F_w) of the weight, with a depth those of conv3d, and of
        linear (N, I) and (O, I).
    device
        Where it is to run.

    The other parameters are those of `conv2d`; linear has none of them.

    Raises
    ------
    ValueError
        Another operator or device, or sizes that do not fit together.
    RuntimeError
        There is no GPU, or no CUDA backend.

    >>> explain("conv2d", (64, 1, 32, 32), (6, 1, 5, 5)).partition(":")[0]
    'images'
    """
    choice("explain", "op", op, _OPERATORS)
    choice("explain", "device", device, ("cpu", "cuda"))
    module = _cpu if device == "cpu" else cuda.backend("explain")
    if op.startswith("linear"):
        if (stride, padding, dilation, groups, rounding) != (1, 0, 1, 1, "exact"):
            raise ValueError(f"explain: {op} has no stride, padding, dilation, groups or rounding; leave them out")
        sizes = size("explain", "x_size", x_size, "NI"), size("explain", "weight_size", weight_size, "OI")
        return str(module.linear_choice(op, list(sizes[0]), list(sizes[1]), precision_or_current(None)))
    axes = 3 if op.startswith("conv3d") else 2
    of_x, of_weight = ("NCHW", "KCHW") if axes == 2 else ("NCDHW", "KCDHW")
    sizes = size("explain", "x_size", x_size, of_x), size("explain", "weight_size", weight_size, of_weight)
    options = convolution_options(op, stride, padding, dilation, groups, rounding, None, *sizes, axes=axes)
    return str(
        (module.conv2d_choice if axes == 2 else module.conv3d_choice)(op, list(sizes[0]), list(sizes[1]), **options)
    )
