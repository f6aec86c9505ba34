"""What every layer has."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dipkernels.nn.initializers import INITIALIZERS
from dipkernels.ops.backend import FloatArray, assign

if TYPE_CHECKING:
    from dipkernels._cuda import DeviceArray

Shape: TypeAlias = tuple[int, ...]


class Layer:
    """A step of a network: `forward` computes y, `backward` takes dy and returns one gradient for each input.

    A layer remembers what its last `forward` needs for `backward`; `parameters` and `gradients` have the same names,
    and `backward` overwrites the gradients; `buffers` are what it learns otherwise, such as averages. Subclasses
    implement `forward`, `backward` and `output_shape`.
    """

    _remembered: tuple[str, ...] = ()
    """The attributes in which `forward` keeps arrays for `backward`."""

    reads: tuple[Layer, ...] = ()
    """Layers besides the predecessors whose last `forward` this one reads; a graph computes them first."""

    def __init__(self) -> None:
        self.parameters: dict[str, FloatArray] = {}
        self.gradients: dict[str, FloatArray] = {}
        self.buffers: dict[str, FloatArray] = {}

    def __call__(self, *inputs: FloatArray) -> FloatArray:
        """`forward`."""
        return self.forward(*inputs)

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        """y from the inputs (batch first). `training` is True for layers that act otherwise then, like dropout."""
        raise NotImplementedError

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        """Sets `gradients`, and returns dx of every input, or None where `input_gradient` is False and dx is costly."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drops what the last `forward` kept, so that the next one can have its memory."""
        for name in self._remembered:
            setattr(self, name, None)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of y without the batch axis, from those of the inputs; ValueError where they do not fit."""
        raise NotImplementedError

    def receptive_field(self, sizes: Sequence[int], jumps: Sequence[int]) -> tuple[list[int], list[int]]:
        """From what one input element sees of the network's input, [height, width], what one output element sees; of
        clips [depth, height, width].

        `jumps` are how many elements of the network's input lie between neighbours. Layers that look at one position
        return both unchanged.
        """
        return list(sizes), list(jumps)

    def fans(self) -> tuple[int, int]:
        """The numbers of inputs and of outputs of one neuron, as initialisers take them."""
        raise NotImplementedError

    def initialize(self, rng: np.random.Generator, initializer: str = "he_normal") -> None:
        """Draws the weights from `INITIALIZERS[initializer]` and sets the biases to zero."""
        if initializer not in INITIALIZERS:
            raise ValueError(f"initializer must be one of {', '.join(INITIALIZERS)}, got {initializer!r}")
        for name, values in self.parameters.items():
            if name == "bias":
                assign(values, np.zeros(values.shape, np.float32))
            else:
                assign(values, INITIALIZERS[initializer](rng, values.shape, *self.fans()))

    def place(self, number: int) -> None:
        """Called by a graph with the number of the node that this layer is, from 1."""

    def twin(self) -> Layer:
        """A layer with the same weights, whose `forward` and `backward` do not disturb this one's."""
        other = copy.copy(self)
        other.gradients = {}
        return other

    can_be_captured = True
    """Whether `forward` and `backward` may be recorded once on the GPU and replayed: what changes from step to step
    they must read from arrays there, as the counter of `begin_capture` is."""

    def begin_capture(self, steps: int, counter: DeviceArray) -> None:
        """From now on training steps are replayed: `counter`, an int64 on the GPU, is `steps` + 1 and counts them."""

    def replayed(self, steps: int) -> None:
        """Steps were replayed up to this number."""

    def end_capture(self) -> None:
        """No step is replayed any more."""

    def counters(self) -> dict[str, int]:
        """What else must be saved to go on exactly where training stopped."""
        return {}

    def set_counters(self, counters: dict[str, int]) -> None:
        """Takes back what `counters` gave."""

    def _saved(self, value: Any) -> Any:
        if value is None:
            raise RuntimeError(f"{type(self).__name__}: backward needs a forward first")
        return value
