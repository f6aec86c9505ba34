"""Pictures of digits, however they are saved, held, lit and placed, are read as the plain one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data
from dipkernels.data.pictures import MOST_PIXELS, digit_of, extent_of, read_picture

Image = pytest.importorskip("PIL.Image")

SIZE = (32, 32)


@pytest.fixture(scope="module")
def ink() -> Any:
    """A digit of strokes on a picture of 120 × 90, 0 for paper and 1 for ink."""
    digit = data.resample(data.digits().test.x[3:4], (60, 40), "bilinear")[0, 0]
    return np.pad(np.round(digit * 255) / 255, ((25, 35), (30, 20))).astype(np.float32)


def save(path: Path, make: Callable[[], Any], **options: Any) -> Path:
    make().save(path, **options)
    return path


def grey(values: Any) -> Any:
    return Image.fromarray(np.round(values * 255).astype(np.uint8))


def transparent(ink: Any, mode: str, colour: int = 0) -> Any:
    """Strokes of one colour on nothing."""
    bands = [np.full(ink.shape, colour, np.uint8)] * (len(mode) - 1)
    return Image.fromarray(np.stack([*bands, np.round(ink * 255).astype(np.uint8)], -1), mode)


def palette(ink: Any) -> Any:
    return grey(1 - ink).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)


VARIANTS: dict[str, Callable[[Any], tuple[Any, dict[str, Any]]]] = {
    "chalk": lambda ink: (grey(ink), {}),
    "rgb": lambda ink: (grey(1 - ink).convert("RGB"), {}),
    "rgba": lambda ink: (transparent(ink, "RGBA"), {}),
    "la": lambda ink: (transparent(ink, "LA"), {}),
    "white_on_transparent": lambda ink: (transparent(ink, "RGBA", 255), {}),
    "palette": lambda ink: (palette(ink), {}),
    "16_bits": lambda ink: (Image.fromarray(np.round((1 - ink) * 65535).astype(np.uint16)), {}),
    "dim_paper": lambda ink: (grey((110 - 90 * ink) / 255), {}),
    "faint_pencil": lambda ink: (grey((230 - 60 * ink) / 255), {}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_does_not_matter_how_it_is_saved(variant: str, ink: Any, tmp_path: Path) -> None:
    plain = digit_of(read_picture(save(tmp_path / "plain.png", lambda: grey(1 - ink))), SIZE, 30)
    picture, options = VARIANTS[variant](ink)
    got = digit_of(read_picture(save(tmp_path / "other.png", lambda: picture, **options)), SIZE, 30)
    # Levels of grey: 60 of a faint pencil; rounding, twice.
    np.testing.assert_allclose(got, plain, atol=1.5 / 60 if variant == "faint_pencil" else 2 / 90)


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 1), (8, 3)])
def test_a_camera_that_was_turned(orientation: int, turn: int, ink: Any, tmp_path: Path) -> None:
    plain = digit_of(1 - ink, SIZE, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = save(tmp_path / "turned.png", lambda: grey(np.rot90(1 - ink, turn)), exif=exif)
    np.testing.assert_allclose(digit_of(read_picture(turned), SIZE, 30), plain, atol=1 / 200)


@pytest.mark.parametrize("place", [(0, 0), (300, 20), (290, 310)])
def test_a_small_digit_anywhere_is_found(place: tuple[int, int], ink: Any) -> None:
    board = np.zeros((420, 430), np.float32)
    board[place[0] : place[0] + 120, place[1] : place[1] + 90] = ink
    np.testing.assert_array_equal(digit_of(1 - board, SIZE, 30), digit_of(1 - ink, SIZE, 30))


def test_it_is_as_large_as_those_of_the_data_set_and_in_the_middle(ink: Any) -> None:
    digit = digit_of(1 - ink, SIZE, 20)[0, 0]
    rows = np.flatnonzero((digit > 0.3).any(1))
    assert 18 <= rows[-1] - rows[0] + 1 <= 20
    centre = [(digit.sum(1 - axis) * np.arange(32)).sum() / digit.sum() for axis in (0, 1)]
    np.testing.assert_allclose(centre, 15.5, atol=0.51)
    assert extent_of(data.digits().train.x) == 32
    assert extent_of(digit[None, None]) == pytest.approx(19, abs=1)


def test_what_is_no_digit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the picture is of one shade"):
        digit_of(np.ones((50, 50), np.float32), SIZE, 20)
    with pytest.raises(FileNotFoundError, match="there is no picture"):
        read_picture(tmp_path / "nothing.png")
    for content in (b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(40), b"GIF89a"):
        (tmp_path / "broken.png").write_bytes(content)
        with pytest.raises(ValueError, match="no picture that Pillow can read"):
            read_picture(tmp_path / "broken.png")
    whole = save(tmp_path / "whole.png", lambda: grey(np.random.default_rng(0).random((60, 60))))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-900])
    with pytest.raises(ValueError, match="no picture that Pillow can read"):
        read_picture(tmp_path / "cut.png")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    side = int(MOST_PIXELS**0.5) + 1
    save(tmp_path / "bomb.png", lambda: Image.new("1", (side, side)), compress_level=9)
    assert (tmp_path / "bomb.png").stat().st_size < 50_000
    with pytest.raises(ValueError, match="10001 × 10001 pixels; at most 100,000,000 are read"):
        read_picture(tmp_path / "bomb.png")
