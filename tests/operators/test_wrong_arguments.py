"""Every public function with every wrong kind of array and scalar: the message names operator, argument and value."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dipkernels import _cpu
from support.device_ops import DEVICE, ops
from support.good_arguments import GOOD, shown

NAN, INF = float("nan"), float("inf")

_ANY_AXES = {("linear", "x"), ("linear_backward_data", "dy")}


def _spoiled() -> list[Any]:
    """Every array argument of every operator, as everything it must not be."""
    wrong: dict[str, Callable[[Any], Any]] = {
        "float64": lambda a: a.astype(np.float64),
        "float16": lambda a: np.zeros(a.shape, np.float16),
        "complex": lambda a: a.astype(np.complex64),
        "bool": lambda a: a.astype(bool),
        "text": lambda a: a.astype(str),
        "object": lambda a: a.astype(object),
        "big_endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
        "list": lambda a: a.tolist(),
        "none": lambda a: None,
        "number": lambda a: 3.5,
        "string": lambda a: "array",
        "more_dimensions": lambda a: a[None, None, None, None, None],
    }
    cases = []
    for op, case in GOOD.items():
        arrays = sum(isinstance(a, np.ndarray) for a in case.args)
        names = list(inspect.signature(getattr(ops, op)).parameters)
        # A running mean is float32 whatever the others are.
        reals = [n for n, a in zip(names, case.args, strict=False) if isinstance(a, np.ndarray) and n != "running"]
        reals = [n for n in reals if case.args[names.index(n)].dtype == np.float32]
        for i, argument in enumerate(case.args):
            if not isinstance(argument, np.ndarray):
                continue
            for label, change in wrong.items():
                if label == "more_dimensions" and (arrays == 1 or (op, names[i]) in _ANY_AXES):
                    continue  # any shape is right for a function of one array
                if label == "float16" and DEVICE != "cpu" and (reals == [names[i]] or op.endswith("_step")):
                    continue  # right on the GPU, where no other array is of another dtype
                cases.append(pytest.param(op, i, names[i], change, id=f"{op}-{names[i]}-{label}"))
    return cases


@pytest.mark.parametrize(("op", "position", "name", "change"), _spoiled())
def test_wrong_array(op: str, position: int, name: str, change: Callable[[Any], Any]) -> None:
    case = GOOD[op]
    args = list(case.args)
    spoiled = change(args[position])
    if spoiled is None and inspect.signature(getattr(ops, op)).parameters[name].default is None:
        pytest.skip(f"{name} is optional")
    args[position] = spoiled
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        getattr(ops, op)(*args, **case.kwargs)
    text = str(caught.value)
    family = op.removesuffix("_with_grad").removesuffix("_with_indices")
    assert re.match(rf"{family}\w*: ", text) or "max_pool2d" in text, text
    assert "got" in text or "overlaps" in text, text


# What a scalar argument is, by its name, and what it is not: everything that must be refused.
NO_NUMBERS: list[Any] = ["text", b"1", 1j, (1, 2, 3), [], {}, object(), int, np.zeros(3), np.zeros((1, 1)), [[1]]]
WRONG: dict[str, list[Any]] = {
    "integer": [*NO_NUMBERS, None, 1.5, np.float32(1.7), np.float32(2.0), "2", True, np.True_, 10**400, -(10**400)],
    "number": [*NO_NUMBERS, None, "0.5", True, np.True_, 10**400, NAN, -INF],
    "any number": [*NO_NUMBERS, None, "0.5", True, np.True_, 10**400],
    "optional number": [*NO_NUMBERS, "0.5", True, 10**400, NAN, -1.0, 0],
    "numbers": [v for v in NO_NUMBERS if not isinstance(v, (tuple, list, np.ndarray))] + [None, True, "0.5", NAN, -1.0],
    "pair": [*NO_NUMBERS, None, 1.5, np.float32(1.7), True, "2", (1.0, 2), (1,), 10**400, (1, "2"), (1, None)],
    "triple": [v for v in NO_NUMBERS if not isinstance(v, (tuple, np.ndarray))]
    + [None, 1.5, True, "2", (1, 2), (1.0, 2, 2), (1, "2", 3), 10**400],
    "flag": [*NO_NUMBERS, None, 0, 1, 1.0, "yes"],
    "word": [*NO_NUMBERS, None, 1, "other", True],
    "activation": [*NO_NUMBERS, 1, "gelu", ("relu",), ("elu", "x"), ("elu", None), True],
    "size": [*NO_NUMBERS, 3, 1.5, "44", True, (1.0, 1, 1, 1), (1, 2, 3, 4, 5), (1, 1, 1, None), (-1, -1, -1, -1)],
    "size of clips": [
        *(v for v in NO_NUMBERS if not isinstance(v, (tuple, np.ndarray))),
        3,
        1.5,
        "44",
        True,
        (1.0, 1, 1, 1, 1),
        (1, 2, 3, 4),
        (1, 1, 1, 1, None),
        (-1,) * 5,
    ],
    "channels": [
        *[v for v in NO_NUMBERS if not isinstance(v, list)],
        None,
        [[1]],
        3,
        1.5,
        True,
        (1.0, 2),
        (1, None),
        (-1, 3),
        [10**400],
    ],
    "two numbers": [*NO_NUMBERS, None, 0.9, (0.9,), (0.9, "x"), (0.9, None), (0.9, 1.5), "ab"],
}
KINDS = {
    **dict.fromkeys(
        [
            "groups",
            "pieces",
            "dim",
            "ignore_index",
            "seed",
            "offset of dropout",
            "p of hinge",
            "step",
            "sampling_ratio",
        ],
        "integer",
    ),
    **dict.fromkeys(["p", "negative_slope", "alpha", "label_smoothing", "gamma", "margin", "beta", "delta"], "number"),
    **dict.fromkeys(["iou_threshold", "spatial_scale"], "number"),
    **dict.fromkeys(["momentum", "rho", "eps", "k"], "number"),
    **dict.fromkeys(["clip_norm", "clip_value"], "optional number"),
    **dict.fromkeys(["lr", "weight_decay"], "numbers"),
    **dict.fromkeys(["stride", "padding", "dilation", "kernel_size", "pool_size", "scale_factor", "offset"], "pair"),
    "output_padding": "pair",
    **dict.fromkeys(
        ["count_include_pad", "decoupled", "input_gradient", "training", "align_corners", "aligned"], "flag"
    ),
    **dict.fromkeys(["rounding", "reduction", "precision", "in_fmt", "out_fmt", "interpolation"], "word"),
    **dict.fromkeys(["input_size", "weight_size", "output_size", "size"], "size"),
    "channels": "channels",
    "activation": "activation",
    "betas": "two numbers",
}
NO_SCALARS = [
    "x",
    "dy",
    "y",
    "weight",
    "bias",
    "mean",
    "var",
    "running",
    "running_mean",
    "running_var",
    "out",
    "indices",
    "logits",
    "target",
    "scores",
    "boxes",
    "boxes1",
    "flow",
    "dflow",
    "matrices",
    "boxes2",
    "batch",
    "classes",
    "probabilities",
    "log_probabilities",
    "device_offset",
]
STATES = [
    "inputs",
    "weights",
    "gradients",
    "velocities",
    "square_sums",
    "square_averages",
    "step_averages",
    "first_moments",
    "second_moments",
    "largest_second_moments",
]


def _kind(op: str, name: str) -> str:
    if (name, op.split("_")[0]) in [("offset", "dropout"), ("size", "local")]:
        return "integer"
    if name == "output_size" and op.startswith("roi"):
        return "pair"
    if "3d" in op and KINDS[name] in ("pair", "size"):
        return "triple" if KINDS[name] == "pair" else "size of clips"
    if name == "value":
        return "any number"
    return "integer" if name == "p" and op.startswith("hinge") else KINDS[name]


def _wrong_scalars() -> list[Any]:
    cases = []
    for op in GOOD:
        for parameter in inspect.signature(getattr(ops, op)).parameters.values():
            if parameter.name in NO_SCALARS + STATES:
                continue
            for number, value in enumerate(WRONG[_kind(op, parameter.name)]):
                if value is None and parameter.default is None:
                    continue
                if parameter.name == "dim" and isinstance(value, int) and abs(value) > 2**70 and op == "maxout":
                    continue
                cases.append(pytest.param(op, parameter.name, value, id=f"{op}-{parameter.name}-{number}"))
    return cases


@pytest.mark.parametrize(("op", "name", "value"), _wrong_scalars())
def test_wrong_scalar(op: str, name: str, value: Any) -> None:
    case = GOOD[op]
    signature = inspect.signature(getattr(ops, op))
    given = dict(signature.bind(*case.args, **case.kwargs).arguments)
    if name in ("input_size", "size") and "scale_factor" in signature.parameters:
        given.pop("scale_factor", None)
    given[name] = value
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        getattr(ops, op)(**given)
    text = str(caught.value)
    family = op.removesuffix("_with_grad").removesuffix("_with_indices")
    assert re.match(rf"{family}\w*: ", text) or text.startswith("adamw_step: "), text
    assert name in text, text
    # On the GPU steps may be counted by an array there, of another dtype than these.
    assert any(each in text for each in shown(value)) or (name == "step" and "must be int64, got float64" in text), text


@pytest.mark.parametrize(
    ("op", "name"),
    [(op, name) for op in GOOD for name in inspect.signature(getattr(ops, op)).parameters if name in STATES],
)
def test_wrong_list_of_arrays(op: str, name: str) -> None:
    case = GOOD[op]
    given = dict(inspect.signature(getattr(ops, op)).bind(*case.args, **case.kwargs).arguments)
    for value in [5, None, "ab", np.zeros((3, 4), np.float32), [1, 2], [None], {"a": 1}]:
        if value is None and name == "largest_second_moments":
            continue
        with pytest.raises((TypeError, ValueError)) as caught:
            getattr(ops, op)(**{**given, name: value})
        assert str(caught.value).startswith(op.removesuffix("_step")), caught.value
        assert name in str(caught.value), caught.value


_PAIR = (1, 1)
_WINDOW = {"stride": _PAIR, "padding": ((0, 0), (0, 0)), "dilation": _PAIR}
_MISUSES = [
    ({"stride": 2}, TypeError, "stride must be a tuple or list, got 2"),
    ({"stride": (1,)}, ValueError, "stride must have 2 entries, got 1"),
    ({"stride": (1, 1.5)}, TypeError, "stride must be an int, got 1.5"),
    ({"stride": (1, 2**70)}, ValueError, "stride must be from -2^63 to 2^63 - 1"),
    ({"stride": (True, 1)}, TypeError, "stride must be an int, got True"),
    ({"padding": (0, 0)}, TypeError, "padding must be a tuple or list, got 0"),
    ({"padding": [[0, 0], [0, 0], [0, 0]]}, ValueError, "padding must have 2 entries, got 3"),
    ({"activation": 3}, TypeError, "activation must be a string, got 3"),
    ({"groups": None}, TypeError, "groups must be an int, got None"),
]


@pytest.mark.parametrize(("wrong", "error", "text"), _MISUSES)
def test_native_functions_check_the_types_of_what_they_get(wrong: Any, error: type[Exception], text: str) -> None:
    x, weight = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
    rest = {"groups": 1, "activation": "none", "alpha": 0.0, "rounding": "exact", "precision": "highest", "out": None}
    with pytest.raises(error, match=re.escape(f"conv2d: {text}")):
        _cpu.conv2d(x, weight, None, **(_WINDOW | rest | wrong))


def test_native_functions_take_only_lists_for_lists() -> None:
    x = np.ones((1, 1), np.float32)
    with pytest.raises(TypeError, match=re.escape("concatenate: inputs must be a list, got (")):
        _cpu.concatenate((x, x), None)
    with pytest.raises(TypeError, match=re.escape("name must be a string, got 1")):
        _cpu.activation(x, 1, 0.0, None)
