"""LeNet-5 and the MLP 784-300-100-10 on MNIST: the same recipe here and in PyTorch, with accuracy and time."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.machine import show, write
from bench.steps import copy_weights, torch_lenet5, torch_mlp
from bench.timing import PAUSE
from dipkernels import data, models, nn, train

BATCH = 64


class _TorchTraining:
    """The recipe in PyTorch, an epoch at a time, from the weights of `model`."""

    def __init__(self, network: torch.nn.Module, model: nn.Graph, parts: data.Splits) -> None:
        copy_weights(model, network)
        self.network, self.parts = network, parts
        self.optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def epoch(self, number: int, lr: float) -> None:
        self.optimizer.param_groups[0]["lr"] = lr
        x, t = torch.from_numpy(self.parts.train.x), torch.from_numpy(self.parts.train.t)
        order = torch.from_numpy(np.random.default_rng(number).permutation(len(x)))
        for first in range(0, len(x), BATCH):
            chosen = order[first : first + BATCH]
            self.optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.network(x[chosen]), t[chosen]).backward()
            self.optimizer.step()

    def accuracy(self) -> float:
        with torch.no_grad():
            guesses = self.network(torch.from_numpy(self.parts.test.x)).argmax(1).numpy()
        return float((guesses == self.parts.test.t).mean())


def run(mnist: Path, epochs: int, json_path: Path | None) -> None:
    """Prints one line a model."""
    show()
    rows: list[dict[str, Any]] = []
    builders: list[tuple[str, nn.Graph, torch.nn.Module, tuple[int, int], float]] = [
        ("LeNet-5", models.lenet5(seed=0), torch_lenet5(), (32, 32), 0.002),
        ("MLP 784-300-100-10", models.mlp(input_shape=(1, 28, 28), seed=0), torch_mlp(), (28, 28), 0.001),
    ]
    for name, model, network, size, lr in builders:
        parts = data.mnist(mnist, size=size)

        theirs, optimizer = _TorchTraining(network, model, parts), nn.Adam()
        seconds = their_seconds = 0.0
        for epoch in range(1, epochs + 1):  # in turns, so that a machine that slows down does so for both
            rate = lr * (0.5 + 0.5 * math.cos(math.pi * (epoch - 1) / epochs))
            start = time.perf_counter()
            theirs.epoch(epoch, rate)
            their_seconds += time.perf_counter() - start
            time.sleep(PAUSE)
            optimizer.lr = rate
            start = time.perf_counter()
            train.fit(model, parts.train, optimizer=optimizer, epochs=1, batch_size=BATCH, seed=epoch, progress=False)
            seconds += time.perf_counter() - start
        accuracy, their_accuracy = train.evaluate(model, parts.test).accuracy, theirs.accuracy()
        row = {
            "model": name, "epochs": epochs, "batch": BATCH, "seconds": seconds, "test accuracy": accuracy,
            "torch seconds": their_seconds, "torch test accuracy": their_accuracy, "ratio": their_seconds / seconds,
        }  # fmt: skip
        rows.append(row)
        print(
            f"{name}, {epochs} epochs of {len(parts.train):,}: {seconds:.1f} s, test accuracy {accuracy:.2%}; "
            f"PyTorch {their_seconds:.1f} s, {their_accuracy:.2%}; {their_seconds / seconds:.2f}x"
        )
    write(json_path, rows)
