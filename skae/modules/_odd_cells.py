"""Odd cells of rows that a network is better off not to see."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# An odd cell may be ignored where the network's error in the other cells is at least this many
# times PCA's.
_HARMFUL = 1.05
# It costs the reconstruction of the cell itself. It is worth it if the error in all cells, over
# PCA's, is below the cube of that ratio, of which one factor is at most this number. Otherwise, PCA
# follows the cell, and so may the network.
_WORTH = 3.0
# Nor may the error in all cells rise by more than this power of that ratio.
_POWER = 3
# The ratio counts as at most this number where a row has several odd cells: the others may then be
# few, and their errors small. Without it, one image in 2,000 took two thirds of all errors.
_GREATEST_OF_SEVERAL = 2.15


class Coder(NamedTuple):
    """Functions of rows of a batch, given by their indices, where None means all."""

    encode: Callable[[Tensor, Tensor | None], Tensor]
    """Function that returns codes for scaled rows."""

    find_squares: Callable[[Tensor, Sequence[Tensor | None], Tensor | None], list[Tensor]]
    """Function that returns squared errors of scaled rows for each of several codes, or those of
    PCA within bounds for None."""

    find_errors: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    """Function that returns reconstructions minus scaled rows, both in standardised units, for
    their codes."""

    find_first_errors: Callable[[Tensor, Tensor | None], Tensor]
    """Function that returns the same for PCA without bounds."""

    project: Callable[[Tensor], Tensor]
    """Function that returns the codes of PCA for standardised rows."""


def ignore_odd_cells(
    code: Tensor, scaled: Tensor, limits: tuple[Tensor, Tensor], usual: Tensor, coder: Coder
) -> Tensor:
    """Return codes, computed with usual values in few odd cells that harm the others.

    A network may take a row with odd cells for another kind of row, and reconstruct all other
    cells worse than PCA does. This shows in the row itself.

    Parameters
    ----------
    code : Tensor of shape (n_samples, n_components)
        Codes of the rows as they are.
    scaled : Tensor of shape (n_samples, n_features)
        Scaled rows.
    limits : tuple of Tensor, each of shape (n_features,)
        Limits beyond which cells are odd. Rows with many odd cells are not changed.
    usual : Tensor of shape (2, n_features)
        Range of usual values.
    coder : Coder
        Network and PCA.
    """
    is_odd = _find_odd(scaled, limits)
    with torch.no_grad():
        own, first = coder.find_squares(scaled, [code, None], None)
        harm = _find_rise(own, first, is_odd)
    other = coder.encode(torch.where(is_odd, torch.clamp(scaled, *usual), scaled), None)
    with torch.no_grad():
        (ignoring,) = coder.find_squares(scaled, [other], None)
        is_better = _is_better(ignoring, own, first, harm, is_odd)
    return torch.where(is_better, other, code)


def ignore_few_odd_cells(
    code: Tensor,
    scaled: Tensor,
    limits: tuple[Tensor, Tensor],
    usual: Tensor,
    coder: Coder,
    rows: Tensor,
    put_off: list[Tensor] | None = None,
) -> Tensor:
    """Return the same as `ignore_odd_cells`, where only the rows with these indices are odd.

    If there is a list `put_off`, the indices of rows to encode anew are added to it instead.
    """
    part = scaled.index_select(0, rows)
    cells = find_differences(part, torch.clamp(part, *limits))
    with torch.no_grad():
        own, first = coder.find_squares(part, [code[rows], None], rows)
        harm = _sum_others(own, cells) / _sum_others(first, cells)
    harmed = (harm > _HARMFUL).nonzero()[:, 0]
    if len(harmed) == 0:
        return code
    rows, part = rows[harmed], part[harmed]
    if put_off is not None:
        put_off.append(rows)
        return code
    is_odd = part != torch.clamp(part, *limits)
    other = coder.encode(torch.where(is_odd, torch.clamp(part, *usual), part), rows)
    with torch.no_grad():
        (ignoring,) = coder.find_squares(part, [other], rows)
        better = _is_better(ignoring, own[harmed], first[harmed], harm[harmed], is_odd)[:, 0]
    return code.index_copy(0, rows[better], other[better])


def are_few(counts: Tensor, n_features: int) -> Tensor:
    """Return whether rows have an odd cell, and no more than half of their cells are odd."""
    return (counts > 0) & (2 * counts <= n_features)


def _find_odd(scaled: Tensor, limits: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mask of odd cells, False in rows with many."""
    is_odd = scaled != torch.clamp(scaled, *limits)
    return is_odd & are_few(is_odd.sum(-1, keepdim=True), scaled.shape[-1])


def find_differences(rows: Tensor, others: Tensor) -> Tensor:
    """Return the places of the cells that differ, as indices of the flattened rows."""
    if rows.device.type != "cpu" or rows.dtype == torch.bfloat16:
        return (rows != others).flatten().nonzero()[:, 0]
    # torch compares one cell at a time, and NumPy several. It does not know bfloat16.
    return torch.from_numpy(np.flatnonzero(rows.detach().numpy() != others.detach().numpy()))


def _sum_others(squares: Tensor, cells: Tensor) -> Tensor:
    """Return sums over the cells of rows that are not at some places, (n_samples, 1)."""
    # Filling these cells for a while takes a fraction of the time of a mask.
    flat = squares.view(-1)
    hidden = flat.index_select(0, cells)
    flat.index_fill_(0, cells, 0)
    sums = squares.sum(-1, keepdim=True)
    flat.index_copy_(0, cells, hidden)
    return sums


def _find_rise(squares: Tensor, first: Tensor, is_odd: Tensor) -> Tensor:
    """Return the error in the cells that are not odd, over PCA's, of shape (n_samples, 1)."""
    sums = [own.masked_fill(is_odd, 0).sum(-1, keepdim=True) for own in (squares, first)]
    return sums[0] / sums[1]


def _is_better(
    ignoring: Tensor, own: Tensor, first: Tensor, harm: Tensor, is_odd: Tensor
) -> Tensor:
    """Return whether to ignore odd cells, given squared errors, of shape (n_samples, 1)."""
    total, before = ignoring.sum(-1, keepdim=True), own.sum(-1, keepdim=True)
    is_several = is_odd.sum(-1, keepdim=True) > 1
    gain = torch.where(is_several, harm.clamp_max(_GREATEST_OF_SEVERAL), harm)
    is_worth = total < gain.clamp_max(_WORTH) * gain.square() * first.sum(-1, keepdim=True)
    is_worth = is_worth & (total < gain.pow(_POWER) * before)
    return (harm > _HARMFUL) & (_find_rise(ignoring, first, is_odd) < harm) & is_worth
