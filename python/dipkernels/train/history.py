"""What happened in training, epoch by epoch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


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
        """Writes JSON."""
        Path(path).write_text(to_json(self.to_dict()) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """What `to_dict` gave."""
        return cls([Epoch(**e) for e in values["epochs"]], values["best_epoch"], values["settings"])

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Reads what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text()))
