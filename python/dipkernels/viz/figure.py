"""The drawing library, where there is one."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_class() -> type[Figure]:
    """matplotlib's Figure, which besides shows itself in a notebook, and in a script by `show()`.

    ImportError, with the remedy, without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('drawing needs matplotlib; pip install "dipkernels[train]"') from error
    return _that_shows_itself(Figure)


@functools.cache
def _that_shows_itself(base: type[Figure]) -> type[Figure]:
    class Picture(base):  # type: ignore[misc, valid-type]
        def show(self, warn: bool = True) -> None:
            """Opens the picture in the program that shows PNG files here; RuntimeError where there is none."""
            from PIL import Image, ImageShow

            if not ImageShow.show(Image.open(io.BytesIO(png_of(self)))):
                raise RuntimeError('show: no program here shows pictures; figure.savefig("picture.png") keeps it')

        def _repr_png_(self) -> bytes:
            return png_of(self)

    return Picture


def png_of(figure: Figure) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def pixels_of(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An image (C, H, W) as `imshow` takes it: (H, W) of one channel; (H, W, C) of colours, kept to 0 to 1."""
    return image[0] if len(image) == 1 else np.clip(np.moveaxis(image, 0, -1), 0, 1)
