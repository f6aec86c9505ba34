"""What a notebook shows of models, data sets, histories and pictures, and what a script does."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from dipkernels import data, models, nn, train, viz

Image = pytest.importorskip("PIL.Image")


def size_of(png: bytes) -> Any:
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return picture.size


def test_a_model_is_its_table() -> None:
    table = models.lenet5()._repr_html_()
    assert table.count("<tr>") == 1 + 1 + 8 + 1  # heads, input, layers, total
    assert "<td>conv1</td><td>Conv2d</td><td>6 × 28 × 28</td><td>156</td>" in table
    assert "<td>63,802</td>" in table
    odd = nn.Sequential((2,), {"<b>": nn.Linear(2, 1)})
    assert "&lt;b&gt;" in odd._repr_html_()


def test_a_data_set_is_a_sheet_of_samples() -> None:
    width, height = size_of(data.digits().test._repr_png_() or b"")
    assert width > 2 * height
    few = data.Dataset(np.ones((1, 3, 8, 9), np.float32), np.ones((1, 2), np.float32))
    assert few._repr_png_()
    assert data.Dataset(np.ones((3, 4), np.float32), np.arange(3))._repr_png_() is None
    assert few.subset([])._repr_png_() is None


def test_a_history_is_its_curves() -> None:
    digits = data.digits().test.subset(range(64))
    history = train.fit(models.lenet5(), digits, optimizer=nn.SGD(0.01), epochs=2, progress=False)
    assert size_of(history._repr_png_() or b"")
    assert train.History()._repr_png_() is None


def test_a_picture_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageShow

    figure: Any = viz.samples(data.digits().test.x)
    assert size_of(figure._repr_png_())
    shown = []
    monkeypatch.setattr(ImageShow, "show", lambda picture: shown.append(picture.size) or True)
    figure.show()
    assert shown == [size_of(figure._repr_png_())]
    monkeypatch.setattr(ImageShow, "show", lambda picture: False)
    with pytest.raises(RuntimeError, match="no program here shows pictures"):
        figure.show()
