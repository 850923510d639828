"""Large matrix products by oneDNN, which is part of torch, on processors where it is faster.

torch multiplies matrices in single precision by MKL, which uses AVX-512 only on Intel processors.
oneDNN uses it on all processors. That halves the time on processors with units of 512 bits, those
of AMD since Zen 5. On processors that split such instructions in two (Zen 4) or lack them, oneDNN
is no faster, and slower for gradients of weights. Small products are left to MKL, as oneDNN takes
some microseconds to start.

The two libraries round differently, so the choice affects the last bits of a fit. It depends only
on the processor. A choice by measured times could differ between processes, and equal seeds would
no longer give equal models.
"""

import functools
import itertools
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from skae.modules._recording import is_recording

# Products with at least this number of multiplications are large: worth oneDNN and several threads.
LARGE_PRODUCT = 2**22
# Family number of AMD processors since Zen 5.
_WIDE_FAMILY = 26
_PROCESSOR_FILE = Path("/proc/cpuinfo")


@functools.cache
def prefers_onednn() -> bool:
    """Return whether oneDNN is available and faster than MKL on this processor."""
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and _find_amd_family() >= _WIDE_FAMILY
        and has_onednn()
    )


def _find_amd_family() -> int:
    """Return the family of an AMD processor, or 0 for other processors or without Linux."""
    try:
        with _PROCESSOR_FILE.open() as file:
            # An empty line ends the entry of the first core.
            pairs = [line.partition(":") for line in itertools.takewhile(str.strip, file)]
        facts = {name.strip(): value.strip() for name, _, value in pairs}
        return int(facts["cpu family"]) if facts["vendor_id"] == "AuthenticAMD" else 0
    except (OSError, KeyError, ValueError):
        return 0


@functools.cache
def has_onednn() -> bool:
    """Return whether this build of torch has the product, whose name is private."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        eye = torch.eye(2, dtype=torch.float32, device="cpu")
        return bool((_multiply(eye, eye) == eye).all())
    except (AttributeError, RuntimeError, TypeError):
        return False


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], None)


def is_large_product(n_products: int, like: Tensor) -> bool:
    """Return whether to use `multiply_large` for a number of multiplications.

    `like` is one of the factors, which must be in single precision and on the CPU. The product must
    be large, and oneDNN available and faster.
    """
    return (
        prefers_onednn()
        and n_products >= LARGE_PRODUCT
        and like.dtype == torch.float32
        and like.device.type == "cpu"
    )


class _LargeProduct(torch.autograd.Function):
    """`multiply_large` with its derivatives, which are products of the same kind."""

    @staticmethod
    def forward(ctx, left, right, bias):
        """Multiply."""
        ctx.save_for_backward(left, right)
        return _multiply(left, right, bias)

    @staticmethod
    def backward(ctx, *gradients):
        """Return the gradients by the inputs."""
        (gradient,), (left, right) = gradients, ctx.saved_tensors
        by_left, by_right, by_bias = ctx.needs_input_grad
        return (
            multiply_large(gradient, right.T) if by_left else None,
            multiply_large(gradient.T, left.T) if by_right else None,
            gradient.sum(0) if by_bias else None,
        )


def multiply_large(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``left @ right.T + bias`` by oneDNN, differentiable any number of times."""
    factors = left, right, bias
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in factors):
        return _LargeProduct.apply(*factors)
    return _multiply(*factors)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``inputs @ weight.T + bias`` like torch, but by oneDNN if the product is large."""
    if (
        not is_recording()
        and inputs.ndim == 2
        and is_large_product(len(inputs) * weight.numel(), inputs)
        and not torch.is_autocast_enabled("cpu")
    ):
        return multiply_large(inputs, weight, bias)
    return F.linear(inputs, weight, bias)
