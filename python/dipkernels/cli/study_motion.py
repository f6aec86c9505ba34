"""The study of the motion estimator: how fast every object of a clip moves."""

from __future__ import annotations

import numpy as np

from dipkernels import metrics, models, nn, viz
from dipkernels.cli.studies import Findings, Settings
from dipkernels.data import moving_digits
from dipkernels.train import fit, predict


def study(settings: Settings) -> Findings:
    """Trains the estimator on clips of up to three digits, and once more where it sees the middle frame alone."""
    epochs = settings.epochs or 30
    parts = moving_digits("velocity", size=48, objects=3, speed=(0.3, 2.0), count=(2000, 200, 400), seed=settings.seed)
    middle = parts.train.x.shape[2] // 2
    rows, found = [], {}
    truth = parts.test.t
    alone = [middle] * parts.train.x.shape[2]
    for name, frames in (("ten frames", slice(None)), ("the middle frame, ten times", alone)):
        model = models.MotionNet(seed=settings.seed)
        x = np.ascontiguousarray(parts.train.x[:, :, frames])
        fit(
            model,
            x,
            parts.train.t,
            loss=model.loss,
            optimizer=nn.Adam(0.003),
            epochs=epochs,
            batch_size=16,
            seed=settings.seed,
            schedule=lambda epoch: 0.003 * (1 - (epoch - 1) / epochs),
            keep="last",
        )
        found[name] = predict(model, np.ascontiguousarray(parts.test.x[:, :, frames]))
    found["all stands still"] = np.zeros_like(truth[:, :2])
    for name, velocities in found.items():
        errors = metrics.velocity_errors(velocities, truth)
        rows.append((name, f"{errors.mean():.3f}", f"{np.median(errors):.3f}", f"{np.quantile(errors, 0.9):.3f}"))
    says = f"Of {len(errors)} objects that move by 0.3 to 2 pixels a frame, in clips it never saw."
    few = slice(0, 6)
    picture = viz.velocities(parts.test.x[few, 0, middle], truth[few], found["ten frames"][few])
    heads = ("sees", "mean error, pixels a frame", "median", "90 % below")
    return Findings(heads, rows, says, {"motion.png": picture})
