"""What a layer makes of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dipkernels.checks import array, checked, network, string, whole
from dipkernels.nn.graph import Graph
from dipkernels.ops.backend import FloatArray
from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked(model=network, image=array("CHW"), node=string, most=whole(1))
def feature_maps(model: Graph, image: FloatArray, node: str, *, most: int = 32) -> Figure:
    """The maps of one node for one image (C, H, W), on one colour scale; the first `most` of them.

    ValueError for a node that the model does not have, or whose results are no maps.
    """
    if node not in model.shapes:
        raise ValueError(f"feature_maps: node must be one of {', '.join(model.shapes)}, got {node!r}")
    if len(model.shapes[node]) != 3:
        raise ValueError(f"feature_maps: {node!r} has no maps, but results {model.shapes[node]}")
    model.forward(image[None])
    maps = model.value(node)[0]
    shown, total = maps[:most], len(maps)
    columns = min(len(shown), 8)
    rows = math.ceil(len(shown) / columns)
    low, high = float(shown.min()), float(shown.max())
    # From 0 on in one colour; where there is less, white is 0 and both signs go as far.
    scale = {"cmap": "viridis", "vmin": 0.0, "vmax": high or 1.0}
    if low < 0:
        limit = float(np.abs(shown).max())
        scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    figure = figure_class()(figsize=(1.1 * columns + 0.8, 1.15 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(panels.ravel()):
        axes.set_axis_off()
        if place < len(shown):
            drawn = axes.imshow(shown[place], **scale)
            axes.set_title(str(place), fontsize=7)
    figure.colorbar(drawn, ax=panels, shrink=0.9)
    some = f"{len(shown)} of {total}" if len(shown) < total else f"{total}"
    figure.suptitle(f"{node}: {some} maps of {maps.shape[1]} × {maps.shape[2]}", fontsize=10)
    return figure
