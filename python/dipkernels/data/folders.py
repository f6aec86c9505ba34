"""Images in a folder for each class."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dipkernels.data.augmentation import ndimage
from dipkernels.data.dataset import Dataset, Splits, split
from dipkernels.data.masks import CAMVID_CLASSES, camvid
from dipkernels.data.pictures import read_image
from dipkernels.ops.backend import FloatArray

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of the files that are taken for pictures."""

_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class FolderData:
    """`splits` of images and labels, the names of their `classes` by index, and the files that are no pictures."""

    splits: Splits
    classes: tuple[str, ...]
    problems: tuple[str, ...]


def image_folders(root: str | Path, size: tuple[int, int], *, seed: int = 0) -> FolderData:
    """A data set of folders root/CLASS/PICTURE, shuffled with `seed` and split 60, 20, 20 %, or of folders
    root/train/CLASS, root/val/CLASS and root/test/CLASS, which stay as they are.

    Pictures become float32 (3, height, width) from 0 to 1 of that `size`, whatever shape they have; the classes are in
    the order of the alphabet. Files that Pillow cannot read are left out; each is one of `problems`, and one warning
    sums them up.

    FileNotFoundError for a folder that is not there, ValueError for fewer than two classes or a part without a picture.
    """
    return class_folders(
        "image_folders",
        "picture",
        root,
        seed,
        accepts=lambda path: path.suffix.lower() in SUFFIXES,
        read=lambda path: read_image(path, size),
    )


def class_folders(
    op: str,
    what: str,
    root: str | Path,
    seed: int,
    *,
    accepts: Callable[[Path], bool],
    read: Callable[[Path], FloatArray],
) -> FolderData:
    """A data set of what stands in a folder for each class, as far as `accepts` says yes; a ValueError of `read` is one
    of the problems.
    """
    folder, problems = Path(root), list[str]()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    parts = [folder / name for name in _PARTS] if (folder / "train").is_dir() else [folder]
    for part in parts:
        if not part.is_dir():
            raise FileNotFoundError(f"there is no folder {part}; beside train there must be val and test")
    classes = tuple(sorted({each.name for part in parts for each in part.iterdir() if each.is_dir()}))
    if len(classes) < 2:
        raise ValueError(f"{folder} must have a folder for each of at least two classes, got {', '.join(classes)}")
    found = []
    for part in parts:
        x: list[FloatArray] = []
        labels: list[int] = []
        for label, name in enumerate(classes):
            directory = part / name
            for path in sorted(directory.iterdir()) if directory.is_dir() else []:
                if not accepts(path):
                    continue
                try:
                    x.append(read(path))
                except ValueError as error:
                    problems.append(str(error))
                    continue
                labels.append(label)
        if not x:
            raise ValueError(f"there is no {what} in the folders of {part}")
        found.append(Dataset(np.stack(x), np.array(labels, np.int64)))
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        warnings.warn(f"{op}: left out {'; '.join(problems[:3])}{more}", stacklevel=3)
    return FolderData(Splits(*found) if len(found) == 3 else split(found[0], seed=seed), classes, tuple(problems))


def camvid_objects(
    root: str | Path,
    out: str | Path,
    *,
    least: int = 20,
    most: int = 150,
    margin: float = 0.15,
    progress: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Cuts the objects out of CamVid's images and writes them to folders out/train/CLASS and so on, which
    `image_folders` reads.

    An object is what hangs together of one class's pixels, at least `least` pixels wide and high; it is cut out with a
    `margin` of its size around it. Of each class and part the `most` largest are taken. Returns how many of each class
    are for training; classes with fewer than five of these are left out.

    `progress` is called with the name of each part. Raises as `data.camvid`, and OSError where `out` cannot be written.
    """
    from PIL import Image

    parts = camvid(root)
    counts: dict[str, int] = {}
    for name, part in zip(_PARTS, (parts.train, parts.validation, parts.test), strict=True):
        if progress:
            progress(name)
        for label, of_class in enumerate(CAMVID_CLASSES):
            found = _objects(part, label, least)
            if name == "train":
                counts[of_class] = min(len(found), most)
            if counts[of_class] < 5:
                continue
            directory = Path(out) / name / of_class
            directory.mkdir(parents=True, exist_ok=True)
            for number, (_, image, top, bottom, left, right) in enumerate(found[:most]):
                pad = round(margin * (bottom - top)), round(margin * (right - left))
                rows = slice(max(top - pad[0], 0), bottom + pad[0])
                columns = slice(max(left - pad[1], 0), right + pad[1])
                pixels = np.moveaxis(part.x[image][:, rows, columns], 0, -1)
                Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(directory / f"{number:04}.png")
    return {of_class: count for of_class, count in counts.items() if count >= 5}


def _objects(part: Dataset, label: int, least: int) -> list[tuple[int, int, int, int, int, int]]:
    """The objects of a class, the largest first: (−pixels, image, top, bottom, left, right)."""
    found = []
    for image, mask in enumerate(part.t):
        named, _ = ndimage().label(mask == label)
        for number, (rows, columns) in enumerate(ndimage().find_objects(named), 1):
            if min(rows.stop - rows.start, columns.stop - columns.start) >= least:
                pixels = int((named[rows, columns] == number).sum())
                found.append((-pixels, image, rows.start, rows.stop, columns.start, columns.stop))
    return sorted(found)
