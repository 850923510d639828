"""Codes of far rows that a decoder reconstructs no worse than PCA, where it can."""

import math

import torch
from torch import Tensor

from skae.modules._odd_cells import Coder

# Codes are improved where the error of a row is above this many times PCA's.
_HARMFUL = 1.05
# Number of codes tried. In models with bounds, errors of rows times three were 4 % higher with
# three codes, and 5 % lower with seven.
_N_TRIED = 4
# A code must lower the logarithm of the error by more than this, not by rounding alone.
_LEAST_GAIN = 1e-3
# Power of the share of known cells that weighs their error, where these are at least half of a row.
_POWER = 2
# Factor of the last step that is reused. Without a limit, equal steps would have an infinite one.
_GREATEST_FACTOR = 8.0


@torch.no_grad()
def find_better_codes(
    code: Tensor,
    scaled: Tensor,
    limits: tuple[Tensor, Tensor],
    coder: Coder,
    rows: Tensor | None,
    *,
    selects: bool,
) -> Tensor:
    """Return codes with a lower error where the error of a row is above PCA's.

    A decoder may not know combinations of codes that each lie within their ranges. What PCA's codes
    of the rest of the row say is added to the code, until the reconstruction agrees with the row
    (Anderson's acceleration of a fixed-point iteration).

    Parameters
    ----------
    code, scaled : Tensor of shape (n_samples, n_components) and (n_samples, n_features)
        Codes and scaled rows.
    limits : tuple of Tensor, each of shape (n_features,)
        Limits of the known cells. Where most cells of a row are known, their error counts more.
    coder : Coder
        Network and PCA.
    rows : Tensor of int of shape (n_samples,) or None
        Indices of the rows in the batch. None means all.
    selects : bool
        Whether to compute codes only for the rows that need them.
    """
    known, weight = _weigh(scaled == torch.clamp(scaled, *limits), code.dtype)
    errors = coder.find_errors(scaled, code, rows)
    cost = _find_cost(errors, known, weight)
    first = _find_cost(coder.find_first_errors(scaled, rows), known, weight)
    # The weight is 1 where all cells are known.
    is_harmed = (cost > first + math.log(_HARMFUL)) & (weight < 1)
    if not selects:
        better = _search(coder, rows, code, scaled, errors, cost, known, weight)
        return torch.where(is_harmed, better, code)
    harmed = is_harmed[:, 0].nonzero()[:, 0]
    if len(harmed) == 0:
        return code
    chosen = harmed if rows is None else rows[harmed]
    parts = (own[harmed] for own in (code, scaled, errors, cost, known, weight))
    return code.index_copy(0, harmed, _search(coder, chosen, *parts))


def _search(
    coder: Coder,
    rows: Tensor | None,
    code: Tensor,
    scaled: Tensor,
    errors: Tensor,
    cost: Tensor,
    known: Tensor,
    weight: Tensor,
) -> Tensor:
    """Return the best of a few codes, given errors and costs of the first."""
    best, least, tried = code, cost, code
    step = -coder.project(errors)
    moved = turned = torch.zeros_like(code)
    tiny = torch.finfo(torch.float32).tiny
    for _ in range(_N_TRIED):
        factor = (step * turned).sum(-1, keepdim=True)
        factor = factor / turned.square().sum(-1, keepdim=True).clamp_min(tiny)
        factor = factor.clamp(-_GREATEST_FACTOR, _GREATEST_FACTOR)
        moved = step - factor * (moved + turned)
        tried = tried + moved
        errors = coder.find_errors(scaled, tried, rows)
        before, step = step, -coder.project(errors)
        turned = step - before
        cost = _find_cost(errors, known, weight)
        is_better = cost < least - _LEAST_GAIN
        best, least = torch.where(is_better, tried, best), torch.where(is_better, cost, least)
    return best


def _weigh(is_known: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return 1 for known cells and 0 for others, and the weight of the error in known cells."""
    known = is_known.to(dtype)
    share = known.mean(-1, keepdim=True)
    return known, share.pow(_POWER) * (share >= 0.5)


def _find_cost(errors: Tensor, known: Tensor, weight: Tensor) -> Tensor:
    """Return logarithms of errors, of shape (n_samples, 1)."""
    # Known cells that only rounding changes do not count.
    dtype = torch.finfo(errors.dtype)
    squares = errors.square()
    total = squares.sum(-1, keepdim=True)
    inside = (squares * known).sum(-1, keepdim=True) + dtype.eps**2 * total
    return torch.lerp(total.clamp_min(dtype.tiny).log(), inside.clamp_min(dtype.tiny).log(), weight)
