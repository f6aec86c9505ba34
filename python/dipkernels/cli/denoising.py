"""Training on noise: what images were before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipkernels import metrics, ops, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import SceneTask, save_picture, save_pictures
from dipkernels.data import NoiseAugmentation, Splits, noisy, scenes
from dipkernels.data.augmentation import Augmentation
from dipkernels.data.pictures import read_image
from dipkernels.nn.graph import Graph
from dipkernels.train import predict
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.ops.backend import FloatArray
    from dipkernels.train import History

_SIGMA = 0.1


class Denoising(SceneTask):
    """DnCNN."""

    def epochs(self, data: str) -> int:
        return 30

    def scenes(self, preset: Preset, seed: int) -> Splits:
        parts = scenes(size=preset.shape[1:], seed=seed, noise=0)
        each = (parts.train, parts.validation, parts.test)
        return Splits(*(noisy(part.x, _SIGMA, seed=seed + i) for i, part in enumerate(each)))

    def loss(self, model: Graph, splits: Splits) -> Loss:
        return ops.mse_loss_with_grad

    def augmentation(self, data: str) -> Augmentation:
        return NoiseAugmentation(_SIGMA)

    @staticmethod
    def _scores(x: npt.NDArray[Any], t: npt.NDArray[Any]) -> str:
        return f"{metrics.psnr(x, t).mean():.1f} dB, SSIM {metrics.ssim(x, t).mean():.3f}"

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        test = splits.test
        clean = predict(model, test.x)
        history.settings.update(
            test_psnr=float(metrics.psnr(clean, test.t).mean()), test_ssim=float(metrics.ssim(clean, test.t).mean())
        )
        shown: dict[str, FloatArray] = {"noisy": test.x[:5], "denoised": clean[:5], "as it was": test.t[:5]}
        notes = {
            name: [f"{value:.1f} dB" for value in metrics.psnr(shown[name], test.t[:5])] for name in list(shown)[:2]
        }
        save_pictures(out, {"loss.png": viz.loss_curves(history), "denoised.png": viz.side_by_side(shown, notes)})
        before = self._scores(test.x, test.t)
        return f"{self._scores(clean, test.t)}, with the noise {before}, on {len(test):,} images it never saw"

    def evaluate(self, model: Graph, splits: Splits) -> str:
        test = splits.test
        return f"{self._scores(predict(model, test.x), test.t)}; with the noise {self._scores(test.x, test.t)}"

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        (shape,) = model.inputs.values()
        x = read_image(image, (shape[1], shape[2]))[None]
        clean = predict(model, x)
        save_picture(out, viz.side_by_side({"as it is": x, "denoised": clean}))
        print(f"it took off noise of deviation {np.std(x - clean):.3f}; the picture is {out.resolve()}")
