"""Pictures of digits, as people make them, in the form that the digits of the data sets have."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.ops.backend import FloatArray

MOST_PIXELS = 100_000_000
"""Of a picture that is read: some tens of a camera's megapixels; a file of a few kilobytes may promise far more."""

_SIDE = 1024  # a larger picture is shrunk to this before anything else; a digit needs no more
_INK = 0.4  # of the darkest: what counts as a stroke where a digit is looked for


def read_picture(path: str | Path) -> FloatArray:
    """A picture as float32 (height, width), 0 black and 1 white, as a viewer would show it.

    Of any depth and colours that Pillow reads, turned as its camera says. What is transparent is white paper, or where
    the rest is light a black board.

    Raises ImportError without Pillow, FileNotFoundError, and ValueError for what is no picture or too large.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError('reading pictures needs Pillow; pip install "dipkernels[train]"') from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no picture {path}")
    picture: Any = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused below
            with Image.open(path) as file:
                width, height = file.size
                if width * height <= MOST_PIXELS:
                    picture = file
                    picture.load()
                    ImageOps.exif_transpose(picture, in_place=True)
    except MemoryError:
        raise
    except Exception as error:  # of damaged files, in as many classes as Pillow has readers
        raise ValueError(f"{path} is no picture that Pillow can read: {error}") from error
    if picture is None:
        raise ValueError(f"{path} has {width} × {height} pixels; at most {MOST_PIXELS:,} are read")
    if picture.mode.startswith(("I", "F")):  # 16 bits or more, which Pillow would cut off on the way to 8
        picture = picture if picture.mode in ("I", "F") else picture.convert("I")
        top = 65535 if picture.getextrema()[1] > 255 else 255
        picture.thumbnail((_SIDE, _SIDE))
        return np.clip(np.asarray(picture, np.float32) / np.float32(top), 0, 1)
    transparent = "A" in picture.getbands() or "transparency" in picture.info
    picture = picture.convert("LA" if transparent else "L")
    picture.thumbnail((_SIDE, _SIDE))
    return np.asarray(_on_paper(picture) if transparent else picture, np.float32) / np.float32(255)


def read_pixels(path: str | Path, mode: str | None) -> npt.NDArray[np.uint8]:
    """The bytes of an image file: (height, width, 3) for the mode "RGB"; for None as stored, indices of a palette too.

    Raises ImportError without Pillow, FileNotFoundError, and ValueError for what is no picture.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError('reading pictures needs Pillow; pip install "dipkernels[train]"') from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no picture {path}")
    try:
        with Image.open(path) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"it has {file.width} × {file.height} pixels; at most {MOST_PIXELS:,} are read")
            turned = ImageOps.exif_transpose(file)
            return np.asarray(turned if mode is None else turned.convert(mode)).astype(np.uint8)
    except MemoryError:
        raise
    except Exception as error:  # of damaged files, in as many classes as Pillow has readers
        raise ValueError(f"{path} is no picture that Pillow can read: {error}") from error


def read_image(path: str | Path, size: tuple[int, int]) -> FloatArray:
    """An image in colour as float32 (3, height, width) from 0 to 1, resized to `size`, turned as its camera says.

    Raises as `read_pixels` does.
    """
    return resized(read_pixels(path, "RGB"), size)


def resized(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> FloatArray:
    """Pixels (height, width, 3) as float32 (3, *size) from 0 to 1; where they become fewer, means of what was there."""
    from PIL import Image

    picture = Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.moveaxis(np.asarray(picture, np.float32) / np.float32(255), -1, 0)


def _on_paper(picture: Any) -> Any:
    from PIL import Image

    grey, opaque = (np.asarray(band, np.float32) for band in picture.split())
    shown = opaque.sum()
    paper = 0 if shown and (grey * opaque).sum() / shown > 127 else 255
    background = Image.new("LA", picture.size, (paper, 255))
    return Image.alpha_composite(background.convert("RGBA"), picture.convert("RGBA")).convert("L")


def digit_of(picture: FloatArray, size: tuple[int, int], extent: float) -> FloatArray:
    """The digit of a picture as float32 (1, 1, height, width), 0 for paper and 1 for ink.

    Ink is what differs from the border, darker or lighter, whichever does more; the faintest paper and pen have the
    full contrast. The digit is cut out wherever it stands, brought to `extent` pixels along its longer side, and put
    with its centre of mass in the middle, as MNIST's digits are.

    ValueError where there is nothing but paper.
    """
    from PIL import Image

    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    paper = float(np.median(border))
    darker, lighter = paper - float(picture.min()), float(picture.max()) - paper
    contrast = max(darker, lighter)
    if contrast < 0.05:
        raise ValueError("there is no digit: the picture is of one shade")
    ink = np.clip((paper - picture if darker >= lighter else picture - paper) / np.float32(contrast), 0, 1)
    rows, columns = (np.flatnonzero((ink > _INK).any(axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = extent / max(cut.shape)
    height, width = (min(max(1, round(n * factor)), limit) for n, limit in zip(cut.shape, size, strict=True))
    small = np.asarray(Image.fromarray(cut).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    digit = np.zeros((1, 1, *size), np.float32)
    top, left = (
        min(max(round((limit - 1) / 2 - centre), 0), limit - n)
        for limit, n, centre in zip(size, small.shape, _centre(small), strict=True)
    )
    digit[0, 0, top : top + height, left : left + width] = small
    return digit


def _centre(image: FloatArray) -> tuple[float, float]:
    """The centre of mass, (row, column)."""
    mass = float(image.sum(dtype=np.float64)) or 1.0
    rows, columns = (
        float((image.sum(axis) * np.arange(n)).sum()) for axis, n in ((1, image.shape[0]), (0, image.shape[1]))
    )
    return rows / mass, columns / mass


def extent_of(images: FloatArray) -> float:
    """How many pixels the longer side of a data set's digits (N, 1, H, W) has, as the median says."""
    sides = []
    for image in images[:500, 0]:
        rows, columns = (np.flatnonzero((image > _INK).any(axis)) for axis in (1, 0))
        if len(rows):
            sides.append(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1)
    return float(np.median(sides)) if sides else float(max(images.shape[2:]))
