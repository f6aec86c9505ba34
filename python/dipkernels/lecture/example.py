"""One worked example: what is computed, beside what the lecture says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Number:
    """`computed`, and beside it what the lecture says, or None where it has no number."""

    what: str
    computed: Any
    said: Any = None

    @property
    def agrees(self) -> bool:
        """Whether the two are the same, numbers to a millionth."""
        if self.said is None:
            return True
        if isinstance(self.said, str):
            return bool(self.computed == self.said)
        return bool(np.shape(self.computed) == np.shape(self.said) and np.allclose(self.computed, self.said, rtol=1e-6))


@dataclass(frozen=True)
class Example:
    """`text` says what it shows; `tables` are small matrices by their titles; `figure` makes a picture."""

    title: str
    text: str
    numbers: list[Number] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    figure: Callable[[], Figure] | None = None


Chapter: TypeAlias = list[Callable[[], Example]]
