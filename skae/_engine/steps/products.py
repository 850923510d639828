"""The matrix products of the dense step: of many models at once, or large ones of one model."""

import torch
from torch import Tensor

from skae.modules._products import is_large_product, multiply_large


class BatchedProducts:
    """Products of m pairs of matrices, `left` (m, n, k) and `right` (m, k, l).

    Results are returned, and may lie in the memory that is offered as `out` (m, n, l).
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
    """Product of one pair of large matrices, which another library multiplies faster."""

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


def choose_products(n_rows: int, weight: Tensor) -> type[BatchedProducts]:
    """Return the products for batches of so many rows and weights (m, n_out, n_in)."""
    n_models, n_outputs, n_inputs = weight.shape
    large = n_models == 1 and is_large_product(n_rows * n_outputs * n_inputs, weight)
    return LargeProducts if large else BatchedProducts
