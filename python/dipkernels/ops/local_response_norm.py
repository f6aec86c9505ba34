"""Local response normalisation across the channels, AlexNet's, and its gradient.

Common parameters: `x` float32 (N, C, …), with any number of axes after the channels; `size` the number of channels in
a window, `alpha` and `beta` at least 0, `k` above 0. TypeError for other dtypes, ValueError for numbers out of range.
"""

from __future__ import annotations

from dipkernels.ops.backend import FloatArray, backend_of

__all__ = ["local_response_norm", "local_response_norm_backward"]


def local_response_norm(
    x: FloatArray,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """y_c = x_c / (k + alpha/size·Σ x_i²)^beta, the sum over the channels i from c − size//2 to c + (size − 1)//2.

    As PyTorch divides `alpha` by `size`, so does this; the paper does not, and has α = 10⁻⁴ with a size of 5, here
    alpha=5e-4, with beta=0.75, k=2. Source: Krizhevsky, Sutskever, Hinton 2012, section 3.3.

    >>> local_response_norm(np.float32([[3, 4]]), 3, alpha=3, beta=0.5, k=11).round(4)
    array([[0.5   , 0.6667]], dtype=float32)
    """
    return backend_of("local_response_norm", x).local_response_norm(x, size, alpha, beta, k, out)


def local_response_norm_backward(
    dy: FloatArray,
    x: FloatArray,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """dx: the gradient of ⟨dy, local_response_norm(x)⟩; dy as x.

    dy, x and dx float32 (N, C, …); the other parameters, and the errors, are those of `local_response_norm`. Source:
    Krizhevsky, Sutskever, Hinton 2012.

    >>> local_response_norm_backward(np.float32([[1]]), np.float32([[2]]), 1, alpha=1, beta=1, k=1)
    array([[-0.12]], dtype=float32)
    """
    module = backend_of("local_response_norm_backward", dy, x)
    return module.local_response_norm_backward(dy, x, size, alpha, beta, k, out)
