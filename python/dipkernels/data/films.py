"""Short films of the scenes' objects in motion, with their boxes and identities, made by the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import integer
from dipkernels.checks import checked, random_seed
from dipkernels.data.scenes import SCENE_OBJECTS, digit_splits, shape_of
from dipkernels.nn.windows import positive_pair
from dipkernels.ops.backend import FloatArray


@dataclass(frozen=True)
class Film:
    """`x` float32 (frames, 3, height, width); for each frame the `boxes` (n, 4) of the objects, their `classes` (n,)
    among `SCENE_OBJECTS`, and the `numbers` (n,) that stay theirs.
    """

    x: FloatArray
    boxes: list[npt.NDArray[np.float32]]
    classes: list[npt.NDArray[np.int64]]
    numbers: list[npt.NDArray[np.int64]]


@checked(seed=random_seed)
def film(frames: int = 30, size: int | tuple[int, int] = (64, 64), *, objects: int = 3, seed: int = 0) -> Film:
    """Up to `objects` things that move straight on, by up to two pixels a frame, and are thrown back at the edges; they
    may pass in front of one another. The digits are those of the scenes' test part.

    Raises as `data.scenes`.
    """
    height, width = positive_pair("film", "size", size)
    frames, objects = integer("film", "frames", frames, 1), integer("film", "objects", objects, 1)
    rng = np.random.default_rng([seed, 77])
    paper = rng.uniform(0.2, 0.8, 3)
    source = digit_splits(0)[2]
    things: list[dict[str, Any]] = []
    for _ in range(objects):
        kind = int(rng.integers(len(SCENE_OBJECTS)))
        side = int(rng.integers(min(height, width) // 5, min(height, width) // 3))
        colour = paper + np.where(rng.random(3) < 0.5, -1, 1) * rng.uniform(0.25, 0.5, 3)
        place = rng.uniform(0, [height - side, width - side])
        speed = rng.uniform(0.4, 2.0, 2) * np.where(rng.random(2) < 0.5, -1, 1)
        things.append({"kind": kind, "shape": shape_of(rng, kind, side, source), "colour": colour,
                       "place": place, "speed": speed, "room": np.array([height - side, width - side])})  # fmt: skip
    x = np.empty((frames, 3, height, width), np.float32)
    boxes, classes, numbers = [], [], []
    for frame in x:
        image = np.broadcast_to(paper[:, None, None], frame.shape).copy()
        rows = []
        for thing in things:
            top, left = np.round(thing["place"]).astype(int)
            shape = thing["shape"]
            side = len(shape)
            part = image[:, top : top + side, left : left + side]
            part += shape * (thing["colour"][:, None, None] - part)
            inside = shape > 0.5
            down, right = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            rows.append([left + right[0], top + down[0], left + right[-1] + 1, top + down[-1] + 1])
            thing["place"] = thing["place"] + thing["speed"]
            beyond = (thing["place"] < 0) | (thing["place"] > thing["room"])
            thing["speed"] = np.where(beyond, -thing["speed"], thing["speed"])
            thing["place"] = np.clip(thing["place"], 0, thing["room"])
        frame[...] = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1)
        boxes.append(np.array(rows, np.float32))
        classes.append(np.array([thing["kind"] for thing in things], np.int64))
        numbers.append(np.arange(objects))
    return Film(x, boxes, classes, numbers)
