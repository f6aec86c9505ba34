"""Local response normalisation as a layer."""

from __future__ import annotations

from dipkernels import ops
from dipkernels.arguments import integer, limited
from dipkernels.nn.layer import Layer, Shape
from dipkernels.ops.backend import FloatArray


class LocalResponseNorm(Layer):
    """Every x divided by a power of the squares around it in the neighbouring channels: `ops.local_response_norm`.

    The defaults are PyTorch's; AlexNet has size 5, alpha 5·10⁻⁴ (its α times the size), beta 0.75 and k 2.
    """

    _remembered = ("_x",)

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        op = "LocalResponseNorm"
        self.size = integer(op, "size", size, 1)
        self.alpha, self.beta, self.k = limited(op, "alpha", alpha), limited(op, "beta", beta), limited(op, "k", k)
        if self.k == 0:
            raise ValueError(f"{op}: k must be above 0, got {k}")
        self._x: FloatArray | None = None

    def forward(self, *inputs: FloatArray, training: bool = False) -> FloatArray:
        (self._x,) = inputs
        return ops.local_response_norm(self._x, self.size, self.alpha, self.beta, self.k)

    def backward(self, dy: FloatArray, *, input_gradient: bool = True) -> tuple[FloatArray | None, ...]:
        x = self._saved(self._x)
        return (ops.local_response_norm_backward(dy, x, self.size, self.alpha, self.beta, self.k),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]
