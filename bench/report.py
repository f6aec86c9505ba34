"""What a benchmark says: its table, the means, what changed since another run, and a chart."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADER = (
    f"{'operator':46} {'shape':24} {'ours ms':>9} {'torch ms':>9} {'ratio':>6} {'ours':>8} {'torch':>8}  "
    f"{'unit':8} {'share':>5}"
)
KERNELS = f" {'kernels':>9} {'torch':>9} {'ratio':>6}"


def line(row: dict[str, Any]) -> str:
    """One row as text; on a GPU with the milliseconds of the kernels alone, which a graph replays."""
    errors = f"  error {row['error']:.1e}, torch {row['torch error']:.1e}" if "error" in row else ""
    share = f"{row['share']:5.0%}" if "share" in row else "     "
    if "kernel ms" in row:
        share += f" {row['kernel ms']:9.4f} {row['torch kernel ms']:9.4f} {row['kernel ratio']:6.2f}"
    return (
        f"{row['operator']:46} {row['shape']:24} {row['ms']:9.3f} {row['torch ms']:9.3f} {row['ratio']:6.2f} "
        f"{row['rate']:8.1f} {row['torch rate']:8.1f}  {row['unit']:8} {share}{errors}"
    )


def _kind(row: dict[str, Any]) -> str:
    """The operator, with how it multiplies where the row says that, or the network of a step."""
    found = re.match(r"step \S+|\S+( (highest|high|medium|bfloat16)\b( by warp(group)?s)?)?", row["operator"])
    return found[0] if found else row["operator"]


def means(rows: list[dict[str, Any]], key: str = "ratio") -> Iterator[tuple[str, float, float, int]]:
    """For each operator (and precision): its name, geometric mean and minimum of the ratios, and number of rows."""
    finite = [row for row in rows if math.isfinite(row.get(key, math.inf))]
    for name in dict.fromkeys(_kind(row) for row in finite):
        ratios = [row[key] for row in finite if _kind(row) == name]
        yield name, math.exp(sum(map(math.log, ratios)) / len(ratios)), min(ratios), len(ratios)


def show(rows: Iterable[dict[str, Any]], peaks: dict[str, float]) -> list[dict[str, Any]]:
    """Prints every row as it comes, with its share of the measured peak, and then the means; returns the rows."""
    for unit, peak in peaks.items():
        print(f"measured peak: {peak:.0f} {unit}")
    shown: list[dict[str, Any]] = []
    for row in rows:
        if row["unit"] in peaks:
            row["share"] = row["rate"] / peaks[row["unit"]]
        if not shown:
            print(f"\n{HEADER}{KERNELS if 'kernel ms' in row else ''}")
        shown.append(row)
        print(line(row), flush=True)
    print()
    kernels = {name: (mean, worst) for name, mean, worst, _ in means(shown, "kernel ratio")}
    for name, mean, worst, count in means(shown):
        alone = f"; kernels alone {kernels[name][0]:5.2f}x, worst {kernels[name][1]:5.2f}x" if name in kernels else ""
        print(f"{name:46} geometric mean {mean:5.2f}x, worst {worst:5.2f}x, {count} rows{alone}")
    return shown


def compare(rows: list[dict[str, Any]], path: Path) -> None:
    """Prints how our times, and the ratios to PyTorch's, changed since the run in `path`, worst first.

    Where the machine was slower as a whole both times grow, and the ratio stays.
    """
    before = {(row["operator"], row["shape"]): row for row in json.loads(path.read_text())["rows"] if "ms" in row}
    pairs = [(row, before[key]) for row in rows if (key := (row["operator"], row["shape"])) in before]
    print(f"\nsince {path.name}: {len(pairs)} of {len(rows)} rows are in both")
    for row, old in sorted(pairs, key=lambda pair: pair[0]["ratio"] / pair[1]["ratio"]):
        change = row["ratio"] / old["ratio"]
        print(
            f"{row['operator']:46} {row['shape']:24} {old['ms']:9.3f} -> {row['ms']:9.3f} ms   "
            f"ratio {old['ratio']:5.2f} -> {row['ratio']:5.2f}   {change:5.2f}x"
        )


def chart(rows: list[dict[str, Any]]) -> Figure:
    """Every row's ratio as a point and every operator's mean as a bar, on a logarithmic scale; 1 is PyTorch's time.

    On a GPU beside the calls the kernels alone.
    """
    from matplotlib.figure import Figure

    panels = {"ratio": "calls", "kernel ratio": "kernels alone"}
    if not any("kernel ratio" in row for row in rows):
        panels = {"ratio": ""}
    names = [name for name, *_ in sorted(means(rows), key=lambda each: each[1])]
    figure = Figure(figsize=(3 + 5 * len(panels), 1.2 + 0.26 * len(names)), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _draw_ratios(axes, rows, key, names)
        axes.set_title(title, fontsize=9)
    figure.supxlabel("PyTorch's time over ours: points are shapes, bars and numbers their geometric mean", fontsize=9)
    return figure


def _draw_ratios(axes: Axes, rows: list[dict[str, Any]], key: str, names: list[str]) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    found = {name: mean for name, mean, *_ in means(rows, key)}
    for y, name in enumerate(names):
        if name not in found:
            continue
        mean = found[name]
        axes.barh(y, mean - 1, left=1, height=0.62, color="tab:blue" if mean >= 1 else "tab:orange", alpha=0.65)
        ratios = [row[key] for row in rows if _kind(row) == name and math.isfinite(row.get(key, math.inf))]
        axes.plot(ratios, [y] * len(ratios), "o", color="black", markersize=2.5)
        axes.annotate(f"{mean:.2f}", (1.0, y), xytext=(3, 0), xycoords=("axes fraction", "data"),
                      textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    ratios = [row[key] for row in rows if math.isfinite(row.get(key, math.inf))]
    ticks = [t for t in (0.004, 0.016, 0.06, 0.25, 0.5, 1, 2, 4, 8, 16, 32) if min(ratios) / 1.5 <= t]
    axes.set_xticks([t for t in ticks if t <= 1.5 * max(ratios)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.spines[["top", "right"]].set_visible(False)
