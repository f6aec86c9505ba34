"""Images with boxes in the layout of the Pascal VOC challenge."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from dipkernels.data.boxes import CROWD, padded_boxes
from dipkernels.data.dataset import Dataset, Splits
from dipkernels.data.pictures import read_pixels, resized
from dipkernels.ops.backend import FloatArray

_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class VocData:
    """`splits` with images and boxes, the names of their `classes` by index, and what was wrong with annotations."""

    splits: Splits
    classes: tuple[str, ...]
    problems: tuple[str, ...]


def voc(root: str | Path, size: tuple[int, int], classes: tuple[str, ...] | None = None) -> VocData:
    """A data set in the VOC layout: JPEGImages/, Annotations/*.xml, and ImageSets/Main/train.txt, val.txt and test.txt
    with the names of the images of each part.

    Parameters
    ----------
    size
        (height, width) that all images are resized to, and their boxes with them.
    classes
        Their names, by index; by default all that are there, in the order of the alphabet.

    x is float32 (N, 3, height, width) from 0 to 1, t float32 (N, most, 5): class and corners (x₁, y₁, x₂, y₂), where
    VOC counts pixels from 1 and includes the last. An object that is marked as difficult becomes `CROWD`. A box that is
    empty or outside its image, one that has no number where one should be, and one of another class than `classes` is
    left out; each is one of `problems`, and one warning sums them up.

    FileNotFoundError where a folder, an image or an annotation is missing, ValueError for a file that is no XML.
    Source: Everingham et al. 2010.
    """
    folder = Path(root)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        if not (folder / name).is_dir():
            raise FileNotFoundError(f"there is no folder {folder / name}; VOC's layout has JPEGImages, Annotations and "
                                    "ImageSets/Main")  # fmt: skip
    names = {part: _names(folder / "ImageSets" / "Main" / f"{part}.txt") for part in _PARTS}
    annotations = {name: _objects(folder / "Annotations" / f"{name}.xml") for part in _PARTS for name in names[part]}
    if classes is None:
        classes = tuple(sorted({label for objects in annotations.values() for label, _, _ in objects}))
    if not classes:
        raise ValueError(f"there is no object in all of {folder / 'Annotations'}")
    problems: list[str] = []
    parts = [
        _dataset(folder / "JPEGImages", {name: annotations[name] for name in names[part]}, size, classes, problems)
        for part in _PARTS
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        warnings.warn(f"voc: left out {'; '.join(problems[:3])}{more}", stacklevel=2)
    return VocData(Splits(*parts), classes, tuple(problems))


def _names(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}, which says what images are in this part")
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


_Object = tuple[str, bool, "list[float | None]"]  # its class, whether it is difficult, xmin, ymin, xmax, ymax


def _objects(path: Path) -> list[_Object]:
    """The objects of one image."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no annotation {path}")
    try:
        tree = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is no XML: {error}") from error
    objects = []
    for each in tree.iter("object"):
        numbers = [_number(each.findtext(f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax")]
        label = (each.findtext("name") or "").strip()
        objects.append((label, (each.findtext("difficult") or "0").strip() == "1", numbers))
    return objects


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _dataset(
    folder: Path,
    annotations: dict[str, list[_Object]],
    size: tuple[int, int],
    classes: tuple[str, ...],
    problems: list[str],
) -> Dataset:
    images: list[FloatArray] = []
    boxes: list[npt.NDArray[np.float32]] = []
    for name, objects in annotations.items():
        candidates = [folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".png")]
        path = next((each for each in candidates if each.is_file()), candidates[0])
        if not path.is_file():
            raise FileNotFoundError(f"there is no image {path}")
        pixels = read_pixels(path, "RGB")
        height, width = pixels.shape[:2]
        images.append(resized(pixels, size))
        rows = []
        for label, difficult, numbers in objects:
            what = f"{label or 'an object'} in {name}"
            if None in numbers or not np.isfinite(np.array(numbers, float)).all():
                problems.append(f"{what}: its box has no four numbers")
                continue
            x1, y1, x2, y2 = np.array(numbers, float) - [1, 1, 0, 0]
            if not (min(x2, width) > max(x1, 0) and min(y2, height) > max(y1, 0)) or x2 - x1 <= 1 or y2 - y1 <= 1:
                problems.append(f"{what}: its box from ({x1 + 1:g}, {y1 + 1:g}) to ({x2:g}, {y2:g}) is empty")
                continue
            if label not in classes:
                problems.append(f"{what}: its class is none of {', '.join(classes)}")
                continue
            corners = np.clip([x1, y1, x2, y2], 0, [width, height, width, height])
            scaled = corners * np.tile([size[1] / width, size[0] / height], 2)
            rows.append([CROWD if difficult else classes.index(label), *scaled])
        boxes.append(np.array(rows, np.float32).reshape(-1, 5))
    x = np.stack(images) if images else np.zeros((0, 3, *size), np.float32)
    return Dataset(x, padded_boxes(boxes))
