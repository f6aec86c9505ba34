"""Arguments that every operator takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases import ALL
from cases.case import Case

# One small case of every operator, to be spoilt one argument at a time.
GOOD: dict[str, Case] = {}
for _case in ALL:
    if all(np.size(a) for a in _case.args if isinstance(a, np.ndarray)) and _case.op not in GOOD:
        GOOD[_case.op] = _case


def shown(value: Any) -> list[str]:
    """How a message may show a value: as Python writes it, cut short, or as an array's shape, or only what is wrong in
    a tuple.
    """
    parts = list(value) if isinstance(value, (tuple, list)) else []
    one = f"an array of shape {value.shape}" if getattr(value, "ndim", 0) else repr(value)[:57]
    number = [f"{value:g}"] if isinstance(value, (int, float)) and abs(value) < 1e300 else []
    return [one, one.replace("'", '"'), *number, *(text for part in parts for text in shown(part))]
