"""The idx reader and its messages, MNIST, digits, splits and augmentation."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data
from dipkernels.data.mnist import MD5
from support.mnist import HAVE_MNIST, MNIST, REASON, idx, write_mnist

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_read(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "images").write_bytes(pack(idx(IMAGES)))
    np.testing.assert_array_equal(data.read_idx(tmp_path / "images"), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are too few"),
        (b"\x00\x00\x08", "3 bytes are too few"),
        (idx(IMAGES, magic=0x12345678), "magic number 305419896"),
        (idx(IMAGES, magic=0x0800), "magic number"),
        (idx(IMAGES, magic=0x0D03), "elements of type 0x0d"),
        (idx(IMAGES, magic=0x0841), "magic number"),
        (idx(IMAGES)[:10], "ends within its header"),
        (idx(IMAGES)[:-1], r"is cut off: shape \(2, 3, 4\) needs 24 bytes of data, got 23"),
        (idx(IMAGES) + b"x", "is too long"),
        (idx(IMAGES, shape=(2**32 - 1,) * 3), "is cut off"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "damaged gzip file"),
        (gzip.compress(idx(IMAGES), mtime=0)[:20] + b"\x00" * 9, "damaged gzip file"),
        (b"\x1f\x8b", "damaged gzip file"),
        (b"<!DOCTYPE html><html>", "magic number"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        data.read_idx(tmp_path / "images")


def test_mnist_from_a_folder(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    labels = (np.arange(20) % 10).astype(np.uint8)
    write_mnist(tmp_path, images, labels)
    parts = data.mnist(tmp_path, validation=5, size=(32, 32))
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (15, 5, 20)
    np.testing.assert_array_equal(parts.test.x[:, 0, 2:-2, 2:-2], images.astype("f4") / np.float32(255))
    assert not parts.test.x[:, :, :2].any()
    np.testing.assert_array_equal(parts.test.t, labels)
    assert sorted([*parts.train.t, *parts.validation.t]) == sorted(labels)


def test_mnist_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz.*download=True"):
        data.mnist(tmp_path)
    write_mnist(tmp_path, np.zeros((3, 28, 28), np.uint8), np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match=r"images have shape \(3, 28, 28\), labels \(4,\)"):
        data.mnist(tmp_path)
    write_mnist(tmp_path, np.zeros((3, 28, 28), np.uint8), np.full(3, 10, np.uint8))
    with pytest.raises(ValueError, match="digits are 0 to 9"):
        data.mnist(tmp_path)
    write_mnist(tmp_path, np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8))
    assert len(data.mnist(tmp_path).validation) == 0  # a twelfth
    for wrong in (3, -1):
        with pytest.raises(ValueError, match="validation must be from 0 to 2"):
            data.mnist(tmp_path, validation=wrong)


def test_mnist_as_other_programs_unpack_it(tmp_path: Path) -> None:
    images, labels = np.zeros((20, 28, 28), np.uint8), np.zeros(20, np.uint8)
    write_mnist(tmp_path, images, labels)
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    (tmp_path / "train-images-idx3-ubyte").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.write_bytes(b"")  # what an interrupted download leaves does not hide the good one
    (tmp_path / "t10k-labels.idx1-ubyte").write_bytes((tmp_path / "t10k-labels-idx1-ubyte").read_bytes())
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert len(data.mnist(tmp_path).test) == 20


def test_mnist_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch")

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("a text of many\nlines")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(
        OSError, match=r"cannot be downloaded \(ConnectionError\); put the four idx files into .*digits"
    ):
        data.mnist(tmp_path, download=True)


def test_digits_take_a_side_and_a_number_for_validation() -> None:
    assert data.digits(16).test.x.shape == (359, 1, 16, 16)
    assert len(data.digits(validation=100).validation) == 100
    for wrong in (-1, 1438):
        with pytest.raises(ValueError, match="digits: validation must be from 0 to 1437"):
            data.digits(validation=wrong)


@pytest.mark.skipif(not HAVE_MNIST, reason=REASON)
def test_real_mnist() -> None:
    for name, md5 in MD5.items():
        assert hashlib.md5((MNIST / name).read_bytes()).hexdigest() == md5
    parts = data.mnist(MNIST, validation=0)
    assert (len(parts.train), len(parts.test)) == (60000, 10000)
    np.testing.assert_array_equal(data.read_idx(MNIST / "train-labels-idx1-ubyte.gz")[:5], [5, 0, 4, 1, 9])
    assert parts.train.x.max() == 1


def test_digits_are_split_by_seed() -> None:
    one, same, other = (data.digits(seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.test.t, same.test.t)
    assert (one.test.t != other.test.t).any()
    assert one.train.x.dtype == np.float32
    assert 0 <= one.train.x.min() <= one.train.x.max() <= 1
    assert data.digits((28, 28)).test.x.shape == (359, 1, 28, 28)


def test_splits_are_disjoint_and_complete() -> None:
    whole = data.Dataset(np.arange(50, dtype="f4")[:, None], np.arange(50))
    parts = data.split(whole, 0.1, 0.3)
    together = np.concatenate([parts.train.t, parts.validation.t, parts.test.t])
    assert sorted(together) == list(range(50))
    for validation, test in [(-0.1, 0.2), (0.5, 0.5), (0.2, 1.0)]:
        with pytest.raises(ValueError, match="split"):
            data.split(whole, validation, test)
    with pytest.raises(ValueError, match="50 inputs, but 49 targets"):
        data.Dataset(whole.x, whole.t[1:])


def test_affine_identity_and_mistakes() -> None:
    images = np.random.default_rng(0).random((3, 2, 9, 8), np.float32)
    identity = [[1, 0, 0], [0, 1, 0]]
    for interpolation in ("nearest", "bilinear", "bicubic"):
        np.testing.assert_allclose(data.affine(images, identity, interpolation), images, atol=1e-6)
    with pytest.raises(ValueError, match="onto a line"):
        data.affine(images, [[1, 1, 0], [1, 1, 0]])
    with pytest.raises(ValueError, match=r"interpolation must be .*, got 'cubic'"):
        data.affine(images, identity, "cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"matrices must have shape \(2, 3\) or \(3, 2, 3\), got \(2, 2\)"):
        data.affine(images, np.eye(2))
    for function, argument in ((data.affine, identity), (data.resample, (4, 4))):
        with pytest.raises(
            ValueError, match=r"4 dimensions \(N, C, H, W\), got shape \(2, 9, 8\); one image is images"
        ):
            function(images[0], argument)  # type: ignore[operator]
    with pytest.raises(ValueError, match='resample: interpolation must be "nearest", "bilinear" or "bicubic", got'):
        data.resample(images, (4, 4), "cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resample: size must be at least 1, got 0"):
        data.resample(images, 0)


def test_augmentation_depends_on_the_generator_alone() -> None:
    images = data.digits().test.x[:5]
    augment = data.AffineAugmentation()
    one, same, other = (augment(np.random.default_rng(s), images) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (one != images).any()
