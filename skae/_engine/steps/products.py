"""Matrix products of the dense step: of many networks at once, or large ones of one network."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from skae.modules._products import is_large_product, multiply_large

# The last bits of a product depend on the position of its result in a cache line. They must not
# depend on the number of networks, so each tensor of each network starts at a line.
_LINE = 16
# Elementwise functions process as many cells at once as two registers hold, at most 32, and the
# remainder of an array by other instructions.
_CELLS_AT_ONCE = 64
# MKL is slow for results with at most this many columns, and fast for their transposes.
_FEW_COLUMNS = 4


def round_up(size: int, unit: int = _LINE) -> int:
    """Round a size up to a multiple of a unit, by default of a cache line."""
    return -(-size // unit) * unit


def _round_up_rows(n_rows: int, n_columns: int) -> int:
    """Round a number of rows up so that their cells fill whole lines."""
    return round_up(n_rows, _LINE // math.gcd(_LINE, n_columns))


def count_held_rows(n_rows: int, n_columns: int) -> int:
    """Return how many rows `make_stack` holds for each network."""
    n_held = _round_up_rows(n_rows, n_columns)
    if n_held == n_rows and n_rows * n_columns % _CELLS_AT_ONCE:
        return _round_up_rows(n_rows + 1, n_columns)
    return n_held


def make_stack(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return matrices of zeros for m networks, each aligned to a cache line.

    Each network has the same remainder of cells, whatever the number of networks. Behind the rows
    of each, there is memory for as many as make a product contiguous, at most a line of them.
    """
    n_models, n_rows, n_columns = shape
    n_held = count_held_rows(n_rows, n_columns)
    memory = like.new_zeros(n_models * n_held + _LINE, n_columns)
    return memory[:-_LINE].view(n_models, n_held, n_columns)[:, :n_rows]


def make_wide_stack(shape: Sequence[int], like: Tensor, n_factors: int) -> Tensor:
    """Return a stack whose rows are followed by as many zeros as `GradientProducts` needs.

    `n_factors` is the number of columns of the other factor.
    """
    n_models, n_rows, n_columns = shape
    n_wide = _round_up_rows(n_columns, n_factors)
    return make_stack((n_models, n_rows, n_wide), like)[..., :n_columns]


def _resize(matrices: Tensor, n_rows: int, n_columns: int) -> Tensor | None:
    """Return matrices of another size at the same places. None where memory ends before theirs."""
    shape = len(matrices), n_rows, n_columns
    last = sum((n - 1) * step for n, step in zip(shape, matrices.stride(), strict=True))
    n_bytes = (matrices.storage_offset() + last + 1) * matrices.element_size()
    if n_bytes > matrices.untyped_storage().nbytes():
        return None
    return matrices.as_strided(shape, matrices.stride())


def _fill_lines(out: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Return results and left factors with the rows that `make_stack` has added to the results.

    torch multiplies many matrices in one call only if the results are contiguous in memory. What
    the additional rows of the factors have, such as those of the next network, is of no account.
    """
    n_held = out.stride(0) // out.stride(1)
    longer = _resize(left, n_held, left.shape[2])
    if longer is None:
        return out, left
    return out.as_strided((len(out), n_held, out.shape[2]), out.stride()), longer


class BatchedProducts:
    """Products of m pairs of matrices, `left` (m, n, k) and `right` (m, k, l).

    Functions return a call that computes the result, of shape (m, n, l): `multiply` and `store` of
    `left` and `right`, `multiply_add` of a bias (m, 1, l) and both, which is added to each row.
    These have an argument `out` for the result, and `add_` adds the products of its last arguments
    to its first.
    """

    writes_to_out: ClassVar[bool] = True
    """Whether `multiply` and `multiply_add` write the result to `out`. If not, they return it."""

    @staticmethod
    def multiply(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        """Return a call that multiplies."""
        out, left = _fill_lines(out, left)
        return partial(torch.bmm, left, right, out=out)

    @staticmethod
    def multiply_add(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        """Return a call that multiplies and adds a bias."""
        out, left = _fill_lines(out, left)
        return partial(torch.baddbmm, bias, left, right, out=out)

    @staticmethod
    def store(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        """Return a call that multiplies and writes the result to `out`."""
        return partial(torch.bmm, left, right, out=out)

    @staticmethod
    def add_(target: Tensor, left: Tensor, right: Tensor) -> Callable[[], Any]:
        """Return a call that adds the products to `target`."""
        target, left = _fill_lines(target, left)
        return partial(target.baddbmm_, left, right)


def _call_all(calls: list[Callable[[], Tensor]]) -> None:
    for call in calls:
        call()


def _bind_each(function: Callable[..., Tensor], *factors: Tensor, out: Tensor) -> Callable:
    """Return a call of a function of each pair of matrices, with a result for each."""
    parts = zip(*factors, out, strict=True)
    return partial(_call_all, [partial(function, *own, out=result) for *own, result in parts])


class ThinProducts(BatchedProducts):
    """Products one by one, for weights of a single row or column.

    MKL multiplies a single matrix by a vector with another function than many, and the last bits
    differ.
    """

    @staticmethod
    def multiply(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        return _bind_each(torch.mm, left, right, out=out)

    @staticmethod
    def multiply_add(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        return _bind_each(torch.addmm, bias, left, right, out=out)

    @staticmethod
    def store(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        return _bind_each(torch.mm, left, right, out=out)

    @staticmethod
    def add_(target: Tensor, left: Tensor, right: Tensor) -> Callable[[], Any]:
        return _bind_each(torch.addmm, target, left, right, out=target)


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    return multiply_large(left[0], right[0].T, None if bias is None else bias[0, 0])[None]


class LargeProducts(BatchedProducts):
    """Product of one pair of large matrices by a library that is faster for them."""

    writes_to_out = False

    @staticmethod
    def multiply(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        return partial(_multiply, left, right)

    @staticmethod
    def multiply_add(bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        return partial(_multiply, left, right, bias)

    @staticmethod
    def store(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], Any]:
        return lambda: out.copy_(_multiply(left, right))

    @staticmethod
    def add_(target: Tensor, left: Tensor, right: Tensor) -> Callable[[], Any]:
        return lambda: target.add_(_multiply(left, right))


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


class GradientProducts:
    """Products that are gradients of the weights of m layers, stored in `target` (m, n_out, n_in).

    torch multiplies many matrices in one call only if the results are contiguous in memory. In the
    buffer of all gradients they are not, so they are computed in `memory`, which has at least the
    size that `find_size` returns, and copied. Results that do not fill whole lines get more rows
    if the rows of the factor are wide enough, as in `make_wide_stack`.
    """

    def __init__(self, target: Tensor, products: type[BatchedProducts], memory: Tensor):
        self.target, self.products, self.memory = target, products, memory
        self.calls = KeptCalls()
        self.may_move = products is BatchedProducts and target.device.type == "cpu"
        self.is_turned = self.may_move and target.shape[2] <= _FEW_COLUMNS

    @staticmethod
    def find_size(target: Tensor) -> int:
        """Return the number of cells of intermediate results, in whole lines per network."""
        n_models, n_outputs, n_inputs = target.shape
        sizes = (n_outputs, n_inputs), (n_inputs, n_outputs)
        return n_models * max(_round_up_rows(*own) * own[1] for own in sizes)

    def store(self, gradient: Tensor, inputs: Tensor) -> None:
        """Store the gradients, given that by the outputs (m, b, n_out) and inputs (m, b, n_in)."""
        self.calls.run(self.list_calls, gradient, inputs)

    def list_calls(self, gradient: Tensor, inputs: Tensor) -> Iterator[Callable[[], Tensor]]:
        """Yield the calls of `store`."""
        left, right = (inputs, gradient) if self.is_turned else (gradient, inputs)
        wide, n_columns = self._widen(left, right), right.shape[2]
        n_cells = wide.shape[2] * n_columns
        stays = not self.may_move or self.target.is_contiguous() or n_cells % _LINE
        if stays and wide is left and not self.is_turned:
            yield self.products.store(left.mT, right, out=self.target)
            return
        n_models, size = len(left), round_up(n_cells)
        apart = self.memory[: n_models * size].view(n_models, size)[:, :n_cells]
        out = apart.view(n_models, -1, n_columns)
        yield self.products.store(wide.mT, right, out=out)
        result = out[:, : left.shape[2]]
        yield partial(self.target.copy_, result.mT if self.is_turned else result)

    def _widen(self, left: Tensor, right: Tensor) -> Tensor:
        """Return left factors with the columns that make results whole lines, if they have them."""
        _, n_batch, n_rows = left.shape
        n_held = _round_up_rows(n_rows, right.shape[2])
        if not self.may_move or not n_rows < n_held <= left.stride(1):
            return left
        wider = _resize(left, n_batch, n_held)
        return left if wider is None else wider


def make_memory(targets: Sequence[Tensor]) -> Tensor:
    """Return memory that `GradientProducts` of several targets can share in turn."""
    return targets[0].new_empty(max(map(GradientProducts.find_size, targets)))


def choose_products(n_rows: int, weight: Tensor) -> type[BatchedProducts]:
    """Return the products for batches of `n_rows` rows and weights (m, n_out, n_in)."""
    n_models, n_outputs, n_inputs = weight.shape
    if n_models == 1 and is_large_product(n_rows * n_outputs * n_inputs, weight):
        return LargeProducts
    is_thin = min(n_outputs, n_inputs) == 1 and weight.device.type == "cpu"
    return ThinProducts if is_thin else BatchedProducts
