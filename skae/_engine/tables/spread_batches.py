"""Batches spread over several processes."""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from skae._engine.tables.batches import ShuffledBatches, batch_sizes, split_batches


class SpreadBatches(ShuffledBatches):
    """Part that one rank has of batches spread over all ranks.

    If all ranks have all rows, batches are those of one process, and each rank takes an equal part
    of each batch. If each rank has its own rows, each shuffles them, and a batch has rows of all
    ranks in proportion to their numbers of rows.

    Weights are scaled so that the mean losses of all ranks sum to the mean loss of the batch.
    """

    @functools.cached_property
    def sizes(self) -> list[int]:
        if self.dataset.ranks.shared:
            return super().sizes
        counts = self.dataset.ranks.list_all(len(self.dataset))
        sizes = [batch_sizes(n_rows, self.n_batches) for n_rows in counts]
        return [sum(own) for own in zip(*sizes, strict=True)]

    def __iter__(self):
        parts = self._take_shares() if self.dataset.ranks.shared else super().__iter__()
        for (inputs, rows, weights), size in zip(parts, self.sizes, strict=True):
            yield self._weigh(inputs, rows, weights, size)

    def _take_shares(self) -> Iterator[tuple]:
        for indices, sizes in self.list_chunks():
            places = [own[self.dataset.ranks.own(len(own))] for own in _number(sizes)]
            taken = torch.cat(places)
            rows, weights = self.dataset.batch(indices[taken])
            inputs = rows
            if self.odd_cells is not None:
                inputs, weights = self.odd_cells.move_(
                    rows, weights, places=taken, n_rows=len(indices)
                )
            yield from split_batches(inputs, rows, weights, [len(own) for own in places])

    def _weigh(
        self, inputs: Tensor, rows: Tensor, weights: Tensor | None, size: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        n_rows = rows.shape[1]
        if n_rows == 0:
            rows, weights = (own.unsqueeze(0) for own in self.dataset.stand_in())
            return rows, rows, weights
        share = n_rows / size
        weights = rows.new_full((1, n_rows), share) if weights is None else weights * share
        return inputs, rows, weights


def _number(sizes: list[int]) -> Iterator[Tensor]:
    """Yield the positions of the rows of each batch in a chunk."""
    return iter(torch.arange(sum(sizes)).split(sizes))
