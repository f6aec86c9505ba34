"""Saved weights and checkpoints: whatever the memory layout and dtype, and only what belongs together goes on."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import data, nn, train
from support.small_training import blobs, small_model


def fit(path: Path | None, model: nn.Graph | None = None, **options: Any) -> train.History:
    chosen = {"optimizer": nn.SGD(0.1), "epochs": 2, "batch_size": 50, "progress": False, **options}
    return train.fit(small_model() if model is None else model, data.split(blobs()), checkpoint=path, **chosen)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda w: w.T.copy().T, lambda w: w[::-1].copy()[::-1]])
def test_weights_of_any_layout_are_saved_as_they_are(layout: Any, tmp_path: Path) -> None:
    model = nn.Sequential((2,), nn.Linear(2, 3))
    weight = np.float32([[0, 1], [2, 3], [4, 5]])
    model.layers["linear1"].parameters["weight"] = layout(weight)
    nn.save_state(model, tmp_path / "weights.safetensors")
    other = nn.Sequential((2,), nn.Linear(2, 3))
    nn.load_state(other, tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(other.parameters["linear1.weight"], weight)


@pytest.mark.parametrize("layout", [np.asfortranarray])
def test_so_are_the_states_of_training(layout: Any, tmp_path: Path) -> None:
    whole = small_model()
    fit(None, whole, optimizer=nn.Adam(0.01), epochs=4)
    optimizer, model = nn.Adam(0.01), small_model()
    fit(tmp_path / "c", model, optimizer=optimizer, epochs=2)
    for states in optimizer.state.values():
        for name, value in states.items():
            states[name] = layout(value)
    resumed = small_model()
    fit(tmp_path / "c", resumed, optimizer=nn.Adam(0.01), epochs=4)
    for name, value in whole.parameters.items():
        np.testing.assert_array_equal(value, resumed.parameters[name])


def test_weights_of_16_bits_are_widened(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    weight, bias = torch.tensor(normal(3, 2)), torch.tensor(normal(3, seed=1))
    for dtype in (torch.float16, torch.bfloat16):
        path = tmp_path / "weights.safetensors"
        save_file({"linear1.weight": weight.to(dtype), "linear1.bias": bias}, path)
        model = nn.Sequential((2,), nn.Linear(2, 3))
        nn.load_state(model, path)
        np.testing.assert_array_equal(model.parameters["linear1.weight"], weight.to(dtype).float().numpy())
    for dtype in (torch.float64, torch.int32):
        save_file({"linear1.weight": weight.to(dtype), "linear1.bias": bias}, path)
        with pytest.raises(
            ValueError, match=r"weights\.safetensors: linear1\.weight must be float32, .*, got [FI]\d\d"
        ):
            nn.load_state(model, path)


def test_files_have_the_mode_that_files_have(tmp_path: Path) -> None:
    fit(tmp_path / "run" / "checkpoint")
    nn.save_state(small_model(), tmp_path / "weights")
    (tmp_path / "other").write_text("")
    expected = stat.S_IMODE((tmp_path / "other").stat().st_mode)
    for path in (tmp_path / "run" / "checkpoint", tmp_path / "weights"):
        assert stat.S_IMODE(path.stat().st_mode) == expected


def test_numpy_numbers_are_numbers(tmp_path: Path) -> None:
    optimizer = nn.Adam(np.float32(0.01), betas=np.float32([0.9, 0.99]), eps=np.array(1e-8), clip_norm=np.float64(3))
    history = fit(
        tmp_path / "c",
        optimizer=optimizer,
        batch_size=np.int64(50),
        epochs=np.int32(2),
        seed=np.uint8(7),
        patience=np.int16(2),
        schedule=lambda epoch: np.float32(0.01) / epoch,
    )
    history.save(tmp_path / "history.json")
    settings = json.loads((tmp_path / "history.json").read_text())["settings"]
    assert settings["seed"] == 7
    assert settings["betas"] == pytest.approx([0.9, 0.99])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 8}, "seed 0, not 8"),
        ({"batch_size": 20}, "batch_size 50, not 20"),
        ({"loss": "focal"}, "loss 'cross_entropy', not 'focal_loss'"),
        ({"optimizer": nn.SGD(0.1, weight_decay=0.1)}, "weight_decay 0.0, not 0.1"),
        ({"optimizer": nn.Adam(0.1)}, "training used SGD, not Adam"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_checkpoint_goes_on_with_the_settings_it_has(change: Any, message: str, tmp_path: Path) -> None:
    fit(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "c", **{"epochs": 3, **change})
    assert (tmp_path / "c").read_bytes() == before


def test_nothing_left_to_do_is_said(tmp_path: Path) -> None:
    fit(tmp_path / "c")
    with pytest.warns(UserWarning, match="has 2 epochs already, and epochs is 2: nothing is left to do"):
        fit(tmp_path / "c")
    with pytest.warns(UserWarning, match="nothing is left"):
        assert len(fit(tmp_path / "c", epochs=1).epochs) == 2


def test_early_stopping_goes_on_with_more_patience(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimizer": nn.SGD(0.0), "epochs": 9}  # the first epoch stays the best
    assert len(fit(tmp_path / "c", patience=2, **options).epochs) == 3
    with pytest.warns(
        UserWarning, match="stopped early, 2 epochs after the best one.*patience 2; a larger one goes on"
    ):
        assert len(fit(tmp_path / "c", patience=2, **options).epochs) == 3
    history = fit(tmp_path / "c", patience=4, **options)
    assert len(history.epochs) == 5
    assert history.settings["patience"] == 4
    assert len(fit(tmp_path / "c", **options).epochs) == 9


class Losses:
    """A loss whose validation values are given; training sees ordinary ones."""

    def __init__(self, *validation: float) -> None:
        self.values = list(validation)

    def __call__(self, y: Any, t: Any) -> tuple[float, Any]:
        if len(t) == 48:  # the validation part of the blobs
            return self.values.pop(0), y
        return 1.0, np.zeros_like(y)


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    nan = float("nan")
    assert fit(None, loss=Losses(nan, 3.0, 2.0, nan), epochs=4).best_epoch == 3
    assert fit(None, loss=Losses(nan, nan), epochs=2).best_epoch is None
    fit(tmp_path / "c", loss=Losses(nan, 3.0), epochs=2)
    assert fit(tmp_path / "c", loss=Losses(4.0, nan), epochs=4).best_epoch == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_noticed_before_training(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        fit(tmp_path / "c")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fit(tmp_path / "file" / "c")
