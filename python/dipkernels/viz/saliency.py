"""What in an image decides a classifier's guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels import ops
from dipkernels.arguments import integer
from dipkernels.checks import array, checked, network, real
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray
from dipkernels.viz.figure import figure_class, pixels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_AT_ONCE = 64  # occluded images


def _probabilities(op: str, model: Graph, x: FloatArray) -> FloatArray:
    """Of the classes, for images (N, C, H, W); ValueError where the model does not give one row of logits to each."""
    if len(model.inputs) != 1 or len(next(iter(model.inputs.values()))) != 3 or len(model.outputs) != 1:
        raise ValueError(f"{op}: model must have one input, images (C, H, W), and one output")
    logits = model.forward(x)
    if logits.ndim != 2:
        raise ValueError(f"{op}: model must give every image one row of logits, got an output {logits.shape}")
    return ops.softmax(logits, 1)


def _target(op: str, probabilities: FloatArray, target: int | None) -> int:
    if target is None:
        return int(probabilities.argmax())
    classes = len(probabilities)
    if not 0 <= integer(op, "target", target) < classes:
        raise ValueError(f"{op}: target must be a class from 0 to {classes - 1}, got {target}")
    return int(target)


@checked(model=network, image=array("CHW"))
def gradient_map(model: Graph, image: FloatArray, target: int | None = None) -> FloatArray:
    """How much the logit of a class would change with every pixel: the largest |gradient| of its channels.

    Parameters
    ----------
    model : a classifier, on the host; its gradients are overwritten
    image : float32 (C, H, W)
    target : the class; by default the first guess

    Returns float32 (H, W). ValueError for a model that is no classifier of images, and for a class it does not have.
    Source: Simonyan, Vedaldi, Zisserman 2014, section 3.
    """
    probabilities = _probabilities("gradient_map", model, image[None])[0]
    dy = np.zeros((1, len(probabilities)), np.float32)
    dy[0, _target("gradient_map", probabilities, target)] = 1
    return np.abs(model.backward(dy, input_gradient=True))[0].max(0)


@checked(model=network, image=array("CHW"), fill=real())
def occlusion_map(
    model: Graph, image: FloatArray, target: int | None = None, *, size: int = 6, stride: int = 2, fill: float = 0.0
) -> FloatArray:
    """How much probability a class loses where a square of `size` × `size` pixels hides the image.

    Parameters
    ----------
    model, image, target : as for `gradient_map`
    size, stride : of the square and between its positions, in pixels; it may stand over the edge
    fill : what it is filled with

    Returns float32 (H, W): of every pixel the mean over the squares that hide it; below 0 where hiding it helps.
    Source: Zeiler, Fergus 2014, section 4.2.
    """
    op = "occlusion_map"
    size, stride = integer(op, "size", size, 1), integer(op, "stride", stride, 1)
    if stride > size:
        raise ValueError(f"{op}: stride must not be above size ({size}), or pixels are left out, got {stride}")
    whole = _probabilities(op, model, image[None])[0]
    chosen = _target(op, whole, target)
    height, width = image.shape[1:]
    begin = stride - size  # the first square hides the first `stride` rows and columns
    corners = [(top, left) for top in range(begin, height, stride) for left in range(begin, width, stride)]
    lost, hidden = np.zeros((height, width)), np.zeros((height, width))
    for first in range(0, len(corners), _MOST_AT_ONCE):
        some = corners[first : first + _MOST_AT_ONCE]
        squares = [(slice(max(t, 0), t + size), slice(max(s, 0), s + size)) for t, s in some]
        images = np.repeat(image[None], len(some), 0)
        for x, (rows, columns) in zip(images, squares, strict=True):
            x[:, rows, columns] = fill
        left = _probabilities(op, model, images)[:, chosen]
        for (rows, columns), probability in zip(squares, left, strict=True):
            lost[rows, columns] += float(whole[chosen] - probability)
            hidden[rows, columns] += 1
    return (lost / hidden).astype(np.float32)


@checked(model=network, image=array("CHW"))
def saliency(model: Graph, image: FloatArray, target: int | None = None) -> Figure:
    """An image, the gradient of a class's logit, and what the class loses where a square hides the image.

    model, image, target : as for `gradient_map`
    """
    probabilities = _probabilities("saliency", model, image[None])[0]
    chosen = _target("saliency", probabilities, target)
    figure = figure_class()(figsize=(8.4, 3.0), layout="constrained")
    seen, *maps = figure.subplots(1, 3)
    seen.imshow(pixels_of(image), cmap="gray_r")
    seen.set_title(f"{chosen}: {probabilities[chosen]:.1%}", fontsize=9)
    lost = occlusion_map(model, image, chosen)
    limit = float(np.abs(lost).max()) or 1.0
    shown: list[tuple[npt.NDArray[Any], str, dict[str, Any]]] = [
        (gradient_map(model, image, chosen), "|gradient| of its logit", {"cmap": "magma", "vmin": 0}),
        (lost, "probability lost where hidden", {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}),
    ]
    for axes, (values, title, options) in zip(maps, shown, strict=True):
        figure.colorbar(axes.imshow(values, **options), ax=axes, shrink=0.8)
        axes.set_title(title, fontsize=9)
    for axes in (seen, *maps):
        axes.set_axis_off()
    return figure
