"""Clips: those the program makes, and those in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data

image = pytest.importorskip("PIL.Image")


def frames_of(count: int, height: int = 12, width: int = 16) -> list[Any]:
    """Pictures of one shade each, darker from frame to frame, with a white corner."""
    pictures = []
    for i in range(count):
        pixels = np.full((height, width, 3), 200 - 20 * i, np.uint8)
        pixels[0, 0] = 255
        pictures.append(image.fromarray(pixels))
    return pictures


def write(path: Path, count: int) -> Path:
    first, *rest = frames_of(count)
    first.save(path, save_all=True, append_images=rest, duration=50)
    return path


def shades(clip: Any) -> Any:
    return np.round(clip[0, :, 6:, 8:].mean((1, 2)) * 255).astype(int).tolist()


@pytest.mark.parametrize("name", ["clip.gif", "clip.png", "clip.webp", "clip.tiff"])
def test_animated_pictures(name: str, tmp_path: Path) -> None:
    clip = data.read_clip(write(tmp_path / name, 5), 5, (12, 16))
    assert clip.shape == (3, 5, 12, 16)
    assert clip.dtype == np.float32
    np.testing.assert_allclose(shades(clip), [200, 180, 160, 140, 120], atol=4)  # WebP loses a little


def test_a_folder_of_frames_and_how_frames_are_spread(tmp_path: Path) -> None:
    for i, picture in enumerate(frames_of(5)):
        picture.save(tmp_path / f"{i:03}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    assert shades(data.read_clip(tmp_path, 3, (12, 16))) == [200, 160, 120]
    assert shades(data.read_clip(tmp_path, 1, (12, 16))) == [200]
    assert shades(data.read_clip(tmp_path, 7, (12, 16))) == [200, 180, 180, 160, 140, 140, 120]


def test_a_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for picture in frames_of(5, 48, 64):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    clip = data.read_clip(path, 5, (12, 16))
    np.testing.assert_allclose(shades(clip), [200, 180, 160, 140, 120], atol=6)


def test_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no clip"):
        data.read_clip(tmp_path / "none.gif", 2, (4, 4))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="has no pictures"):
        data.read_clip(empty, 2, (4, 4))
    damaged = tmp_path / "damaged.gif"
    damaged.write_bytes(b"GIF89a" + bytes(20))
    with pytest.raises(ValueError, match=r"damaged\.gif is no clip"):
        data.read_clip(damaged, 2, (4, 4))
    with pytest.raises(ValueError, match="frames must be at least 1"):
        data.read_clip(damaged, 0, (4, 4))


def test_folders_of_classes(tmp_path: Path) -> None:
    for name, count in (("left", 4), ("right", 5)):
        (tmp_path / name).mkdir()
        for i in range(5):
            write(tmp_path / name / f"{i}.gif", count)
    (tmp_path / "left" / "damaged.gif").write_bytes(b"GIF89a")
    with pytest.warns(UserWarning, match=r"clip_folders: left out .*damaged\.gif"):
        found = data.clip_folders(tmp_path, 4, (8, 8))
    assert found.classes == ("left", "right")
    assert found.splits.train.x.shape == (6, 3, 4, 8, 8)
    assert len(found.problems) == 1


def test_moving_digits_move_as_they_say() -> None:
    parts = data.moving_digits(count=(40, 0, 3), noise=0, seed=3)
    assert len(parts.validation) == 0
    for clip, (_, direction) in zip(parts.train.x[:, 0], parts.train.t, strict=True):
        ink = clip / clip.sum((1, 2), keepdims=True)
        y = (ink.sum(2) * np.arange(32)).sum(1)
        x = (ink.sum(1) * np.arange(32)).sum(1)
        steps = np.diff(y), np.diff(x)
        pace = np.hypot(*(s.mean() for s in steps))
        assert 0.39 < pace < 1.01
        angle = np.arctan2(steps[0].mean(), steps[1].mean()) % (2 * np.pi)
        assert round(angle / (np.pi / 4)) % 8 == direction
        np.testing.assert_allclose(np.hypot(*steps), pace, atol=0.05)
    again = data.moving_digits(count=(40, 0, 3), noise=0, seed=3)
    np.testing.assert_array_equal(again.train.x, parts.train.x)


def test_velocities_are_those_of_the_middle_frame() -> None:
    parts = data.moving_digits("velocity", size=48, objects=3, speed=(0.5, 1.5), count=(20, 1, 1), noise=0)
    seen = set()
    for clip, t in zip(parts.train.x[:, 0], parts.train.t, strict=True):
        assert (clip[5][t[2] > 0] > 0.25).all()
        for number in np.unique(t[2][t[2] > 0]):
            inside = t[2] == number
            velocity = t[:2, inside]
            assert (velocity == velocity[:, :1]).all()
            assert 0.49 < np.hypot(*velocity[:, 0]) < 1.51
            seen.add(int(number))
        assert (t[:2, t[2] == 0] == 0).all()
    assert seen == {1, 2, 3}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"targets": "speed"}, "targets"),
        ({"frames": 40}, "leave the fastest digit room"),
        ({"size": 12}, "8 × 8"),
        ({"speed": (1.0, 0.5)}, "speed"),
        ({"objects": 2}, "is for one object"),
        ({"count": (1, 2)}, "count must be a list of 3"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_clips_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        data.moving_digits(**options)
