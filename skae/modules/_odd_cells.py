"""Odd cells of rows that a network is better off not to see."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

# An odd cell may be ignored where the network's error in the other cells is at least this many
# times PCA's.
_HARMFUL = 1.05
# It costs the reconstruction of the cell itself. It is worth it if the error in all cells, over
# PCA's, is at most this number times the square of that ratio. Otherwise, PCA follows the cell, and
# so may the network.
_WORTH = 3.0

Compare: TypeAlias = Callable[[Tensor, Tensor | None, Tensor | None], Tensor]


def ignore_odd_cells(
    scaled: Tensor, clipped: Tensor, usual: Tensor, compare: Compare, rows=None
) -> Tensor:
    """Return scaled rows, with a usual value in single odd cells that harm the others.

    A network may take a row with an odd cell for another kind of row, and reconstruct all other
    cells worse than PCA does. This shows in the row itself.

    Parameters
    ----------
    scaled : Tensor of shape (n_samples, n_features)
        Scaled rows.
    clipped : Tensor of shape (n_samples, n_features)
        The rows, clipped to limits beyond which cells are odd. Rows with several odd cells are not
        changed.
    usual : Tensor of shape (2, n_features)
        Range of usual values.
    compare : callable
        Function of rows, of what the network sees of them, and of `rows`. It returns squared
        errors of shape (n_samples, n_features), those of PCA if the second is None.
    rows : Tensor of int of shape (n_samples,), default=None
        Indices of these rows among those of a batch. None means all, for which everything is
        computed, regardless of the values.
    """
    is_odd = scaled != clipped
    is_odd = is_odd & (is_odd.sum(-1, keepdim=True) == 1)
    without = torch.where(is_odd, torch.clamp(scaled, *usual), scaled)
    with torch.no_grad():
        own, first = compare(scaled, scaled, rows), compare(scaled, None, rows)
        harm = _find_rise(own, first, is_odd)
        if rows is None:
            ignoring = compare(scaled, without, None)
            is_better = _is_better(ignoring, own, first, harm, is_odd)
            return torch.where(is_better, without, scaled)
        # Few rows are harmed.
        harmed = (harm > _HARMFUL).nonzero()[:, 0]
        if len(harmed) == 0:
            return scaled
        ignoring = compare(scaled[harmed], without[harmed], rows[harmed])
        parts = (values[harmed] for values in (own, first, harm, is_odd))
        harmed = harmed[_is_better(ignoring, *parts)[:, 0]]
    return scaled.index_copy(0, harmed, without[harmed])


def _find_rise(squares: Tensor, first: Tensor, is_odd: Tensor) -> Tensor:
    """Return the error in the cells that are not odd, over PCA's, of shape (n_samples, 1)."""
    sums = [own.masked_fill(is_odd, 0).sum(-1, keepdim=True) for own in (squares, first)]
    return sums[0] / sums[1]


def _is_better(
    ignoring: Tensor, own: Tensor, first: Tensor, harm: Tensor, is_odd: Tensor
) -> Tensor:
    """Return whether to ignore odd cells, given squared errors, of shape (n_samples, 1)."""
    rise = ignoring.sum(-1, keepdim=True) / first.sum(-1, keepdim=True)
    is_worth = rise < _WORTH * harm.square()
    return (harm > _HARMFUL) & (_find_rise(ignoring, first, is_odd) < harm) & is_worth
