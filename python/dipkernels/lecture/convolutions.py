"""Convolution, pooling, receptive fields, upsampling, augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dipkernels import models, nn, ops
from dipkernels.data import affine, digits
from dipkernels.lecture.example import Chapter, Example, Number
from dipkernels.nn.summary import receptive_fields
from dipkernels.viz import side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INPUT = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]], np.float32)
_KERNEL = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]], np.float32)


def _convolved(**options: Any) -> Any:
    return ops.conv2d(_INPUT[None, None], _KERNEL[None, None], **options)[0, 0]


def _on_paper(digits_by_name: Mapping[str, Any]) -> Figure:
    return side_by_side({name: 1 - image for name, image in digits_by_name.items()})


def by_hand() -> Example:
    """The lecture's 5 × 5 example."""
    return Example(
        "A convolution by hand",
        "The kernel slides over the input; each result is the sum of nine products (a cross-correlation).",
        [Number("stride 1, no padding", _convolved(), [[12, 12, 17], [10, 17, 19], [9, 6, 14]])],
        {
            "input": _INPUT,
            "kernel": _KERNEL,
            "S = 1, P = 0": _convolved(),
            "S = 2, P = 1": _convolved(stride=2, padding=1),
            "S = 1, P = 1": _convolved(padding=1),
        },
    )


def sizes() -> Example:
    """Output sizes and weights."""

    def size(image: int, f: int, s: int, p: int, channels: int = 1) -> int:
        x, w = np.zeros((1, channels, image, image), np.float32), np.zeros((2, channels, f, f), np.float32)
        return int(ops.conv2d(x, w, stride=s, padding=p).shape[2])

    def refusal() -> str:
        try:
            size(10, 3, 2, 0)
        except ValueError as error:
            return str(error)
        return "nothing"

    shared = nn.Conv2d(1, 6, 5)
    return Example(
        "Sizes, weights, and what is impossible",
        "O = (I − F + P)/S + 1, P being both paddings together. A filter has F·F·D weights and a bias, shared by all "
        "positions. The animation's input is said to be 7×7×3, which gives 4×4×2; it shows 5×5×3 padded to 7×7×3, "
        "which "
        f"gives 3×3×2. W = 10, F = 3, S = 2 is refused: “{refusal()}”",
        [
            Number("32×32×3, F = 5: weights of a filter", nn.Conv2d(3, 1, 5).parameters["weight"].size, 75),
            Number("16×16×20, F = 3", nn.Conv2d(20, 1, 3).parameters["weight"].size, 180),
            Number("MNIST, K = 6, F = 5, not shared", 26 * 28 * 28 * 6, 122_304),
            Number("shared", sum(p.size for p in shared.parameters.values()), 156),
            Number("7×7, F = 3, S = 2, P = 1", size(7, 3, 2, 1, 3), 4),
            Number("5×5, F = 3, S = 2, P = 1", size(5, 3, 2, 1, 3), 3),
        ],
    )


def pooling() -> Example:
    """The kinds of pooling, and where the gradient goes."""
    x = np.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], np.float32)[None, None]
    y, indices = ops.max_pool2d_with_indices(x, 2)
    gradient = ops.max_pool2d_backward(np.array([[[[1, 2], [3, 4]]]], np.float32), indices, x.shape)
    return Example(
        "Pooling",
        "Maximum, average, sum and L2 pooling of windows of 2 × 2. Max pooling stores where each maximum was, and "
        "routes "
        "the gradient there alone; unpooling puts values back to the same places.",
        [
            Number("maxima", y[0, 0], [[6, 8], [3, 4]]),
            Number("their places", indices[0, 0], [[5, 7], [8, 15]]),
            Number("average of the first window", float(ops.avg_pool2d(x, 2)[0, 0, 0, 0]), 3.25),
            Number("sum", float(ops.sum_pool2d(x, 2)[0, 0, 0, 0]), 13.0),
            Number("L2", float(ops.l2_pool2d(x, 2)[0, 0, 0, 0]), 63**0.5),
        ],
        {"input": x[0, 0], "maxima": y[0, 0], "gradient of 1, 2, 3, 4": gradient[0, 0],
         "unpooled maxima": ops.max_unpool2d(y, indices, output_size=(4, 4))[0, 0]},
    )  # fmt: skip


def fields() -> Example:
    """Three 3 × 3 layers see 7 × 7."""
    C = 8
    three = nn.Sequential((C, 20, 20), *(nn.Conv2d(C, C, 3, bias=False) for _ in range(3)))
    one = nn.Sequential((C, 20, 20), nn.Conv2d(C, C, 7, bias=False))
    lenet, alexnet = models.lenet5(), models.alexnet()
    return Example(
        "Receptive fields",
        "Three layers of 3 × 3 filters see as much as one of 7 × 7, with 27·C² instead of 49·C² weights.",
        [
            Number("what three see", "×".join(map(str, list(receptive_fields(three).values())[-1] or ())), "7×7"),
            Number("their weights over C²", three.parameter_count // C**2, 27),
            Number("one of 7 × 7", one.parameter_count // C**2, 49),
            Number(
                "a unit of LeNet-5's second pooling",
                "×".join(map(str, receptive_fields(lenet)["pool2"] or ())),
                "16×16",
            ),
            Number(
                "AlexNet's first filters", "×".join(map(str, alexnet.parameters["conv1.weight"].shape)), "96×3×11×11"
            ),
        ],
    )


def upsampling() -> Example:
    """Nearest neighbour, bed of nails, max unpooling."""
    digit = digits().test.x[:1]
    y, indices = ops.max_pool2d_with_indices(digit, 2)
    shown = {
        "input": digit,
        "max pooled": y,
        "nearest neighbour": ops.upsample_nearest2d(y, 2),
        "bed of nails": ops.bed_of_nails2d(y, 2),
        "max unpooling": ops.max_unpool2d(y, indices, output_size=(32, 32)),
    }

    return Example(
        "Upsampling",
        "A small map becomes large again by repeating each value, by setting it in one place among zeros, or by "
        "putting it "
        "back where the maximum was.",
        figure=lambda: _on_paper(shown),
    )


def augmentation() -> Example:
    """Affine transforms with three interpolations."""
    digit, angle = digits().test.x[3:4], np.deg2rad(25)
    matrix = [[1.2 * np.cos(angle), -np.sin(angle), 2.0], [np.sin(angle), 1.2 * np.cos(angle), -1.0]]
    shown = {"input": digit, **{i: affine(digit, matrix, i) for i in ("nearest", "bilinear", "bicubic")}}

    point = np.zeros((1, 1, 21, 21), np.float32)
    point[0, 0, 7, 14] = 1  # x = 4, y = −3 from the middle
    turned = affine(point, [[0.0, -1.0, 2.0], [1.0, 0.0, -5.0]])
    at = [int(i) for i in np.unravel_index(turned[0, 0].argmax(), (21, 21))]
    return Example(
        "Augmentation by affine transforms",
        "A point [x y 1]ᵀ goes to A·[x y 1]ᵀ; what lies between pixels is interpolated.",
        [Number("(4, −3), turned by 90° and moved by (2, −5)", [at[1] - 10, at[0] - 10], [5, -1])],
        figure=lambda: _on_paper(shown),
    )


CHAPTER: Chapter = [by_hand, sizes, pooling, fields, upsampling, augmentation]
