"""What the first layer looks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dipkernels.viz.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.ops.backend import FloatArray


def first_layer_filters(weight: FloatArray) -> Figure:
    """The filters (K, C, F_h, F_w) as pictures: in colour for C = 3, else one picture a filter of its first channel.

    Grey is zero, white positive, black negative, on one scale for all; colours likewise.
    Source: lecture, learned filters; Krizhevsky et al. 2012, figure 3.
    """
    figure_of = figure_class()

    if np.ndim(weight) != 4:
        raise ValueError(
            f"first_layer_filters: weight must be a convolution's, (K, C, F_h, F_w), got shape {np.shape(weight)}; "
            "those of a linear layer on images of 28 × 28 are weight.reshape(-1, 1, 28, 28)"
        )
    if not np.size(weight):
        raise ValueError(f"first_layer_filters: weight must not be empty, got shape {np.shape(weight)}")
    count, channels = weight.shape[:2]
    columns = min(count, 12 if count > 16 else 8)
    rows = math.ceil(count / columns)
    limit = float(np.abs(weight).max()) or 1.0
    figure = figure_of(figsize=(0.95 * columns, 0.95 * rows + 0.5), layout="constrained")
    figure.suptitle(
        f"{count} filters of {weight.shape[2]} × {weight.shape[3]}, weights up to ±{limit:.2f}", fontsize=10
    )
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.set_axis_off()
        if place >= count:
            continue
        if channels == 3:
            axes.imshow(np.moveaxis(weight[place], 0, -1) / (2 * limit) + 0.5)
        else:
            axes.imshow(weight[place, 0], cmap="gray", vmin=-limit, vmax=limit)
    return figure
