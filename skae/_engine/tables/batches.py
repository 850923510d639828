"""Batches for skorch, taken as slices of a permutation instead of row by row."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from skae._engine.compute.ranks import ALONE, Alone
from skae._engine.tables.epochs_ahead import EpochsAhead
from skae._engine.tables.rows import DenseRows, send

# Ordered rows are only judged, so their batches may be as small as memory requires.
_MAX_CELLS = 2**20
# Shuffled rows are taken for several batches at once, as each access has a fixed cost.
_CELLS_AT_ONCE = 2**20
# On a GPU, memory is larger than caches, and larger chunks avoid waiting.
_CELLS_ON_GPU = 2**26


class WeightedRows:
    """Data set for skorch: rows, their weights, and the device of their batches.

    `weights` has a weight for each of `rows`; None means equal weights. `indices` are the rows that
    belong to this set; None means all. `ranks` are the processes among which they are spread.
    """

    def __init__(
        self, rows, weights=None, indices=None, device=torch.device("cpu"), ranks: Alone = ALONE
    ):
        self.rows = rows
        self.weights = weights
        self.indices = torch.arange(len(rows)) if indices is None else indices
        self.device = device
        self.ranks = ranks

    def __len__(self) -> int:
        return len(self.indices)

    @functools.cached_property
    def n_rows(self) -> int:
        """Number of rows of this set on all ranks."""
        return self.ranks.count(len(self))

    @property
    def places(self) -> torch.Tensor:
        """Indices of the rows of this set that this rank processes in a pass over it."""
        return torch.arange(len(self))[self.ranks.own(len(self))]

    @functools.cached_property
    def all_weights(self) -> torch.Tensor | None:
        """Weights of the rows of this set on all ranks. None if they are equal."""
        if self.weights is None:
            return None
        return self.ranks.gather(self.weights[self.indices][self.places])

    def stand_in(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a row of weight 0, as the batch of a rank without rows."""
        rows = send(self.rows.take(torch.tensor([0])), self.device)
        return rows, rows.new_zeros(1)

    def batch(self, indices: torch.Tensor):
        """Return the rows at `indices` of this set and their weights, None if all are equal."""
        indices = self.indices[indices]
        rows = send(self.rows.take(indices), self.device)
        if self.weights is None:
            return rows, None
        return rows, send(self.weights[indices].to(rows.dtype), self.device)

    def draw_order(self, generator: torch.Generator) -> torch.Tensor:
        """Return all indices into this set in a random order."""
        return self.rows.draw_order(self.indices, generator)

    @property
    def cells_at_once(self) -> int:
        """Number of cells of shuffled rows taken at once."""
        return _CELLS_ON_GPU if self.device.type == "cuda" else _CELLS_AT_ONCE


class ShuffledBatches:
    """Batches of nearly equal size of all rows, in a new order in each iteration.

    A batch consists of inputs (1, b, p), rows to reconstruct, which may be the same tensor, and
    weights (1, b) or None: the arguments of a step for one network. The number of batches is
    rounded so that none is small, as a batch of one row has no variance. `odd_cells` moves single
    values of the rows.
    """

    def __init__(
        self,
        dataset: WeightedRows,
        *,
        batch_size: int,
        generator: torch.Generator,
        odd_cells: Any = None,
    ):
        self.dataset = dataset
        self.odd_cells = odd_cells
        self.n_batches = count_batches(dataset.n_rows, batch_size)
        self.generator = generator
        n_cells, generators = len(dataset) * dataset.rows.n_cells, [generator]
        self.takes_all = n_cells <= dataset.cells_at_once
        sources: Any = None
        if odd_cells is not None:
            generators.append(odd_cells.generator)
            if isinstance(dataset.rows, DenseRows) and dataset.device.type == "cpu":
                own = dataset.rows.tensor, dataset.indices, dataset.weights
                sources = [*own, *odd_cells.sources]
        self.epochs = EpochsAhead(generators, n_cells, sources)

    @property
    def sizes(self) -> list[int]:
        """Number of rows of each batch, on all ranks."""
        return batch_sizes(self.dataset.n_rows, self.n_batches)

    def __len__(self) -> int:
        return self.n_batches

    def list_chunks(self) -> Iterator[tuple[torch.Tensor, list[int]]]:
        """Yield indices of rows of several batches, in a new order, and the batch sizes."""
        order = self.dataset.draw_order(self.generator)
        cells = len(order) * self.dataset.rows.n_cells / self.n_batches
        n_at_once = max(1, round(self.dataset.cells_at_once / max(1, cells)))
        sizes = batch_sizes(len(order), self.n_batches)
        for first in range(0, self.n_batches, n_at_once):
            own_sizes = sizes[first : first + n_at_once]
            own, order = order.tensor_split([sum(own_sizes)])
            yield own, own_sizes

    def _draw_epoch(self) -> tuple[torch.Tensor, Any]:
        """Return an order of the rows, and the draws of the odd cells."""
        order = self.dataset.draw_order(self.generator)
        shape = len(order), self.dataset.rows.n_features
        return order, None if self.odd_cells is None else self.odd_cells.draw(shape)

    def _take_rows(self, drawn: list[tuple[torch.Tensor, Any]]) -> Iterator[tuple]:
        """Return inputs of several epochs, the rows to reconstruct, and their weights."""
        orders, draws = zip(*drawn, strict=True)
        rows, weights = self.dataset.batch(torch.cat(orders))
        shape = len(orders), len(orders[0])
        rows = rows.view(*shape, *rows.shape[1:])
        weights = None if weights is None else weights.view(shape)
        return move_epochs(rows, weights, self.odd_cells, draws)

    def _list_parts(self) -> Iterator[tuple]:
        """Yield inputs, rows and weights of several batches, in a new order, and their sizes."""
        if self.takes_all:
            epoch = self.epochs.take(self._draw_epoch, self._take_rows)
            yield *epoch, batch_sizes(len(epoch[1]), self.n_batches)
            return
        for indices, sizes in self.list_chunks():
            rows, weights = self.dataset.batch(indices)
            inputs = rows
            if self.odd_cells is not None:
                inputs, weights = self.odd_cells.move_(rows, weights)
            yield inputs, rows, weights, sizes

    def __iter__(self):
        for part in self._list_parts():
            yield from split_batches(*part)


class OrderedBatches:
    """Batches of about `batch_size` rows in order, smaller for wide rows to save memory."""

    def __init__(self, dataset: WeightedRows, *, batch_size: int):
        self.dataset = dataset
        most = max(1, _MAX_CELLS // max(1, dataset.rows.n_cells))
        self.n_batches = count_batches(len(dataset.places), min(batch_size, most))

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self):
        for indices in self.dataset.places.tensor_split(self.n_batches):
            yield self.dataset.batch(indices) if len(indices) else self.dataset.stand_in()


def move_epochs(
    rows: torch.Tensor, weights: torch.Tensor | None, odd_cells: Any, draws: Sequence
) -> Iterator[tuple]:
    """Return inputs, rows and weights of each of several epochs, with cells moved if requested."""
    own_rows = own_inputs = rows.unbind()
    if odd_cells is not None:
        inputs, weights = odd_cells.move_epochs_(rows, weights, draws)
        own_inputs = inputs.unbind()
    own_weights: Any = [None] * len(rows) if weights is None else weights
    return zip(own_inputs, own_rows, own_weights, strict=True)


def split_batches(
    inputs: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor | None, sizes: list[int]
) -> Iterator[tuple]:
    """Return inputs, rows and weights of batches of these sizes, with an axis for a network."""
    own_rows = rows.unsqueeze(0).split(sizes, 1)
    own_inputs = own_rows if inputs is rows else inputs.unsqueeze(0).split(sizes, 1)
    own_weights: Any = [None] * len(sizes)
    if weights is not None:
        own_weights = weights.unsqueeze(0).split(sizes, 1)
    return zip(own_inputs, own_rows, own_weights, strict=True)


def batch_sizes(n_rows: int, n_batches: int) -> list[int]:
    """Return the sizes of `n_batches` batches, which differ by at most one, larger ones first."""
    size, n_larger = divmod(n_rows, n_batches)
    return [size + 1] * n_larger + [size] * (n_batches - n_larger)


def count_batches(n_rows: int, batch_size: int) -> int:
    """Return the number of batches of about `batch_size` rows, at least one."""
    return max(1, round(n_rows / batch_size))
