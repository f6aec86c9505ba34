"""The notebooks run, and what one shows of models, data sets, histories and pictures."""

from __future__ import annotations

import io
import json
import runpy
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import data, models, nn, train, viz
from dipkernels.cli import main

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


FOLDER = files("dipkernels") / "notebooks"
NOTEBOOKS = sorted(each.name for each in FOLDER.iterdir() if each.name.endswith(".py"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As the script that it is; what it says of itself, it asserts."""
    with np.errstate(all="raise"):
        runpy.run_path(str(FOLDER / name))
    assert capsys.readouterr().out


def test_the_command_writes_notebooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jupytext", reason="asks jupytext")
    folder = tmp_path / "new"
    assert main(["notebooks", "--out", str(folder), "--no-open"]) == 0
    assert len(NOTEBOOKS) == len(capsys.readouterr().out.splitlines()) == 5
    for name in NOTEBOOKS:
        cells = json.loads((folder / name).with_suffix(".ipynb").read_text())["cells"]
        assert {"code", "markdown"} == {cell["cell_type"] for cell in cells}
        assert len(cells) > 6
    mine = folder / "3_lenet5.ipynb"
    mine.write_text("my own")
    assert main(["notebooks", "--out", str(folder), "--no-open"]) == 0
    assert f"{mine} is there and stays as it is" in capsys.readouterr().out
    assert mine.read_text() == "my own"
