"""Contests of training steps of whole networks for pixels, as PyTorch would write them, with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench.contest import Contest
from bench.steps import copy_weights
from dipkernels import models, nn, ops, precision

T = torch.nn
F = torch.nn.functional


def _block(channels: int, filters: int) -> torch.nn.Module:
    return T.Sequential(T.Conv2d(channels, filters, 3, padding=1, bias=False), T.BatchNorm2d(filters), T.ReLU())


class TorchEncoderDecoder(torch.nn.Module):
    """`models.segnet`, or with `skips` `models.fcn`."""

    def __init__(self, classes: int, channels: tuple[int, ...], skips: bool) -> None:
        super().__init__()
        before, stages = (3, *channels), range(len(channels))
        self.input_norm = T.BatchNorm2d(3)
        encoder, decoder = [], [_block(channels[i], channels[max(i - 1, 0)]) for i in reversed(stages)]
        for i in stages:
            maps = T.Sequential(_block(before[i], channels[i]), _block(channels[i], channels[i]))
            encoder.append(T.ModuleList([maps, *([T.Conv2d(channels[i], channels[i], 1)] if skips else [])]))
        self.encode, self.decode = T.ModuleList(encoder), T.ModuleList(decoder)
        self.scores = T.Conv2d(channels[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits for every pixel."""
        x, kept = self.input_norm(x), []
        for maps, *skip in self.encode:
            large = maps(x)
            x, indices = F.max_pool2d(large, 2, return_indices=True)
            kept.append((large.shape[2:], indices, [each(large) for each in skip]))
        for (size, indices, skipped), block in zip(reversed(kept), self.decode, strict=True):
            if skipped:
                x = F.interpolate(x, size=size, mode="bilinear") + skipped[0]
            else:
                x = F.max_unpool2d(x, indices, 2, output_size=size)
            x = block(x)
        return self.scores(x)


class TorchDnCNN(torch.nn.Module):
    """`models.dncnn`."""

    def __init__(self, depth: int = 6, width: int = 32) -> None:
        super().__init__()
        between = [_block(width, width) for _ in range(depth - 2)]
        first, last = T.Conv2d(3, width, 3, padding=1), T.Conv2d(width, 3, 3, padding=1)
        self.noise = T.Sequential(first, T.ReLU(), *between, last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The image without its noise."""
        return x + self.noise(x)


def networks() -> Iterator[Contest]:
    """One batch forward, loss, backward and update; products at the precision of the command's own training."""
    rng, channels = np.random.default_rng(0), (32, 64, 128, 192)
    roads, small = rng.random((8, 3, 180, 240), np.float32), rng.random((16, 3, 64, 64), np.float32)
    labels = rng.integers(0, 11, (8, 180, 240))
    entries: list[tuple[str, str, nn.Graph, torch.nn.Module, Any, Any, Any, Any]] = [
        ("step SegNet", "N8 180x240", models.segnet(11, channels=channels), TorchEncoderDecoder(11, channels, False),
         roads, labels, ops.cross_entropy_with_grad, F.cross_entropy),
        ("step FCN", "N8 180x240", models.fcn(11, channels=channels), TorchEncoderDecoder(11, channels, True),
         roads, labels, ops.cross_entropy_with_grad, F.cross_entropy),
        ("step DnCNN", "N16 64x64", models.dncnn(), TorchDnCNN(), small, small, ops.mse_loss_with_grad, F.mse_loss),
    ]  # fmt: skip
    for name, shape, model, network, x, t, loss, their_loss in entries:
        copy_weights(model, network)
        multiply_adds = _multiply_adds(model)
        rule, their_rule = nn.SGD(1e-6, 0.9), torch.optim.SGD(network.parameters(), 1e-6, 0.9, fused=True)
        tx, tt = torch.from_numpy(x), torch.from_numpy(t)

        def ours(model: Any = model, rule: Any = rule, x: Any = x, t: Any = t, loss: Any = loss) -> None:
            with precision("high"):
                _, gradient = loss(model.forward(x, training=True), t)
                model.backward(gradient)
                rule.step(model.parameters, model.gradients)

        def theirs(
            network: Any = network, rule: Any = their_rule, x: Any = tx, t: Any = tt, loss: Any = their_loss
        ) -> None:
            rule.zero_grad()
            loss(network(x), t).backward()
            rule.step()

        yield Contest(name, shape, 6.0 * multiply_adds * len(x), "GFLOP/s", ours, [theirs])


def _multiply_adds(model: nn.Graph) -> float:
    """Of one image forward, in the convolutions."""
    count = 0.0
    for name, layer in model.layers.items():
        if isinstance(layer, nn.Conv2d):
            count += layer.parameters["weight"].size * float(np.prod(model.shapes[name][1:]))
    return count
