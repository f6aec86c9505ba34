"""What a call costs before its kernel runs: dipkernels' own share, on the emulation with launches left out.

The arrays are DeviceArrays, and tensors of a stand-in for a library that has DLPack's exchange API, as PyTorch does. A
figure over its bar is an error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.devices import Rehearsal
from dipkernels import cuda, ops

_TURNS, _CALLS = 9, 4000


def _microseconds(call: Callable[[], Any]) -> float:
    """Of the fastest turn: the machine's noise only adds."""
    turns = []
    for _ in range(_TURNS):
        start = time.perf_counter()
        for _ in range(_CALLS):
            call()
        turns.append((time.perf_counter() - start) / _CALLS)
    return min(turns) * 1e6


def measure() -> list[dict[str, Any]]:
    """Prints and returns a row for each call; ends the program with an error where one is over its bar."""
    backend = Rehearsal().backend
    own = [cuda.to_device(np.ones(shape, np.float32)) for shape in [(64,), (4, 1, 8, 8), (2, 1, 3, 3), (2,)]]
    weights, gradients = ([cuda.to_device(np.ones(3, np.float32)) for _ in range(10)] for _ in range(2))
    rows = []
    backend.set_launches(False)
    print(f"{'call':36} {'own share':>12} {'bar':>8}")
    for kind, make in {"DeviceArray": lambda a: a, "tensor": backend.ForeignTensor}.items():
        x, images, filters, bias = map(make, own)
        y, convolved = make(own[0].zeros_like()), make(ops.conv2d(*own[1:]))
        several = [make(a) for a in weights], [make(a) for a in gradients]
        for name, bar, call in [
            ("relu, out", 2.0, lambda x=x, y=y: ops.relu(x, out=y)),
            ("relu", 2.5, lambda x=x: ops.relu(x)),
            ("conv2d, out", 7.0, lambda a=(images, filters, bias), y=convolved: ops.conv2d(*a, out=y)),
            ("gradient_descent_step of 10", 15.0, lambda a=several: ops.gradient_descent_step(*a, 0.1)),
        ]:
            row = {"call": f"{name}, {kind}", "us": _microseconds(call), "bar": bar}
            print(f"{row['call']:36} {row['us']:9.2f} us {bar:5.1f} us{'  over the bar' if row['us'] > bar else ''}")
            rows.append(row)
    backend.set_launches(True)
    if any(row["us"] > row["bar"] for row in rows):
        sys.exit("calls: a call's own share is over its bar")
    return rows
