"""A table of a network's layers."""

from __future__ import annotations

from dipkernels.nn.graph import Graph
from dipkernels.nn.layer import Shape


def receptive_fields(model: Graph) -> dict[str, tuple[int, int] | None]:
    """What one element of each node sees of the input, (height, width), no larger than it; None for vectors.

    With several predecessors the largest counts.
    """
    seen: dict[str, tuple[list[int], int]] = {name: ([1, 1], 1) for name in model.inputs}
    fields: dict[str, tuple[int, int] | None] = {}
    limit = (
        [max(shape[-axis] for shape in model.inputs.values() if len(shape) == 3) for axis in (2, 1)]
        if any(len(shape) == 3 for shape in model.inputs.values())
        else [0, 0]
    )
    for name in model.order:
        before = [seen[each] for each in model.predecessors[name]]
        largest = max(before, key=lambda field: field[0])
        seen[name] = model.layers[name].receptive_field(*largest)
        height, width = (min(size, most) for size, most in zip(seen[name][0], limit, strict=True))
        fields[name] = (height, width) if len(model.shapes[name]) == 3 else None
    return fields


def _text(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def summary(model: Graph) -> str:
    """Name, layer, output shape (C × H × W), parameters and receptive field of every node, and the total.

    >>> from dipkernels import models
    >>> print(summary(models.lenet5()).splitlines()[-1])
    total                               63,802
    """
    fields = receptive_fields(model)
    rows = [("layer", "kind", "output", "parameters", "sees")]
    rows += [(name, "input", _text(shape), "", "") for name, shape in model.inputs.items()]
    for name in model.order:
        layer, field = model.layers[name], fields[name]
        count = sum(value.size for value in layer.parameters.values())
        sees = "" if field is None else f"{field[0]} × {field[1]}"
        rows.append((name, type(layer).__name__, _text(model.shapes[name]), f"{count:,}" if count else "", sees))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]

    def line(row: tuple[str, ...]) -> str:
        cells = [
            cell.rjust(w) if i == 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 8)
    total = line(("total", "", "", f"{model.parameter_count:,}", ""))
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:]), rule, total])
