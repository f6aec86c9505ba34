"""Training on clips: which digit moves and where to, or one class for each clip."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dipkernels import ops, viz
from dipkernels.cli.presets import Preset
from dipkernels.cli.tasks import PhotographTask, bar, save_picture, save_pictures
from dipkernels.data import DIRECTIONS, Splits, clip_folders, moving_digits, read_clip
from dipkernels.data.augmentation import Augmentation
from dipkernels.nn.graph import Graph
from dipkernels.train import HeadTask, MultiTaskLoss, predict_heads
from dipkernels.train.losses import Loss

if TYPE_CHECKING:
    from dipkernels.train import History

MOVING = "moving_digits"
_DIGITS = tuple(map(str, range(10)))
_HEADS = {"digit": _DIGITS, "direction": DIRECTIONS}


@dataclass(frozen=True)
class _Column:
    """Picks the targets of one head."""

    number: int

    def __call__(self, t: Any) -> Any:
        return t[:, self.number]


class Clips(PhotographTask):
    """Karpathy's networks and C3D. `heads` has the names of the classes of each head."""

    default_data = MOVING
    heads: dict[str, tuple[str, ...]]

    def epochs(self, data: str) -> int:
        return 15 if data == MOVING else 30

    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        self.check_validation(data, validation)
        if data == MOVING:
            self.heads = dict(_HEADS)
            return moving_digits(seed=seed)
        if not Path(data).is_dir():
            raise FileNotFoundError(
                f"--data must be {MOVING}, or a folder with a folder of clips for each class, got {data!r}"
            )
        _, frames, height, width = preset.shape
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is left out is said below
            found = clip_folders(data, frames, (height, width), seed=seed)
        wanted = getattr(self, "heads", {"class": found.classes})["class"]
        if found.classes != wanted:
            raise ValueError(f"{data} has the classes {', '.join(found.classes)}, not {', '.join(wanted)}")
        self.heads = {"class": found.classes}
        self.say_left_out(found.problems)
        return found.splits

    def metadata(self, splits: Splits) -> dict[str, str]:
        return {"heads": json.dumps(self.heads), "shape": json.dumps(splits.train.x.shape[1:])}

    def build(self, preset: Preset, seed: int, metadata: dict[str, str]) -> Graph:
        self.heads = {name: tuple(classes) for name, classes in json.loads(metadata["heads"]).items()}
        counts = {name: len(classes) for name, classes in self.heads.items()}
        return preset.build_clips(seed, tuple(json.loads(metadata["shape"])), counts)

    def loss(self, model: Graph, splits: Splits) -> Loss:
        if splits.train.t.ndim == 1:
            return ops.cross_entropy_with_grad
        return MultiTaskLoss([HeadTask(n, "cross_entropy", _Column(i)) for i, n in enumerate(self.heads)])

    def augmentation(self, data: str) -> Augmentation | None:
        return None

    def _right(self, model: Graph, splits: Splits) -> dict[str, float]:
        """The share of the test clips that every head has right."""
        test = splits.test
        targets = test.t.reshape(len(test), -1)
        guesses = [head.argmax(1) for head in predict_heads(model, test.x)]
        right = [guess == targets[:, i] for i, guess in enumerate(guesses)]
        rates = {name: float(each.mean()) for name, each in zip(self.heads, right, strict=True)}
        return rates if len(right) == 1 else {**rates, "both": float(np.logical_and.reduce(right).mean())}

    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        rates = self._right(model, splits)
        history.settings.update({f"test_{name}": rate for name, rate in rates.items()})
        names = list(self.heads.values())
        shown = [
            ", ".join(classes[label] for classes, label in zip(names, np.atleast_1d(t), strict=True))
            for t in splits.test.t[:6]
        ]
        save_pictures(
            out, {"loss.png": viz.loss_curves(history), "clips.png": viz.film_strips(splits.test.x[:6], shown)}
        )
        said = ", ".join(f"{name} {rate:.2%}" for name, rate in rates.items())
        return f"right: {said}, of {len(splits.test):,} clips it never saw"

    def evaluate(self, model: Graph, splits: Splits) -> str:
        return ", ".join(f"{name} {rate:.2%}" for name, rate in self._right(model, splits).items()) + " right"

    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        colours, frames, height, width = json.loads(metadata["shape"])
        clip = read_clip(image, frames, (height, width))
        seen = clip.mean(0, keepdims=True) if colours == 1 else clip
        for (name, classes), logits in zip(self.heads.items(), predict_heads(model, seen[None]), strict=True):
            probabilities = ops.softmax(logits, 1)[0]
            print(f"{name}:")
            for guess in np.argsort(-probabilities, kind="stable")[:3]:
                length = round(40 * float(probabilities[guess]))
                print(f"  {classes[guess]:12} {probabilities[guess]:7.2%}  {bar() * length}".rstrip())
        save_picture(out, viz.film_strips(seen[None], [image.name]))
        print(f"the frames that it saw are in {out.resolve()}")
