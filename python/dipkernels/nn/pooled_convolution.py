"""A convolutional layer and the max pooling after it, trained as one kernel."""

from __future__ import annotations

from dipkernels import cuda, ops
from dipkernels.nn.convolution import Conv2d
from dipkernels.nn.layer import Layer, Shape
from dipkernels.nn.pooling import MaxPool2d
from dipkernels.ops.activation import apply_activation_backward
from dipkernels.ops.backend import FloatArray, IndexArray
from dipkernels.ops.geometry import Rounding


def can_pool(conv: Layer, pool: Layer) -> bool:
    """Whether `PooledConv2d` can do the work of these two."""
    return (
        type(conv) is Conv2d
        and type(pool) is MaxPool2d
        and pool.stride == pool.kernel_size
        and pool.padding in (((0, 0), (0, 0)), "valid")
        and pool.dilation == (1, 1)
        and pool.rounding != "ceil"
    )


class PooledConv2d(Layer):
    """`pool` after `conv`: parameters, gradients and indices stay theirs, the large maps in between are not kept."""

    _remembered = ("_x", "_y", "_indices")

    def __init__(self, conv: Conv2d, pool: MaxPool2d) -> None:
        super().__init__()
        self.conv, self.pool = conv, pool
        # What must be exact was checked when the graph was made; there nothing is left to round.
        self.rounding: Rounding = "floor" if "floor" in (conv.rounding, pool.rounding) else "exact"
        self._x: FloatArray | None = None
        self._y: FloatArray | None = None
        self._indices: IndexArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        conv = self.conv
        (self._x,) = inputs
        self._y, self._indices = ops.conv2d_max_pool2d(
            self._x,
            conv.parameters["weight"],
            conv.parameters.get("bias"),
            *conv.geometry,
            conv.activation,
            self.pool.kernel_size,
            rounding=self.rounding,
        )
        self.pool.indices = self._indices
        shape = self.conv.output_shape(tuple(self._x.shape[1:]))
        self.pool.input_size = shape[1], shape[2]
        return self._y

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        conv = self.conv
        small = apply_activation_backward(dy, self._saved(self._y), conv.activation)
        with cuda.weights_beside():
            dx, dweight, dbias = ops.conv2d_max_pool2d_backward(
                small,
                self._saved(self._indices),
                self._saved(self._x),
                conv.parameters["weight"],
                *conv.geometry,
                self.pool.kernel_size,
                input_gradient=input_gradient,
                rounding=self.rounding,
            )
        conv.gradients["weight"] = dweight
        if "bias" in conv.parameters:
            conv.gradients["bias"] = dbias
        return (dx,)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.pool.output_shape(self.conv.output_shape(*shapes))
