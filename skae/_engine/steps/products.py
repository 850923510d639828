"""Matrix products of the dense step: of many networks at once, or large ones of one network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skae.modules._products import is_large_product, multiply_large


class BatchedProducts:
    """Products of m pairs of matrices, `left` (m, n, k) and `right` (m, k, l).

    Results may be written to `out` (m, n, l).
    """

    @staticmethod
    def multiply(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the products."""
        return torch.bmm(left, right, out=out)

    @staticmethod
    def multiply_add(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """Return the products with a bias (m, 1, l) added to each row."""
        return torch.baddbmm(bias, left, right, out=out)

    @staticmethod
    def store(left: Tensor, right: Tensor, target: Tensor) -> None:
        """Write the products to `target`."""
        torch.bmm(left, right, out=target)

    @staticmethod
    def add_(target: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Add the products to `target` in place, and return it."""
        return target.baddbmm_(left, right)


class LargeProducts(BatchedProducts):
    """Product of one pair of large matrices by a library that is faster for them."""

    @staticmethod
    def multiply(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the product."""
        return multiply_large(left[0], right[0].T)[None]

    @staticmethod
    def multiply_add(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """Return the product with a bias (1, 1, l) added to each row."""
        return multiply_large(left[0], right[0].T, bias[0, 0])[None]

    @staticmethod
    def store(left: Tensor, right: Tensor, target: Tensor) -> None:
        """Write the product to `target`."""
        target[0].copy_(multiply_large(left[0], right[0].T))

    @staticmethod
    def add_(target: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Add the product to `target` in place, and return it."""
        return target.add_(multiply_large(left[0], right[0].T))


# The last bits of a product depend on the position of its result in a cache line. They must not
# depend on the number of networks, so each tensor of each network starts at a line.
_LINE = 16
# MKL is slow for results with at most this many columns, and fast for their transposes.
_FEW_COLUMNS = 4


def round_up(size: int, unit: int = _LINE) -> int:
    """Round a size up to a multiple of a unit, by default of a cache line."""
    return -(-size // unit) * unit


class GradientProducts:
    """Products that are gradients of the weights of m layers, stored in `target` (m, n_out, n_in).

    torch multiplies many matrices in one call only if the results are contiguous in memory. In the
    buffer of all gradients they are not, so they are computed in `memory`, which has at least the
    size that `find_size` returns, and copied.
    """

    def __init__(self, target: Tensor, products: type[BatchedProducts], memory: Tensor):
        n_models, n_outputs, n_inputs = target.shape
        size, n_cells = n_outputs * n_inputs, self.find_size(target)
        self.target, self.products, self.out, self.result = target, products, target, target
        self.left = self.left_transposed = target
        is_on_cpu = target.device.type == "cpu"
        self.is_turned = is_on_cpu and n_inputs <= _FEW_COLUMNS and products is BatchedProducts
        if self.is_turned:
            apart = memory[:n_cells].view(n_models, -1)[:, :size]
            self.out = apart.view(n_models, n_inputs, n_outputs)
            self.result = self.out.mT
        elif is_on_cpu and not target.is_contiguous() and size * n_models == n_cells:
            self.out = self.result = memory[:n_cells].view(target.shape)

    @staticmethod
    def find_size(target: Tensor) -> int:
        """Return the number of cells of intermediate results, in whole lines per network."""
        return len(target) * round_up(target[0].numel())

    def store(self, gradient: Tensor, inputs: Tensor) -> None:
        """Store the gradients, given that by the outputs (m, b, n_out) and inputs (m, b, n_in)."""
        left, right = (inputs, gradient) if self.is_turned else (gradient, inputs)
        if left is not self.left:
            # Most steps reuse the memory of the last one. For small layers, a view takes long.
            self.left, self.left_transposed = left, left.mT
        self.products.store(self.left_transposed, right, self.out)
        if self.out is not self.target:
            self.target.copy_(self.result)


def make_memory(targets: Sequence[Tensor]) -> Tensor:
    """Return memory that `GradientProducts` of several targets can share in turn."""
    return targets[0].new_empty(max(map(GradientProducts.find_size, targets)))


def choose_products(n_rows: int, weight: Tensor) -> type[BatchedProducts]:
    """Return the products for batches of `n_rows` rows and weights (m, n_out, n_in)."""
    n_models, n_outputs, n_inputs = weight.shape
    large = n_models == 1 and is_large_product(n_rows * n_outputs * n_inputs, weight)
    return LargeProducts if large else BatchedProducts
