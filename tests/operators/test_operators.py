"""Every case of every operator against its oracle: values, layouts, threads and repetition."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import dipkernels
from cases import ALL
from cases.case import Case
from dipkernels import reference
from support.device_ops import DEVICE, backend, ops
from support.oracles import check_case, run

every_case = pytest.mark.parametrize("case", ALL, ids=str)


def test_every_operator_has_cases() -> None:
    composed = {
        "conv2d_backward",
        "conv3d_backward",
        "conv_transpose2d_backward",
        "linear_backward",
        "output_size",
    }  # of operators that have cases
    assert {case.op for case in ALL} == set(ops.__all__) - composed


def test_ops_and_reference_have_the_same_names_and_signatures() -> None:
    assert ops.__all__ == reference.__all__
    for name in ops.__all__:
        kernel, oracle = (list(inspect.signature(getattr(m, name)).parameters.values()) for m in (ops, reference))
        kernel = [p for p in kernel if p.name not in ("out", "precision")]
        assert [(p.name, p.kind, p.default) for p in kernel] == [(p.name, p.kind, p.default) for p in oracle], name


@every_case
def test_matches_oracle(case: Case, isa: str) -> None:
    check_case(case)


def strided(a: Any) -> Any:
    """The same numbers, every second element of a larger array."""
    if not isinstance(a, np.ndarray) or a.ndim == 0:
        return a
    large = np.full((*a.shape[:-1], 2 * a.shape[-1] + 1), 77, a.dtype)
    view = large[..., 1::2]
    view[...] = a
    return view


def reversed_strides(a: Any) -> Any:
    """The same numbers with a negative stride on every axis."""
    if not isinstance(a, np.ndarray) or a.ndim == 0:
        return a
    backwards = (slice(None, None, -1),) * a.ndim
    return a[backwards].copy()[backwards]


def transposed(a: Any) -> Any:
    """The same numbers in Fortran order."""
    return np.asfortranarray(a) if isinstance(a, np.ndarray) else a


def _layouts() -> list[Any]:
    """Every case in every layout; for a GPU, which copies such arrays before a kernel sees them, in one of them."""
    layouts, cases = [strided, reversed_strides, transposed], [c for c in ALL if not c.in_place]
    return [
        pytest.param(case, layout, id=f"{case}-{layout.__name__}")
        for i, case in enumerate(cases)
        for layout in (layouts if DEVICE == "cpu" else [layouts[i % 3]])
    ]


@pytest.mark.parametrize(("case", "layout"), _layouts())
def test_layout_does_not_matter(case: Case, layout: Any) -> None:
    kwargs = {name: layout(value) for name, value in case.kwargs.items()}
    other = Case(case.op, case.label, tuple(layout(a) for a in case.args), kwargs)
    for one, two in zip(run(ops, case, case.args), run(ops, other, other.args), strict=True):
        np.testing.assert_array_equal(one, two)


@every_case
def test_same_bits_for_any_number_of_threads(case: Case, restore_threads: None) -> None:
    """A GPU has its own; emulated they come in another order the second time."""
    results = []
    for seed, threads in enumerate((1, 2, 8, 2) if DEVICE == "cpu" else (1, 8)):
        dipkernels.set_num_threads(threads)
        if DEVICE == "emulated":
            backend().set_seed(seed)
        results.append(run(ops, case, copy.deepcopy(case.args)))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            for a, b in zip(one, two, strict=True) if isinstance(one, list) else [(one, two)]:
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _with_out() -> list[Case]:
    """One case of every operator that takes `out`."""
    cases = {c.op: c for c in ALL if "out" in inspect.signature(getattr(ops, c.op)).parameters}
    return list(cases.values())


@pytest.mark.parametrize("case", _with_out(), ids=str)
def test_out_receives_the_result(case: Case) -> None:
    expected = run(ops, case, copy.deepcopy(case.args))
    which = 1 if case.op.endswith("_with_grad") else 0
    out = np.full_like(expected[which], 55)
    results = run(ops, Case(case.op, case.label, case.args, {**case.kwargs, "out": out}), copy.deepcopy(case.args))
    assert results[which] is out
    np.testing.assert_array_equal(out, expected[which])
