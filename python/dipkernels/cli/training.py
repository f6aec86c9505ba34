"""`dipkernels train`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from dipkernels import nn, ops, viz
from dipkernels.cli.datasets import add_data_argument, load
from dipkernels.cli.presets import PRESETS
from dipkernels.data import AffineAugmentation, Dataset
from dipkernels.nn.graph import Graph
from dipkernels.train import History, evaluate, fit, predict

DEFAULT_EPOCHS = {"digits": 40}
OTHER_EPOCHS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_data_argument(parser)
    parser.add_argument(
        "--epochs", type=int, help=f"default {DEFAULT_EPOCHS['digits']} for digits, else {OTHER_EPOCHS}"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="default 64")
    parser.add_argument("--out", type=Path, help="folder for the results; default runs/MODEL-DATA")
    parser.add_argument("--no-augmentation", action="store_true", help="train on the images as they are")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train; default cpu")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Trains, saves weights, history and pictures, and says how well it did and where everything is."""
    preset = PRESETS[arguments.model]
    assert preset.size is not None
    data_name = Path(arguments.data).name or "data"
    epochs = arguments.epochs or DEFAULT_EPOCHS.get(arguments.data, OTHER_EPOCHS)
    out = arguments.out or Path("runs") / f"{arguments.model}-{data_name}"
    splits = load(arguments.data, preset.size, arguments.seed)
    model = preset.build(arguments.seed)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.safetensors"
    if not arguments.resume:
        checkpoint.unlink(missing_ok=True)
    print(
        f"{arguments.model}, {model.parameter_count:,} weights, on {arguments.data}: {len(splits.train):,} images for "
        f"training, {len(splits.validation):,} for validation, {len(splits.test):,} for the test"
    )
    start = time.perf_counter()
    history = fit(
        model,
        splits.train,
        splits.validation,
        optimizer=nn.Adam(preset.lr),
        epochs=epochs,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        augment=None if arguments.no_augmentation else AffineAugmentation(),
        schedule=preset.schedule(epochs),
        checkpoint=checkpoint,
        device=arguments.device,
    )
    seconds = time.perf_counter() - start
    result = evaluate(model, splits.test)
    history.settings.update(model=arguments.model, data=arguments.data, epochs=epochs)
    history.settings.update(test_loss=result.loss, test_accuracy=result.accuracy, training_seconds=round(seconds, 3))
    metadata = {"model": arguments.model, "data": arguments.data, "seed": str(arguments.seed)}
    nn.save_state(model, out / "weights.safetensors", metadata)
    history.save(out / "history.json")
    _draw(model, splits.test, history, out)
    print(f"\ntest accuracy {result.accuracy:.2%} on {len(splits.test):,} digits it never saw, after {seconds:.1f} s")
    print(f"best epoch {history.best_epoch}; everything is in {out.resolve()}:")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}")


def _draw(model: Graph, test: Dataset, history: History, out: Path) -> None:
    probabilities = ops.softmax(predict(model, test.x), 1)
    pictures = {
        "loss.png": viz.loss_curves(history),
        "confusion.png": viz.confusion_matrix(test.t, probabilities.argmax(1), probabilities.shape[1]),
        "mistakes.png": viz.worst_mistakes(test.x, test.t, probabilities),
    }
    first = next(iter(model.parameters.values()))
    if first.ndim == 4:
        pictures["filters.png"] = viz.first_layer_filters(first)
    for name, figure in pictures.items():
        figure.savefig(out / name, dpi=120)
