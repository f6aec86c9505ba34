"""Networks written as ONNX files, run by onnxruntime on the same inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.case import normal
from dipkernels import models, nn
from dipkernels.detection import RetinaNet

onnxruntime = pytest.importorskip("onnxruntime", reason="asks onnxruntime")
pytest.importorskip("onnx", reason="asks onnx")

LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "conv": ((3, 9, 11), lambda: nn.Conv2d(3, 4, 3, activation="relu")),
    "conv_asymmetric": ((4, 9, 12), lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), ((2, 0), (1, 3)), (1, 2), 2)),
    "conv_same": ((2, 8, 7), lambda: nn.Conv2d(2, 3, (3, 4), 2, "same", bias=False, activation=("leaky_relu", 0.2))),
    "conv_floor": ((2, 8, 8), lambda: nn.Conv2d(2, 3, 3, 2, rounding="floor", activation="tanh")),
    "conv_transpose": ((4, 5, 6), lambda: nn.ConvTranspose2d(4, 6, (3, 4), (2, 3), ((1, 0), (0, 1)), (1, 2), 2)),
    "conv_transpose_dilated": ((2, 5, 6), lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, dilation=2, activation="elu")),
    "linear": ((7,), lambda: nn.Linear(7, 5, activation="sigmoid")),
    "linear_of_rows": ((3, 7), lambda: nn.Linear(7, 5, activation=("elu", 0.5))),
    "linear_of_rows_without_bias": ((3, 7), lambda: nn.Linear(7, 5, bias=False)),
    "batch_norm": ((3, 4, 5), lambda: nn.BatchNorm(3, eps=0.01, activation="relu")),
    "local_response_norm": ((7, 4, 5), lambda: nn.LocalResponseNorm(5, 0.3, 0.75, 2.0)),
    "max_pool": ((3, 8, 8), lambda: nn.MaxPool2d(2)),
    "max_pool_padded": ((3, 9, 10), lambda: nn.MaxPool2d((3, 2), 2, ((1, 0), (0, 0)), "floor", dilation=(1, 2))),
    "max_pool_ceil": ((3, 8, 9), lambda: nn.MaxPool2d(3, 2, rounding="ceil")),
    "max_pool_same": ((3, 8, 9), lambda: nn.MaxPool2d(3, 2, "same")),
    "avg_pool": ((3, 8, 9), lambda: nn.AvgPool2d(3, 2, 1, "floor")),
    "avg_pool_without_padding": ((3, 8, 9), lambda: nn.AvgPool2d(3, 2, 1, "floor", count_include_pad=False)),
    "sum_pool": ((3, 8, 9), lambda: nn.SumPool2d((2, 3))),
    "l2_pool": ((3, 8, 9), lambda: nn.L2Pool2d(3, 1, 1)),
    "global_avg_pool": ((3, 8, 9), nn.GlobalAvgPool2d),
    "conv3d": (
        (2, 5, 6, 7),
        lambda: nn.Conv3d(2, 3, (2, 3, 3), (1, 2, 1), ((1, 0), (1, 2), (0, 1))),
    ),
    "max_pool3d": ((2, 5, 6, 7), lambda: nn.MaxPool3d((2, 3, 2), (1, 2, 2), (1, 0, 0), "floor")),
    "avg_pool3d": ((2, 4, 6, 8), lambda: nn.AvgPool3d((2, 3, 2), count_include_pad=False)),
    "global_avg_pool3d": ((2, 4, 6, 8), nn.GlobalAvgPool3d),
    "frame": ((2, 4, 6, 8), lambda: nn.Frame(-2)),
    "flatten": ((3, 4, 5), nn.Flatten),
    "dropout": ((3, 4, 5), lambda: nn.Dropout(0.5)),
    "pad": ((3, 4, 5), lambda: nn.Pad2d(((1, -2), (0, 3)))),
    "maxout": ((6, 4, 5), lambda: nn.Maxout(3)),
    "maxout_of_features": ((6,), lambda: nn.Maxout(2)),
    "softmax": ((6, 4), nn.Softmax),
    "step": ((5,), lambda: nn.Activation("step")),
    "nearest": ((2, 4, 5), lambda: nn.UpsampleNearest2d((2, 3))),
    "nearest_to_size": ((2, 4, 5), lambda: nn.UpsampleNearest2d(size=(7, 13))),
    "bilinear": ((2, 4, 5), lambda: nn.UpsampleBilinear2d(2)),
    "bilinear_to_size": ((2, 4, 5), lambda: nn.UpsampleBilinear2d(size=(7, 13))),
    "bed_of_nails": ((2, 4, 5), lambda: nn.BedOfNails2d((2, 3), (1, 2))),
}
# Both programs round float32 sums in orders of their own: some twenty layers, each of which adds less than 2⁻²⁴ times
# the root of its few thousand terms to the largest value.
TOLERANCE = 20 * 2**-24 * 2**6


def disturbed(model: nn.Graph) -> nn.Graph:
    """With biases and averages that are not zero."""
    for number, (name, values) in enumerate(model.state.items()):
        if values.ndim == 1:
            values[...] = np.abs(normal(*values.shape, seed=number)) + 0.5 if "var" in name else 0.1
    return model


def check(model: nn.Graph, folder: Path, batches: tuple[int, ...] = (2, 1)) -> None:
    path = folder / "deep" / "model.onnx"
    nn.export_onnx(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in batches:
        inputs = {name: normal(batch, *shape, seed=batch) for name, shape in model.inputs.items()}
        expected = model.forward(*inputs.values())
        got = session.run(model.outputs, inputs)
        for one, other in zip(expected if isinstance(expected, tuple) else (expected,), got, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE * float(np.abs(one).max()))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, tmp_path: Path) -> None:
    shape, layer = LAYERS[name]
    check(disturbed(nn.Sequential(shape, layer())), tmp_path)


@pytest.mark.parametrize(
    "build",
    [
        models.lenet5,
        models.mlp,
        lambda: models.convnet(input_shape=(1, 32, 32), classes=10),
        lambda: models.alexnet(10),
        lambda: models.segnet(3, (3, 32, 32), channels=(4, 8)),
        lambda: models.fcn(3, (3, 32, 32), channels=(4, 8)),
        lambda: models.dncnn((3, 16, 16)),
        lambda: models.convolutionalize(models.lenet5(), (40, 44)),
        lambda: models.late_fusion(4),
        lambda: models.slow_fusion({"digit": 10, "direction": 8}),
        lambda: RetinaNet(3, (3, 64, 64), channels=(8, 16, 24, 32), levels=2, size=3.0, width=16),
    ],
    ids=[
        "lenet5",
        "mlp",
        "convnet",
        "alexnet",
        "segnet",
        "fcn",
        "dncnn",
        "convolutionalized",
        "late_fusion",
        "slow_fusion",
        "retinanet",
    ],
)
def test_models(build: Callable[[], nn.Graph], tmp_path: Path) -> None:
    check(disturbed(build()), tmp_path, (1,))


def test_several_inputs_and_outputs_and_shared_weights(tmp_path: Path) -> None:
    shared = nn.Linear(4, 3, activation="relu")
    check(
        nn.Graph(
            {"left": (4,), "right": (4,)},
            {
                "a": (shared, ["left"]),
                "b": (shared, ["right"]),
                "both": (nn.Concatenate(), ["a", "b"]),
                "sum": (nn.Add(), ["a", "b", "a"]),
            },
            ["both", "sum"],
        ),
        tmp_path,
    )
    import onnx

    names = [array.name for array in onnx.load(tmp_path / "deep" / "model.onnx").graph.initializer]
    assert names == ["a.weight", "a.bias"]


def test_what_onnx_does_not_have_is_named(tmp_path: Path) -> None:
    class Own(nn.Layer):
        def output_shape(self, *shapes: Any) -> Any:
            return shapes[0]

    for layer, message in [
        (Own(), "node 'own1' is a Own, which has no form in ONNX"),
        (nn.LocalResponseNorm(4), "node 'localresponsenorm1', a LocalResponseNorm: its size is even"),
        (nn.AvgPool2d(3, 2, rounding="ceil"), "node 'avgpool2d1', a AvgPool2d: its last windows reach beyond"),
    ]:
        with pytest.raises(ValueError, match=message):
            nn.export_onnx(nn.Sequential((3, 8, 8), layer), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
