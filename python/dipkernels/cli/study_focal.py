"""The study of the focal loss: a class that is rare in training."""

from __future__ import annotations

import functools

import numpy as np

from dipkernels import models, nn, ops, viz
from dipkernels.cli.studies import Findings, Settings, percent
from dipkernels.data import digits
from dipkernels.train import AutomatedFocalLoss, fit, predict
from dipkernels.train.losses import Loss
from dipkernels.train.progress import progress_bar

RARE, SHARE = 8, 0.02
_SEEDS, _WANTED, _BATCH = 5, 0.9, 16


def _losses() -> dict[str, Loss]:
    focal = {
        f"focal, γ = {gamma}": functools.partial(ops.focal_loss_with_grad, gamma=float(gamma)) for gamma in (1, 2, 5)
    }
    return {"cross-entropy": ops.cross_entropy_with_grad, **focal, "automated focal": AutomatedFocalLoss()}


def study(settings: Settings) -> Findings:
    """Trains LeNet-5 with each loss on digits of which the eights are 2 %, and scores all classes alike."""
    epochs = settings.epochs or 14
    parts = digits(seed=settings.seed)
    others = np.flatnonzero(parts.train.t != RARE)
    rare = np.flatnonzero(parts.train.t == RARE)[: round(SHARE / (1 - SHARE) * len(others))]
    train = parts.train.subset(np.sort(np.concatenate([others, rare])))
    of_epoch = -(-len(train) // _BATCH)
    steps = np.arange(1, epochs + 1) * of_epoch
    names = list(_losses())
    curves = {name: np.zeros((_SEEDS, epochs)) for name in names}
    of_rare = {name: np.zeros((_SEEDS, epochs)) for name in names}
    gammas = []
    with progress_bar(None, _SEEDS * len(names) * epochs, what="learning") as bar:
        for seed in range(_SEEDS):
            for name, loss in _losses().items():
                model, optimizer = models.lenet5(seed=settings.seed + seed), nn.Adam(0.001)
                for epoch in range(epochs):
                    fit(
                        model, train, loss=loss, optimizer=optimizer, epochs=1, batch_size=_BATCH,
                        seed=settings.seed + 1000 * seed + epoch, keep="last", progress=False,
                    )  # fmt: skip
                    guesses = predict(model, parts.test.x).argmax(1)
                    recalls = [(guesses[parts.test.t == c] == c).mean() for c in range(10)]
                    curves[name][seed, epoch], of_rare[name][seed, epoch] = np.mean(recalls), recalls[RARE]
                    if isinstance(loss, AutomatedFocalLoss) and seed == 0:
                        gammas.append(loss.gamma)
                    bar.update(1)
    rows = []
    for name in names:
        mean = curves[name].mean(0)
        reached = np.flatnonzero(mean >= _WANTED)
        when = f"{steps[reached[0]]:,}" if len(reached) else "never"
        rows.append((name, percent(mean[-1]), percent(of_rare[name].mean(0)[-1]), when))
    says = (
        f"Means of {_SEEDS} runs of {epochs} epochs; {len(rare)} of {len(train):,} digits are eights. The automated γ "
        f"falls from {gammas[0]:.2f} after the first epoch to {gammas[-1]:.2f}."
    )
    picture = viz.score_progress(steps, {n: c.mean(0) for n, c in curves.items()}, "balanced accuracy", _WANTED)
    heads = ("loss", "balanced accuracy", "of the rare digit", f"steps to {_WANTED:.0%}")
    return Findings(heads, rows, says, {"focal.png": picture})
