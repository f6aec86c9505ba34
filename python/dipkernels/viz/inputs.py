"""What networks get to see: how much of an image each layer does, and what augmentation makes of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dipkernels.arguments import function
from dipkernels.checks import array, checked, network, random_seed, whole
from dipkernels.data.augmentation import Augmentation
from dipkernels.nn.graph import Graph
from dipkernels.nn.summary import receptive_fields
from dipkernels.ops.backend import FloatArray
from dipkernels.viz.figure import figure_class, pixels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked(model=network, image=array("CHW"))
def receptive_field_sizes(model: Graph, image: FloatArray) -> Figure:
    """An image (C, H, W) with a frame for every layer, as large as what one of its neurons sees of it: of the neuron in
    the middle. Layers that see as much as the one before them have no frame of their own.

    ValueError for an image that is none of the network's.
    """
    if image.shape not in model.inputs.values():
        shapes = ", ".join(map(str, model.inputs.values()))
        raise ValueError(f"receptive_field_sizes: image must be as the network's input, {shapes}, got {image.shape}")
    figure = figure_class()(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(pixels_of(image), cmap="gray_r", alpha=0.6)
    axes.set(xticks=[], yticks=[])
    _, height, width = image.shape
    before = (1, 1)
    from matplotlib.patches import Rectangle

    count = 0
    for name, field in receptive_fields(model).items():
        if field is None or len(field) != 2 or (field[0], field[1]) == before:
            continue
        before = (field[0], field[1])
        corner = (width - field[1]) / 2 - 0.5, (height - field[0]) / 2 - 0.5
        label = f"{name}: {field[0]} × {field[1]}"
        axes.add_patch(Rectangle(corner, field[1], field[0], fill=False, edgecolor=f"C{count % 10}", label=label, lw=2))
        count += 1
    if count:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


@checked(x=array("NCHW", filled=True), augment=function, times=whole(1), rows=whole(1), seed=random_seed)
def augmented_samples(x: FloatArray, augment: Augmentation, *, times: int = 7, rows: int = 4, seed: int = 0) -> Figure:
    """The first images (N, C, H, W) of a data set, a row each, and beside them `times` versions that `augment`, as
    `train.fit` takes it, makes of them.
    """
    rng = np.random.default_rng(seed)
    images = x[:rows]
    versions = [images, *(augment(rng, images) for _ in range(times))]
    figure = figure_class()(figsize=(1.1 * (times + 1), 1.15 * len(images) + 0.3), layout="constrained")
    panels = figure.subplots(len(images), times + 1, squeeze=False)
    limit = float(max(version.max() for version in versions)) or 1.0
    for column, version in enumerate(versions):
        for row, image in enumerate(version):
            axes = panels[row, column]
            axes.imshow(pixels_of(image), cmap="gray_r", vmin=0, vmax=limit)
            axes.set(xticks=[], yticks=[])
            for side in axes.spines.values():
                side.set_visible(column == 0)
    panels[0, 0].set_title("as it is", fontsize=8)
    panels[0, 1].set_title("augmented", fontsize=8)
    return figure
