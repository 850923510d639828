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

Compare: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], Tensor]


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
        Function of the rows, of the rows without odd cells, and of `rows`. It returns squared
        errors of shape (3, n_samples, n_features): of the network for both and of PCA.
    rows : Tensor of int of shape (n_samples,), default=None
        Indices of these rows among those of a batch. None means all.
    """
    is_odd = scaled != clipped
    is_odd = is_odd & (is_odd.sum(-1, keepdim=True) == 1)
    without = torch.where(is_odd, torch.clamp(scaled, *usual), scaled)
    with torch.no_grad():
        squares = compare(scaled, without, rows)
    own, ignoring, first = squares.masked_fill(is_odd, 0).sum(-1, keepdim=True)
    _, ignoring_all, first_all = squares.sum(-1, keepdim=True)
    harm = own / first
    is_worth = ignoring_all < _WORTH * harm.square() * first_all
    is_better = (harm > _HARMFUL) & (ignoring < own) & is_worth
    return torch.where(is_better, without, scaled)
