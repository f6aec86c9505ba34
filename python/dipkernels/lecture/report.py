"""The report: one HTML file with all pictures in it, that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from dipkernels import __version__
from dipkernels.lecture import convolutions, descents, neurons
from dipkernels.lecture.example import Chapter, Example, Number

CHAPTERS: dict[str, Chapter] = {
    "Neurons and multilayer perceptrons": neurons.CHAPTER,
    "Convolutional networks": convolutions.CHAPTER,
    "Learning": descents.CHAPTER,
}

_STYLE = resources.files("dipkernels.lecture").joinpath("report.css").read_text()


def _shown(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return escape(str(value))
    if np.ndim(value):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else f"{value:.6g}"


def _row(number: Number) -> str:
    said = "" if number.said is None else _shown(number.said)
    sign = "" if number.said is None else '<b class="good">✓</b>' if number.agrees else '<b class="bad">✗</b>'
    return f"<tr><td>{escape(number.what)}</td><td>{_shown(number.computed)}</td><td>{said}</td><td>{sign}</td></tr>"


def _numbers(numbers: list[Number]) -> str:
    if all(number.said is None for number in numbers):
        rows = (f"<tr><td>{escape(each.what)}</td><td>{_shown(each.computed)}</td></tr>" for each in numbers)
        return f"<table>{''.join(rows)}</table>"
    head = "<tr><th></th><th>computed</th><th>the lecture</th><th></th></tr>"
    return f"<table>{head}{''.join(map(_row, numbers))}</table>"


def _matrix(title: str, values: Any) -> str:
    rows = "".join("<tr>" + "".join(f"<td>{v:g}</td>" for v in row) + "</tr>" for row in np.asarray(values))
    return f"<figure><figcaption>{escape(title)}</figcaption><table>{rows}</table></figure>"


def _picture(example: Example) -> str:
    if example.figure is None:
        return ""
    file = io.BytesIO()
    example.figure().savefig(file, format="png", dpi=110)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<figure><img alt="{escape(example.title)}" src="data:image/png;base64,{data}"></figure>'


def _section(example: Example, anchor: str) -> str:
    parts = [f'<section><h3 id="{anchor}">{escape(example.title)}</h3><p>{escape(example.text)}</p>']
    if example.tables:
        parts.append('<div class="matrices">' + "".join(_matrix(*each) for each in example.tables.items()) + "</div>")
    if example.numbers:
        parts.append(_numbers(example.numbers))
    return "".join([*parts, _picture(example), "</section>"])


def html(progress: Callable[[str], None] = lambda title: None) -> tuple[str, list[Number]]:
    """The report, and the numbers that are not the lecture's. `progress` is told the title of each example."""
    body, contents, wrong = [], [], []
    for chapter, examples in CHAPTERS.items():
        body.append(f"<h2>{escape(chapter)}</h2>")
        for compute in examples:
            example, anchor = compute(), compute.__name__
            progress(example.title)
            wrong += [number for number in example.numbers if not number.agrees]
            contents.append(f'<li><a href="#{anchor}">{escape(example.title)}</a></li>')
            body.append(_section(example, anchor))
    title = "Deep Learning Crash Course: the worked examples"
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="soft">Digital Image Processing 03, computed by dipkernels {__version__}. '
        "✓: the lecture’s own number.</p>"
        f"<nav><ul>{''.join(contents)}</ul></nav>{''.join(body)}</body></html>\n"
    )
    return page, wrong
