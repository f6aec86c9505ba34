"""Contests of whole training steps on one batch: forward, loss, backward and update, against PyTorch's fused SGD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench.contest import Contest
from dipkernels import models, nn, ops


def torch_lenet5() -> torch.nn.Module:
    """LeNet-5 as `models.lenet5` has it."""
    t = torch.nn
    return t.Sequential(
        t.Conv2d(1, 6, 5), t.ReLU(), t.MaxPool2d(2), t.Conv2d(6, 16, 5), t.ReLU(), t.MaxPool2d(2), t.Flatten(),
        t.Linear(400, 120), t.ReLU(), t.Linear(120, 100), t.ReLU(), t.Linear(100, 10),
    )  # fmt: skip


def torch_mlp() -> torch.nn.Module:
    """The MLP 784-300-100-10."""
    t = torch.nn
    return t.Sequential(
        t.Flatten(), t.Linear(784, 300), t.ReLU(), t.Linear(300, 100), t.ReLU(), t.Linear(100, 10)
    )  # fmt: skip


def copy_weights(model: nn.Graph, network: torch.nn.Module) -> None:
    """Gives PyTorch's network the weights of ours."""
    for theirs, ours in zip(network.parameters(), model.parameters.values(), strict=True):
        theirs.data.copy_(torch.from_numpy(ours))


def steps() -> Iterator[Contest]:
    """LeNet-5 and the MLP with batches of 64, 256 and 1024 images."""
    # Multiply-adds of an image; backward they count twice, but for the data gradient of the first layer.
    lenet, lenet_first = 117_600 + 240_000 + 61_000, 117_600
    mlp, mlp_first = 266_200, 235_200
    for batch in (64, 256, 1024):
        for name, model, network, size, multiply_adds in [
            ("step LeNet-5", models.lenet5(seed=0), torch_lenet5(), 32, 3 * lenet - lenet_first),
            ("step MLP", models.mlp(input_shape=(1, 28, 28), seed=0), torch_mlp(), 28, 3 * mlp - mlp_first),
        ]:
            copy_weights(model, network)
            x = np.random.default_rng(batch).standard_normal((batch, 1, size, size), np.float32)
            t = np.arange(batch) % 10
            # So slow that the weights stay as they are: a batch that is learnt by heart ends in subnormal gradients.
            rule, their_rule = nn.SGD(1e-6, 0.9), torch.optim.SGD(network.parameters(), 1e-6, 0.9, fused=True)
            tx, tt = torch.from_numpy(x), torch.from_numpy(t)

            def ours(model: Any = model, rule: Any = rule, x: Any = x, t: Any = t) -> None:
                _, gradient = ops.cross_entropy_with_grad(model.forward(x, training=True), t)
                model.backward(gradient)
                rule.step(model.parameters, model.gradients)

            def theirs(network: Any = network, rule: Any = their_rule, x: Any = tx, t: Any = tt) -> None:
                rule.zero_grad()
                torch.nn.functional.cross_entropy(network(x), t).backward()
                rule.step()

            yield Contest(name, f"N{batch}", 2.0 * multiply_adds * batch, "GFLOP/s", ours, [theirs])
