"""The report: its numbers are the lecture's, and it needs nothing beside its file."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipkernels import lecture
from dipkernels.cli import main
from dipkernels.lecture.example import Example, Number


class _Checked(HTMLParser):
    """Counts elements; every one that is opened must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        given = dict(attrs)
        self.links += [given[key] or "" for key in ("href", "src") if key in given]
        self.anchors |= {given["id"] or ""} if "id" in given else set()
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.html"
    assert main(["lecture", "--out", str(out)]) == 0
    said, page = capsys.readouterr().out, out.read_text()
    parsed = _Checked()
    parsed.feed(page)
    assert parsed.open == []
    examples = [compute for chapter in lecture.CHAPTERS.values() for compute in chapter]
    assert parsed.count["section"] == len(examples) == 15
    assert parsed.count["img"] >= 8
    assert {f"#{each}" for each in parsed.anchors} == {link for link in parsed.links if link.startswith("#")}
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in parsed.links)
    assert not re.search(r"https?://|<script", page)
    assert "✗" not in page
    for number in ("266,610", "122,304", "156", "63,802", "2.9", "no whole number", "96×3×11×11", "XOR is learned"):
        assert number in page
    assert len(said.splitlines()) == len(examples) + 1


def test_a_number_that_is_not_the_lectures_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong() -> Example:
        return Example("Wrong", "A <b> & c.", [Number("two", 2, 3), Number("a < b", "yes", "yes")])

    monkeypatch.setattr("dipkernels.lecture.report.CHAPTERS", {"One": [wrong]})
    assert main(["lecture", "--out", str(tmp_path / "x.html")]) == 2
    assert "not as the lecture says: two" in capsys.readouterr().err
    page = (tmp_path / "x.html").read_text()
    assert "✗" in page
    assert "A &lt;b&gt; &amp; c." in page
    assert main(["lecture", "--out", str(tmp_path)]) == 2
    assert "must be a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("computed", "said", "agrees"),
    [(1.0, None, True), (2, 2, True), (1 / 3, 0.33333333, True), (0.3334, 1 / 3, False), ("a", "b", False),
     ([1, 2], [1, 2], True), ([1, 2], [1, 2, 3], False), (np.ones((2, 2)), [[1, 1], [1, 2]], False)],
)  # fmt: skip
def test_agreement(computed: Any, said: Any, agrees: bool) -> None:
    assert Number("", computed, said).agrees is agrees
