"""What happened in training, epoch by epoch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dipkernels.files import write_text


def to_json(values: Any) -> str:
    """JSON, in which NumPy's numbers are plain ones."""

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"{value!r} is no number or text that JSON can hold")

    return json.dumps(values, indent=2, default=plain)


@dataclass(frozen=True)
class Epoch:
    """One epoch; accuracies are None where the targets are no classes, validation figures without such data."""

    number: int
    lr: float
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    images_per_second: float


@dataclass
class History:
    """All epochs, the number of the best (lowest validation loss, or training loss without such data), and settings."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Writes JSON, whole or not at all. OSError where it cannot."""
        write_text(path, to_json(self.to_dict()) + "\n")

    def _repr_png_(self) -> bytes | None:
        """In a notebook: the curves, where there are epochs and matplotlib."""
        if not self.epochs:
            return None
        try:
            from dipkernels import viz
            from dipkernels.viz.figure import png_of

            return png_of(viz.loss_curves(self))
        except ImportError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """What `to_dict` gave; ValueError where it is something else."""
        try:
            epochs = [Epoch(**epoch) for epoch in values["epochs"]]
            best, settings = values["best_epoch"], dict(values["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no history of a training: {type(error).__name__}: {error}") from error
        for number, epoch in enumerate(epochs, 1):
            for name, value in asdict(epoch).items():
                may_lack = name in ("train_accuracy", "validation_loss", "validation_accuracy")
                if type(value) not in (int, float) and not (value is None and may_lack):
                    raise ValueError(f"no history of a training: {name} of epoch {number} is {value!r}")
            if epoch.number != number:
                raise ValueError(f"no history of a training: its epoch {number} has number {epoch.number!r}")
        if best is not None and not (type(best) is int and 1 <= best <= len(epochs)):
            raise ValueError(f"no history of a training: its best epoch is {best!r}, of {len(epochs)}")
        return cls(epochs, best, settings)

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Reads what `save` wrote. FileNotFoundError, and ValueError with the path where it is damaged."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text()))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
