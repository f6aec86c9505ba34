"""Registration: which affine map brings one image onto another."""

from __future__ import annotations

from typing import Any

import numpy as np

from dipkernels import cuda, ops
from dipkernels.arguments import integer
from dipkernels.checks import array, checked, shape, whole
from dipkernels.nn.activation import Activation
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.graph import Sequential
from dipkernels.nn.linear import Linear
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.nn.reshape import Flatten, Pad2d
from dipkernels.ops.backend import FloatArray
from dipkernels.train.evaluation import outputs_on_host


class RegistrationNet(Sequential):
    """Sees two images of one kind, the one to be moved and the one that stays, (2·C, H, W), and gives the six numbers
    of an affine map that brings the first onto the second, as `ops.affine_flow` takes them, less the identity.

    It learns without being told any map: `loss` warps the first image by what the network says, and compares it with
    the second. The derivative goes through the warp. Network and loss see the images without a `margin` all around,
    from which comes what the warp brings in: an edge that moved with the image would be taken for a hint. `input_shape`
    is (C, H, W) of one image.

    Source: lecture, registration; Jaderberg et al. 2015; Balakrishnan et al. 2019, "VoxelMorph".
    """

    @checked(input_shape=shape("CHW"), margin=whole(), width=whole(1))
    def __init__(
        self, input_shape: tuple[int, int, int] = (1, 96, 96), *, margin: int = 16, width: int = 16, seed: int = 0
    ) -> None:
        colours, rows, columns = input_shape
        self.margin = integer("RegistrationNet", "margin", margin, 0)
        layers: dict[str, Any] = {"middle": Pad2d(-margin)}
        depth, size = 2 * colours, (rows - 2 * margin, columns - 2 * margin)
        if min(size) < 16:
            raise ValueError(f"RegistrationNet: margin must leave at least 16 × 16 of {rows} × {columns}, got {margin}")
        for i, filters in enumerate((width, 2 * width, 4 * width, 4 * width), 1):
            layers[f"conv{i}"] = Conv2d(depth, filters, 3, padding=1, bias=False)
            layers[f"norm{i}"] = BatchNorm(filters, activation="relu")
            layers[f"pool{i}"] = MaxPool2d(2, rounding="floor")
            depth, size = filters, (size[0] // 2, size[1] // 2)
        layers["flat"] = Flatten()
        layers["hidden"] = Linear(depth * size[0] * size[1], 64)
        layers["bend"] = Activation("tanh")
        layers["map"] = Linear(64, 6)
        super().__init__((2 * colours, rows, columns), layers, seed=seed)
        for name in ("map.weight", "map.bias"):  # it begins with the identity
            self.parameters[name][...] = 0
        # A number of A moves a corner by half the image's size times as far as one of b.
        self._scale = np.array([[0.1, 0.1, 2.0], [0.1, 0.1, 2.0]], np.float32)

    def matrices(self, outputs: FloatArray) -> FloatArray:
        """The maps (N, 2, 3) that the network's outputs (N, 6) stand for."""
        return np.eye(2, 3, dtype=np.float32) + self._scale * outputs.reshape(-1, 2, 3)

    @property
    def loss(self) -> RegistrationLoss:
        """What `train.fit` takes; targets are the pairs of images themselves, (N, 2·C, H, W)."""
        return RegistrationLoss(self)

    def align(self, pairs: FloatArray, times: int = 3) -> FloatArray:
        """The maps (N, 2, 3) for pairs (N, 2·C, H, W). The network looks so many times, each time at what the map that
        it has found so far makes of the first image.
        """
        moving, fixed = np.split(pairs, 2, axis=1)
        found = np.broadcast_to(np.eye(2, 3, dtype=np.float32), (len(pairs), 2, 3)).copy()
        for _ in range(times):
            warped = ops.warp(np.ascontiguousarray(moving), ops.affine_flow(found, moving.shape[2:]))
            more = self.matrices(outputs_on_host(self, np.concatenate([warped, fixed], 1)))
            found = compose(found, more)
        return found


@checked(first=array("N23"), second=array("N23"))
def compose(first: FloatArray, second: FloatArray) -> FloatArray:
    """The map (N, 2, 3) that warps as by `first` and what comes out as by `second`: p → A₁·(A₂·p + b₂) + b₁.

    >>> compose(np.float32([[[2, 0, 1], [0, 1, 0]]]), np.float32([[[1, 0, 3], [0, 1, 0]]]))[0, 0]
    array([2., 0., 7.], dtype=float32)
    """
    linear = first[:, :, :2] @ second[:, :, :2]
    shift = first[:, :, :2] @ second[:, :, 2:] + first[:, :, 2:]
    return np.concatenate([linear, shift], 2)


@checked(found=array("N23"), true=array("N23"), size=shape("HW"))
def corner_error(found: FloatArray, true: FloatArray, size: tuple[int, int]) -> Any:
    """By how many elements, in the mean over the corners of an image of (height, width), `found` undoes `true` wrongly:
    (N,). Both are maps (N, 2, 3); an image warped by `true` and then by the right `found` is what it was.
    """
    both = compose(true, found)
    height, width = size
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = np.array([[-x, -y, 1], [x, -y, 1], [-x, y, 1], [x, y, 1]], np.float64).T
    return np.sqrt(((both @ corners - corners[:2]) ** 2).sum(1)).mean(1)


class RegistrationLoss:
    """½ the mean squared difference of the warped and the fixed image, without the margin."""

    can_be_captured = False  # the six numbers are put into a map on the host

    def __init__(self, model: RegistrationNet) -> None:
        self.model = model

    def __call__(self, outputs: Any, t: Any) -> tuple[float, Any]:
        """The loss, and the gradient of the outputs (N, 6)."""
        on_host = isinstance(outputs, np.ndarray)
        numbers, pairs = (each if isinstance(each, np.ndarray) else each.to_host() for each in (outputs, t))
        moving, fixed = (np.ascontiguousarray(each) for each in np.split(pairs, 2, axis=1))
        flow = ops.affine_flow(self.model.matrices(numbers), moving.shape[2:])
        warped = ops.warp(moving, flow)
        margin = self.model.margin
        middle = np.zeros((1, 1, *moving.shape[2:]), np.float32)
        middle[:, :, margin : moving.shape[2] - margin, margin : moving.shape[3] - margin] = 1
        difference = middle * (warped - fixed)
        count = np.float32(max(middle.sum() * moving.shape[0] * moving.shape[1], 1))
        _, dflow = ops.warp_backward(difference / count, moving, flow)
        gradient = (ops.affine_flow_backward(dflow) * self.model._scale).reshape(-1, 6)
        value = float(np.square(difference, dtype=np.float64).sum() / 2 / count)
        return value, gradient if on_host else cuda.to_device(gradient)
