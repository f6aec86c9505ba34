"""Clips in files: folders of frames, animated pictures, videos."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dipkernels.arguments import integer
from dipkernels.data.folders import SUFFIXES, FolderData, class_folders
from dipkernels.data.pictures import MOST_PIXELS, read_pixels, resized
from dipkernels.ops.backend import FloatArray

ANIMATED = (".apng", ".gif", ".png", ".tif", ".tiff", ".webp")
"""Of the files whose frames Pillow reads."""

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
"""Of the files whose frames PyAV reads."""

_MOST_FRAMES = 100_000


def read_clip(path: str | Path, frames: int, size: tuple[int, int]) -> FloatArray:
    """So many frames of a clip, evenly spread over it from the first to the last, as float32 (3, frames, height, width)
    from 0 to 1, resized to `size`.

    `path` is a folder of pictures, which are the frames in the order of their names, an animated GIF, PNG, WebP or
    TIFF, or a video. A clip with fewer frames shows some of them several times.

    ImportError, with the remedy, without Pillow, or for videos without PyAV; FileNotFoundError; ValueError for what is
    no clip.
    """
    frames = integer("read_clip", "frames", frames, 1)
    where = Path(path)
    if where.is_dir():
        pictures = sorted(p for p in where.iterdir() if p.suffix.lower() in SUFFIXES)
        if not pictures:
            raise ValueError(f"{where} has no pictures ({', '.join(SUFFIXES)}) to be the frames of a clip")
        chosen = _spread(len(pictures), frames)
        kept = {i: resized(read_pixels(pictures[i], "RGB"), size) for i in dict.fromkeys(chosen)}
        return np.stack([kept[i] for i in chosen], 1)
    if not where.is_file():
        raise FileNotFoundError(f"there is no clip {where}")
    read = _video if where.suffix.lower() in VIDEOS else _animation
    small = [resized(pixels, size) for pixels in read(where)]
    if not small:
        raise ValueError(f"{where} has no frames")
    return np.stack([small[i] for i in _spread(len(small), frames)], 1)


def _spread(count: int, wanted: int) -> list[int]:
    """Which of `count` frames are taken."""
    return np.round(np.linspace(0, count - 1, wanted)).astype(int).tolist()


def _animation(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    try:
        from PIL import Image, ImageSequence
    except ImportError as error:
        raise ImportError('reading clips needs Pillow; pip install "dipkernels[train]"') from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused below
            with Image.open(path) as file:
                if file.width * file.height > MOST_PIXELS:
                    raise ValueError(f"it has {file.width} × {file.height} pixels; at most {MOST_PIXELS:,} are read")
                for number, frame in enumerate(ImageSequence.Iterator(file)):
                    if number >= _MOST_FRAMES:
                        raise ValueError(f"it has more than {_MOST_FRAMES:,} frames")
                    yield np.asarray(frame.convert("RGB"))
    except MemoryError:
        raise
    except Exception as error:  # of damaged files, in as many classes as Pillow has readers
        raise ValueError(f"{path} is no clip that Pillow can read: {error}") from error


def _video(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    try:
        import av
    except ImportError as error:
        raise ImportError('reading videos needs PyAV; pip install "dipkernels[video]"') from error
    try:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if frame.width * frame.height > MOST_PIXELS or number >= _MOST_FRAMES:
                    raise ValueError(f"it has frames of more than {MOST_PIXELS:,} pixels, or too many")
                yield frame.to_ndarray(format="rgb24")
    except MemoryError:
        raise
    except Exception as error:  # of damaged files, in as many classes as FFmpeg has decoders
        raise ValueError(f"{path} is no video that PyAV can read: {error}") from error


def clip_folders(root: str | Path, frames: int, size: tuple[int, int], *, seed: int = 0) -> FolderData:
    """A data set of clips root/CLASS/CLIP, shuffled with `seed` and split 60, 20, 20 %, or of folders root/train/CLASS,
    root/val/CLASS and root/test/CLASS, which stay as they are. A clip is a folder of frames or a file, as `read_clip`
    reads them.

    x float32 (N, 3, frames, height, width); the classes are in the order of the alphabet. What cannot be read is left
    out; each is one of `problems`, and one warning sums them up. Raises as `image_folders` and `read_clip`.
    """
    return class_folders(
        "clip_folders",
        "clip",
        root,
        seed,
        accepts=lambda path: path.is_dir() or path.suffix.lower() in (*ANIMATED, *VIDEOS),
        read=lambda path: read_clip(path, frames, size),
    )
