"""What the command must know of a task: its data, its loss, and how to show how well it went."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from dipkernels.cli.presets import Preset, TaskName
from dipkernels.data import Splits
from dipkernels.data.augmentation import Augmentation
from dipkernels.files import whole_file
from dipkernels.nn.graph import Graph
from dipkernels.train.losses import Loss
from dipkernels.train.progress import progress_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dipkernels.train import History


class Task(ABC):
    """One instance serves one command."""

    default_data: str
    """What `--data` is where it is not given."""

    keep: Literal["best", "last"] = "best"
    """As `train.fit` takes it."""

    @abstractmethod
    def epochs(self, data: str) -> int:
        """How many on that data set, where nothing is said."""

    @abstractmethod
    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        """The splits of that data set. FileNotFoundError for a folder that is not there."""

    @abstractmethod
    def build(self, preset: Preset, seed: int, metadata: dict[str, str]) -> Graph:
        """The model for what `metadata` says of the data."""

    @abstractmethod
    def metadata(self, splits: Splits) -> dict[str, str]:
        """What must be known of the data set to build the model again and to use it."""

    @abstractmethod
    def loss(self, model: Graph, splits: Splits) -> Loss:
        """What is made small."""

    @abstractmethod
    def augmentation(self, data: str) -> Augmentation | None:
        """What makes more of the training images of that data set."""

    @abstractmethod
    def finish(self, model: Graph, splits: Splits, history: History, out: Path) -> str:
        """Scores the trained model on the test split, adds the scores to `history.settings`, leaves pictures in `out`,
        and says in a few words how good it is.
        """

    @abstractmethod
    def evaluate(self, model: Graph, splits: Splits) -> str:
        """The scores on the test split, in a line or a table."""

    @abstractmethod
    def predict(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:
        """Prints what the model sees in an image, and for photographs leaves a picture of it in `out`."""

    def show(self, model: Graph, metadata: dict[str, str], image: Path, out: Path) -> None:  # noqa: B027 - seldom more
        """Leaves a picture of what the model got of an image and made of it in `out`, where `predict` does not."""


class PhotographTask(Task):
    """A task on photographs, or on scenes, with classes that have names; data and weights say which, and how large the
    images are.
    """

    names: tuple[str, ...] = ()

    # The validation images of these data sets are few and alike, and the loss says little of the scores.
    keep: Literal["best", "last"] = "last"

    def build(self, preset: Preset, seed: int, metadata: dict[str, str]) -> Graph:
        self.names = tuple(json.loads(metadata["classes"]))
        colours, height, width = json.loads(metadata["shape"])
        return preset.build(seed, (colours, height, width), len(self.names))

    def metadata(self, splits: Splits) -> dict[str, str]:
        return {"classes": json.dumps(self.names), "shape": json.dumps(splits.train.x.shape[1:])}

    @staticmethod
    def check_validation(data: str, validation: int | None) -> None:
        """ValueError where the command wants other images to judge the epochs."""
        if validation is not None:
            raise ValueError(f"--validation is for digits; {data} has validation images of its own")

    @staticmethod
    def say_left_out(problems: Sequence[str]) -> None:
        """A line for each of the first three things that were wrong with the data."""
        for problem in problems[:3]:
            print(f"left out: {problem}")
        if len(problems) > 3:
            print(f"left out: {len(problems) - 3} more")


class SceneTask(PhotographTask):
    """A task that has only what the program draws."""

    default_data = "scenes"

    @abstractmethod
    def scenes(self, preset: Preset, seed: int) -> Splits:
        """The splits."""

    def load(self, data: str, preset: Preset, seed: int, validation: int | None) -> Splits:
        self.check_validation(data, validation)
        if data != "scenes":
            raise ValueError(f"--data must be scenes for this model, got {data!r}")
        return self.scenes(preset, seed)

    def augmentation(self, data: str) -> Augmentation | None:
        return None


def task_of(name: TaskName) -> Task:
    """The task of that name."""
    from dipkernels.cli.alignment import Alignment
    from dipkernels.cli.boxes import Boxes
    from dipkernels.cli.clips import Clips
    from dipkernels.cli.denoising import Denoising
    from dipkernels.cli.digits import Digits
    from dipkernels.cli.images import Images
    from dipkernels.cli.instances import InstanceMasks
    from dipkernels.cli.masks import Masks

    tasks: dict[TaskName, type[Task]] = {
        "digits": Digits,
        "images": Images,
        "masks": Masks,
        "boxes": Boxes,
        "instances": InstanceMasks,
        "noise": Denoising,
        "pairs": Alignment,
        "clips": Clips,
    }
    return tasks[name]()


def in_batches(find: Callable[[npt.NDArray[Any]], list[Any]], x: npt.NDArray[Any], size: int = 8) -> list[Any]:
    """What `find` gives for every image, some of them at a time, under a progress bar."""
    found: list[Any] = []
    with progress_bar(None, len(x), what="finding") as bar_of_images:
        for i in range(0, len(x), size):
            found += find(x[i : i + size])
            bar_of_images.update(len(found) - i)
    return found


def save_pictures(out: Path, pictures: dict[str, Figure]) -> None:
    """Writes each figure to the PNG of its name."""
    for name, figure in pictures.items():
        save_picture(out / name, figure)


def save_picture(path: Path, figure: Figure) -> None:
    """Writes a figure as a PNG, whole or not at all."""
    with whole_file(path) as file:
        figure.savefig(file, dpi=120, format="png")


def of_test(splits: Splits, data: Any) -> None:
    """ValueError where there is nothing to be judged by."""
    if not len(splits.test):
        raise ValueError(f"{data} has no images for the test; training needs some to be judged by")


def bar() -> str:
    """What bars are made of, as far as the terminal has characters."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
