"""Training on pairs: the map that brings one image onto the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from dipkernels import models, ops, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import SceneTask, save_pictures
from dipkernels.data import Dataset, PairAugmentation, Splits, moved_pairs, scenes
from dipkernels.data.augmentation import Augmentation
from dipkernels.models.registration import RegistrationNet
from dipkernels.nn.graph import Graph
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History


class Alignment(SceneTask):
    """Affine registration."""

    _maps: npt.NDArray[Any]  # by which the images of the test were moved

    def epochs(self, data: str) -> int:
        return 60

    def scenes(self, preset: Preset, seed: int) -> Splits:
        parts = scenes(size=preset.shape[1:], seed=seed, noise=0)
        pairs = []
        for i, part in enumerate((parts.train, parts.validation, parts.test)):
            both, self._maps = moved_pairs(part.x.mean(1, keepdims=True), seed=seed + i)
            pairs.append(Dataset(both, both))
        return Splits(*pairs)

    def loss(self, model: Graph, splits: Splits) -> Loss:
        return cast(RegistrationNet, model).loss

    def augmentation(self, data: str) -> Augmentation:
        return PairAugmentation()

    def _errors(self, model: Graph, splits: Splits) -> tuple[Any, Any, Any]:
        """The maps that were found, and by how many pixels corners are wrong with them, and without any."""
        net = cast(RegistrationNet, model)
        found = net.align(splits.test.x)
        (shape,) = model.inputs.values()
        size = shape[1] - 2 * net.margin, shape[2] - 2 * net.margin
        identity = np.broadcast_to(np.eye(2, 3, dtype=np.float32), found.shape)
        return found, *(models.corner_error(each, self._maps, size) for each in (found, identity))

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        found, after, before = self._errors(model, splits)
        history.settings.update(test_corner_error=float(after.mean()))
        margin = cast(RegistrationNet, model).margin
        moving, fixed = (np.ascontiguousarray(each) for each in np.split(splits.test.x[:5], 2, axis=1))
        warped = ops.warp(moving, ops.affine_flow(found[:5], moving.shape[2:]))
        middle = (slice(None), slice(None), slice(margin, -margin or None), slice(margin, -margin or None))
        images = {
            "moved": moving[middle],
            "as it was": fixed[middle],
            "differences before": viz.overlaid(moving, fixed)[middle],
            "and after": viz.overlaid(warped, fixed)[middle],
        }
        notes = {
            "differences before": [f"{value:.1f} pixels" for value in before[:5]],
            "and after": [f"{value:.1f} pixels" for value in after[:5]],
        }
        save_pictures(out, {"loss.png": viz.loss_curves(history), "registration.png": viz.side_by_side(images, notes)})
        return (
            f"corners {after.mean():.2f} pixels wrong on {len(after):,} pairs it never saw, before {before.mean():.2f}"
        )

    def evaluate(self, model: Graph, splits: Splits) -> str:
        _, after, before = self._errors(model, splits)
        return (
            f"corners {after.mean():.2f} pixels wrong, in the median {np.median(after):.2f}; before {before.mean():.2f}"
        )

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        raise ValueError("registration compares two images; in Python, models.RegistrationNet.align does")
