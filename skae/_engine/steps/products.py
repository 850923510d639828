"""Matrix products of the dense step: of many networks at once, or large ones of one network."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from skae.modules._products import is_large_product, multiply_large


class BatchedProducts:
    """Products of m pairs of matrices, `left` (m, n, k) and `right` (m, k, l).

    All functions return their result, of shape (m, n, l): `multiply` and `store` of `left` and
    `right`, `multiply_add` of a bias (m, 1, l) and both, which is added to each row. These have an
    argument `out` for the result, and `add_` adds the products of its last arguments to its first.
    """

    writes_to_out: ClassVar[bool] = True
    """Whether `multiply` and `multiply_add` write the result to `out`."""

    multiply: ClassVar[Callable[..., Tensor]] = staticmethod(torch.bmm)
    multiply_add: ClassVar[Callable[..., Tensor]] = staticmethod(torch.baddbmm)
    store: ClassVar[Callable[..., Tensor]] = staticmethod(torch.bmm)
    add_: ClassVar[Callable[..., Tensor]] = staticmethod(Tensor.baddbmm_)


def _multiply(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    return multiply_large(left[0], right[0].T)[None]


def _multiply_add(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    return multiply_large(left[0], right[0].T, bias[0, 0])[None]


def _store(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    return out.copy_(_multiply(left, right, out))


def _add_(target: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return target.add_(multiply_large(left[0], right[0].T))


class LargeProducts(BatchedProducts):
    """Product of one pair of large matrices by a library that is faster for them."""

    writes_to_out = False
    multiply = staticmethod(_multiply)
    multiply_add = staticmethod(_multiply_add)
    store = staticmethod(_store)
    add_ = staticmethod(_add_)


class KeptCalls:
    """Calls of functions that work on the same tensors in each step.

    Looking up functions and tensors takes a quarter of the time of a small step, so calls are
    listed again only for other tensors.
    """

    def __init__(self) -> None:
        self.arguments: tuple = ()
        self.calls: list[Callable[[], Any]] = []

    # The function is not kept, as its owner has this object.
    def run(self, list_calls: Callable[..., Iterable[Callable[[], Any]]], *arguments) -> None:
        """Call what a function of some arguments, tensors or None, lists."""
        if not self.calls or not all(map(operator.is_, arguments, self.arguments)):
            self.calls, self.arguments = list(list_calls(*arguments)), arguments
        for call in self.calls:
            call()


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
        self.calls = KeptCalls()
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
        self.calls.run(self.list_calls, gradient, inputs)

    def list_calls(self, gradient: Tensor, inputs: Tensor) -> Iterator[Callable[[], Tensor]]:
        """Yield the calls of `store`."""
        left, right = (inputs, gradient) if self.is_turned else (gradient, inputs)
        yield partial(self.products.store, left.mT, right, out=self.out)
        if self.out is not self.target:
            yield partial(self.target.copy_, self.result)


def make_memory(targets: Sequence[Tensor]) -> Tensor:
    """Return memory that `GradientProducts` of several targets can share in turn."""
    return targets[0].new_empty(max(map(GradientProducts.find_size, targets)))


def choose_products(n_rows: int, weight: Tensor) -> type[BatchedProducts]:
    """Return the products for batches of `n_rows` rows and weights (m, n_out, n_in)."""
    n_models, n_outputs, n_inputs = weight.shape
    large = n_models == 1 and is_large_product(n_rows * n_outputs * n_inputs, weight)
    return LargeProducts if large else BatchedProducts
