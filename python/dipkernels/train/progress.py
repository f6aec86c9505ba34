"""The progress bar of training, and of what else takes long: loss, accuracy, images per second, time left."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


class SilentBar(AbstractContextManager["SilentBar"]):
    """No bar at all."""

    width = 80

    def __exit__(self, *error: Any) -> None:
        """Nothing."""

    def update(self, images: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """Nothing."""

    def finish_epoch(self, line: str) -> None:
        """Nothing."""


class RichBar(AbstractContextManager["RichBar"]):
    """A bar over all epochs, and above it one line for each that has ended."""

    def __init__(self, images: int, done: int, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console()
        self.width = console.width
        narrow = self.width < 100
        self._progress = Progress(
            *([] if narrow else [TextColumn(what)]),
            BarColumn(bar_width=max(4, min(40, self.width - 50))),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[text]}"),
            *([] if narrow else [TextColumn("{task.fields[rate]}")]),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # a file wants the lines alone
        )
        self._task = self._progress.add_task("", total=images, completed=done, text="", rate="")

    def __enter__(self) -> RichBar:
        self._progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.__exit__(*error)

    def update(self, images: int, loss: float | None = None, accuracy: float | None = None) -> None:
        """After every batch."""
        speed = self._progress.tasks[0].speed
        text = "" if loss is None else f"loss {loss:.4f}"
        text += "" if accuracy is None else f"  accuracy {accuracy:.2%}"
        rate = f"{speed:,.0f} images/s" if speed else ""
        self._progress.update(self._task, advance=images, text=text, rate=rate)

    def finish_epoch(self, line: str) -> None:
        """After every epoch."""
        self._progress.console.print(line, highlight=False, soft_wrap=True)


def progress_bar(progress: bool | None, images: int, done: int = 0, what: str = "training") -> SilentBar | RichBar:
    """A bar where `progress` is True (ImportError without rich), none for False; for None where rich is installed."""
    if progress is False:
        return SilentBar()
    try:
        return RichBar(images, done, what)
    except ImportError as error:
        if progress is None:
            return SilentBar()
        raise ImportError('the progress bar needs rich; pip install "dipkernels[train]", or progress=False') from error
