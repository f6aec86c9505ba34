"""A case of an operator, run and held to its oracle."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from cases.case import Case, normal
from dipkernels import precision, reference
from support.device_ops import ops
from support.properties import kinds


def run(module: Any, case: Case, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The results of a case, as a tuple; of operators that work in place, what they updated comes last."""
    # Lists are of states, which the operator updates.
    kwargs = {name: copy.deepcopy(value) if isinstance(value, list) else value for name, value in case.kwargs.items()}
    results = getattr(module, case.op)(*args, **kwargs)
    updated = tuple(args[i] for i in case.in_place)
    if results is None:
        assert updated
        return updated
    return (*(results if isinstance(results, tuple) else (results,)), *updated)


def to_float64(argument: Any) -> Any:
    if isinstance(argument, list):
        return [to_float64(each) for each in argument]
    return (
        argument.astype(np.float64) if isinstance(argument, np.ndarray) and argument.dtype == np.float32 else argument
    )


def assert_close(got: Any, expected: Any, bound: Any) -> None:
    if isinstance(expected, list):
        for one, other, limit in zip(got, expected, bound, strict=True):
            assert_close(one, other, limit)
        return
    assert np.shape(got) == np.shape(expected)
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    finite = np.isfinite(got) & np.isfinite(expected)
    error = np.abs(np.where(finite, got - expected, np.inf))
    # Beyond the largest float32 an infinity is the correctly rounded result.
    bad = ~same & ~(error <= bound) & ~(np.isinf(got) & (np.abs(expected) > 3.4e38))
    assert not bad.any(), (
        f"{bad.sum()} of {bad.size} wrong; first at {np.argwhere(np.atleast_1d(bad))[0]}: "
        f"got {np.atleast_1d(got)[np.atleast_1d(bad)][0]}, expected {np.atleast_1d(expected)[np.atleast_1d(bad)][0]}"
    )


def check_case(case: Case) -> None:
    """The operator's results are the oracle's within the case's bounds, and its arguments are as before."""
    args = copy.deepcopy(case.args)
    got = run(ops, case, args)
    oracle_args = tuple(to_float64(a) for a in copy.deepcopy(case.args))
    with np.errstate(all="ignore"):  # some cases hold infinities and NaN
        expected = run(reference, case, oracle_args)
        assert len(got) == len(expected) == len(case.bounds)
        for one, other, bound in zip(got, expected, case.bounds, strict=True):
            assert_close(one, other, bound(other, *case.args, **case.kwargs))
    for i, (before, after) in enumerate(zip(case.args, args, strict=True)):
        if isinstance(before, np.ndarray) and i not in case.in_place:
            np.testing.assert_array_equal(before, after, err_msg=f"argument {i} was changed")


def check_what_a_number_spoils(family: str, label: str, geometry: Any, name: Any, number: Any) -> None:
    """One infinite or NaN number in an argument of conv2d or conv3d and its gradients spoils only what it meets."""
    x_size, weight_size, stride, padding, dilation, groups, rounding = geometry
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    x, weight = normal(*x_size), normal(*weight_size, seed=1)
    dy = normal(*getattr(reference, family)(x, weight, **options).shape, seed=2)
    calls = {
        family: (x, weight),
        f"{family}_backward_data": (dy, weight, x_size),
        f"{family}_backward_weight": (dy, x, weight_size),
    }
    place = np.random.default_rng(len(label)).integers(1 << 30)
    for op, (one, other, *size) in calls.items():
        for spoiled in (0, 1):
            arrays = [one.copy(), other.copy()]
            arrays[spoiled].flat[place % arrays[spoiled].size] = number
            with np.errstate(invalid="ignore", over="ignore"):  # some machines' BLAS would warn of what is asked here
                expected = getattr(reference, op)(*arrays, *size, **options)
            with precision(name):
                got = getattr(ops, op)(*arrays, *size, **options)
            np.testing.assert_array_equal(kinds(got), kinds(expected), err_msg=f"{op}, argument {spoiled}")
