"""What the choice of a kernel costs on a GPU: every way to compute a convolution, timed beside the one that is taken,
without what the call costs the host.

The costs in csrc/cuda/gemm/costs.cpp are right where what is taken needs little more time than the best. Tiles
that a convolution does not have, mapped ones of channels that fill no lines, stand for whatever is taken instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.devices import BY_WARPS, Gpu, Rehearsal
from bench.operators import CONVOLUTIONS, TOY_CONVOLUTIONS, options_of, stored
from dipkernels import ops

_WARPS = ("128x128", "32x128", "64x64")
_WARPGROUPS = tuple(f"{size} of warpgroups" for size in ("128x128", "64x128"))
_MAPPED = tuple(f"{size} of mapped warpgroups" for size in ("128x128", "128x256"))
# How float32 is multiplied, and by which tile.
_ON_TENSOR_CORES = [("tensor", tile) for tile in _WARPS + _WARPGROUPS + _MAPPED]
_WAYS = {name: [*(("fma", tile) for tile in _WARPS), *_ON_TENSOR_CORES] for name in ("highest", "high", "medium")}
_WAYS["bfloat16"] = _ON_TENSOR_CORES
_TAKEN = ("auto", "auto")


def _set(device: Gpu | Rehearsal, way: tuple[str, str]) -> None:
    products, tile = way
    device.backend.set_float32_products(products)
    device.backend.set_gemm_tile(tile)
    device.choose(BY_WARPS if tile in _WARPS else "")


def _by(device: Gpu | Rehearsal, way: tuple[str, str], run: Callable[[], Any]) -> Callable[[], Any]:
    def chosen() -> Any:
        _set(device, way)
        return run()

    return chosen


def cases(device: Gpu | Rehearsal, shapes: list[Any], images: int) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Label, precision and call of every convolution that has several ways: groups of few channels have one."""
    ungrouped = [shape for shape in shapes if shape[-1] == 1]
    for precision, (name, n, c, h, k, f, stride, padding, dilation, _) in itertools.product(_WAYS, ungrouped):
        rng, batch = np.random.default_rng(0), n or images
        size = (h + 2 * padding - dilation * (f - 1) - 1) // stride + 1
        sizes = (batch, c, h, h), (k, c, f, f), (batch, k, size, size)
        own = [device.ours(rng.standard_normal(each, np.float32)) for each in sizes]
        x, weight, dy = stored(own, precision, device)
        options = {"stride": stride, "padding": padding, "dilation": dilation, **options_of(precision)}
        for op, arguments in [
            ("conv2d", (x, weight)),
            ("conv2d_backward_data", (dy, weight, sizes[0])),
            ("conv2d_backward_weight", (dy, x, sizes[1])),
        ]:

            def run(op: str = op, arguments: Any = arguments, options: Any = options) -> Any:
                return getattr(ops, op)(*arguments, **options)

            yield f"{op} {precision} {name}", precision, run


def measure(device: Gpu | Rehearsal) -> list[dict[str, Any]]:
    """Times every way of every convolution; prints and returns a row for each."""
    rows = []
    shapes = TOY_CONVOLUTIONS if isinstance(device, Rehearsal) else CONVOLUTIONS
    for label, precision, run in cases(device, shapes, device.images):
        ways = [*_WAYS[precision], _TAKEN]
        times = {way: device.kernel_times(_by(device, way, run), [])[0] for way in ways}
        _set(device, _TAKEN)
        taken = times.pop(_TAKEN)
        best = min(times, key=lambda way, times=times: times[way])
        of_warps = min(seconds for (_, tile), seconds in times.items() if tile in _WARPS)
        row = {
            "operator": label, "ms": taken * 1e3, "over the best of warps": taken / of_warps,
            "best": " ".join(best), "best ms": times[best] * 1e3,
            "ways": {" ".join(way): seconds * 1e3 for way, seconds in times.items()},
        }  # fmt: skip
        print(
            f"{row['operator']:46} taken {row['ms']:9.3f} ms, {row['over the best of warps']:5.2f} of the best of "
            f"warps; best {row['best ms']:9.3f} ms: {row['best']}",
            flush=True,
        )
        rows.append(row)
    return rows


@dataclass
class Planned:
    """What the choice of a way knows: a question whether to pack, and the products of either answer."""

    packing: tuple[int, ...] | None
    products: dict[str, list[tuple[Any, ...]]]


def planned(device: Gpu | Rehearsal) -> dict[str, Planned]:
    """By their labels the convolutions that the choice is asked about, without computing them."""
    found = {}
    device.backend.set_launches(False)
    for label, _, run in cases(device, CONVOLUTIONS, Gpu.images):
        _set(device, _TAKEN)
        device.backend.take_packings()
        run()
        packing = (device.backend.take_packings() or [None])[0]
        products = {}
        for way in ("fma", "tensor"):
            _set(device, (way, "auto"))
            device.backend.take_planned_products()
            run()
            products[way] = device.backend.take_planned_products()
        if products["tensor"]:
            found[label] = Planned(packing, products)
    _set(device, _TAKEN)
    device.backend.set_launches(True)
    return found
