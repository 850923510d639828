"""Large products of matrices by oneDNN, which torch has on board for its convolutions.

torch multiplies matrices in single precision by MKL, which on other processors than Intel's leaves
their widest instructions unused: there oneDNN takes half the time. Small products are MKL's, since
oneDNN takes some microseconds to start.
"""

import functools
import platform

import torch
from torch import Tensor
from torch.nn import functional as F

# From so many multiplications on a product is large: it is worth oneDNN, and several threads.
LARGE_PRODUCT = 2**22
_MEASURED_ON = ("x86_64", "amd64")


@functools.cache
def _has_onednn() -> bool:
    """Tell whether this build of torch offers the product; its name is a private one."""
    if platform.machine().lower() not in _MEASURED_ON or not torch.backends.mkldnn.is_available():
        return False
    try:
        eye = torch.eye(2, dtype=torch.float32, device="cpu")
        return bool((_multiply(eye, eye) == eye).all())
    except (AttributeError, RuntimeError, TypeError):
        return False


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], None)


def is_large_product(n_products: int, like: Tensor) -> bool:
    """Tell whether `multiply_large` is the way for products of this size.

    Parameters
    ----------
    n_products : int
        Number of multiplications.
    like : Tensor
        One of the factors, of whose type and device the other is.

    Returns
    -------
    is_large : bool
        Whether it is large, of single precision, on the CPU, and oneDNN is at hand.
    """
    return (
        n_products >= LARGE_PRODUCT
        and like.dtype == torch.float32
        and like.device.type == "cpu"
        and _has_onednn()
    )


class _LargeProduct(torch.autograd.Function):
    """`multiply_large` with its derivatives, which are such products again."""

    @staticmethod
    def forward(ctx, left, right, bias):
        """Multiply."""
        ctx.save_for_backward(left, right)
        return _multiply(left, right, bias)

    @staticmethod
    def backward(ctx, *gradients):
        """Return the gradients by what is differentiated."""
        (gradient,), (left, right) = gradients, ctx.saved_tensors
        by_left, by_right, by_bias = ctx.needs_input_grad
        return (
            multiply_large(gradient, right.T) if by_left else None,
            multiply_large(gradient.T, left.T) if by_right else None,
            gradient.sum(0) if by_bias else None,
        )


def multiply_large(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``left @ right.T + bias`` by oneDNN.

    Parameters
    ----------
    left : Tensor of shape (n, k)
        Rows of any strides.
    right : Tensor of shape (m, k)
        Rows of any strides.
    bias : Tensor of shape (m,), default=None
        What is added to each row.

    Returns
    -------
    product : Tensor of shape (n, m)
        Differentiable, as often as one likes.
    """
    factors = left, right, bias
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in factors):
        return _LargeProduct.apply(*factors)
    return _multiply(*factors)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``inputs @ weight.T + bias`` as `torch.nn.functional.linear` does.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_in)
        One row a sample.
    weight : Tensor of shape (n_out, n_in)
        Weights.
    bias : Tensor of shape (n_out,), default=None
        What is added to each row.

    Returns
    -------
    outputs : Tensor of shape (n_samples, n_out)
        The product, by oneDNN where it is large.
    """
    if (
        inputs.ndim == 2
        and is_large_product(len(inputs) * weight.numel(), inputs)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    ):
        return multiply_large(inputs, weight, bias)
    return F.linear(inputs, weight, bias)
