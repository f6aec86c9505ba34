"""A table of a network's layers."""

from __future__ import annotations

from dipkernels.checks import checked, network
from dipkernels.nn.graph import Graph


@checked(model=network)
def receptive_fields(model: Graph) -> dict[str, tuple[int, ...] | None]:
    """What one element of each node sees of the input, (height, width), of clips (depth, height, width), no larger than
    it; None for vectors.

    With several predecessors the largest counts. Three stacked 3×3 convolutions see 7×7.
    """
    rank = 4 if any(len(shape) == 4 for shape in model.inputs.values()) else 3  # of clips or images
    limit = [max((s[axis] for s in model.inputs.values() if len(s) == rank), default=0) for axis in range(1, rank)]
    ones = [1] * (rank - 1)
    seen: dict[str, tuple[list[int], list[int]]] = dict.fromkeys(model.inputs, (ones, ones))
    fields: dict[str, tuple[int, ...] | None] = {}
    for name in model.order:
        largest = max((seen[before] for before in model.predecessors[name]), key=lambda field: field[0])
        seen[name] = model.layers[name].receptive_field(*largest)
        sizes = seen[name][0]  # without a depth behind a `Frame`
        field = tuple(min(size, most) for size, most in zip(sizes, limit[-len(sizes) :], strict=True))
        fields[name] = field if len(model.shapes[name]) == 1 + len(sizes) else None
    return fields


def summary_rows(model: Graph) -> list[tuple[str, ...]]:
    """The cells of `summary`, the heads of the columns first."""
    fields = receptive_fields(model)
    rows: list[tuple[str, ...]] = [("layer", "kind", "output", "parameters", "sees")]
    rows += [(name, "input", " × ".join(map(str, shape)), "", "") for name, shape in model.inputs.items()]
    for name in model.order:
        layer, field = model.layers[name], fields[name]
        count = sum(value.size for value in layer.parameters.values())
        sees = "" if field is None else " × ".join(map(str, field))
        shape = " × ".join(map(str, model.shapes[name]))
        weights = f"of {model.twins[name]}" if name in model.twins else f"{count:,}" if count else ""
        rows.append((name, type(layer).__name__, shape, weights, sees))
    rows.append(("total", "", "", f"{model.parameter_count:,}", ""))
    return rows


@checked(model=network)
def summary(model: Graph) -> str:
    """Name, layer, output shape (C × H × W), parameters and receptive field of every node, and the total.

    >>> from dipkernels import models
    >>> summary(models.lenet5()).splitlines()[-1].split()
    ['total', '63,802']
    """
    rows = summary_rows(model)
    name_width, kind_width, shape_width, count_width, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        f"{name:{name_width}}  {kind:{kind_width}}  {shape:{shape_width}}  {count:>{count_width}}  {sees}".rstrip()
        for name, kind, shape, count, sees in rows
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
