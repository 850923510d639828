"""Evaluation of networks on held-out rows, and tests of whether one improves on another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skae.objectives import ColumnUnits, MixedLoss

# The mean improvement must exceed this multiple of its standard error.
_STANDARD_ERRORS = 2.5
# One of many epochs is above 2.5 by chance more often than a given one.
_STANDARD_ERRORS_OF_CLEAREST = 3.0
# Improvements of single rows are clipped at this quantile of the absolute changes. Otherwise a row
# that has improved a thousandfold inflates the standard error until no improvement is clear, and
# tables with long tails stay at PCA. Losses that have risen are not clipped.
_SHARE_OF_USUAL_CHANGES = 0.95
# Share by which nested codes may exceed PCA's error, or the loss of the start, with any number of
# codes. If PCA leaves only noise, learning anything for fewer codes costs about this much.
TOLERATED_RISE = 0.01
_TINY = 1e-30


@dataclass(frozen=True)
class Judgement:
    """Losses and errors of rows, each computed by a network that was not trained on the row."""

    losses: Tensor
    """Losses that training minimises, of shape (n_samples,)."""

    errors: Tensor
    """Mean squared error per cell of each row in standardised units, of shape (n_samples,)."""

    stage_losses: Tensor | None = None
    """Losses with fewer codes, of shape (n_samples, n_levels). None if they are not judged."""


def find_rises(before: Judgement, after: Judgement, weights: Tensor | None = None) -> Tensor:
    """Return the relative increase of the mean loss with each judged number of codes.

    Negative if the loss has fallen, and empty if only all codes together are judged.
    """
    if before.stage_losses is None or after.stage_losses is None:
        return torch.zeros(0, dtype=torch.float64)
    first, second = (
        torch.tensor([mean_of_rows(own, weights) for own in losses.T], dtype=torch.float64)
        for losses in (before.stage_losses, after.stage_losses)
    )
    return (second - first) / first.abs().clamp_min(_TINY)


def is_nowhere_worse(before: Judgement, after: Judgement, weights: Tensor | None = None) -> bool:
    """Return whether no number of codes becomes worse for the gain of others.

    With each number of codes, the loss may rise by 1 %, but by no more than the share by which it
    falls on average over all rows. True if only all codes together are judged.
    """
    rises = find_rises(before, after, weights)
    if len(rises) == 0:
        return True
    loss, new_loss = (mean_of_rows(own.losses, weights) for own in (before, after))
    fall = (loss - new_loss) / max(abs(loss), _TINY)
    return bool((rises <= min(TOLERATED_RISE, max(fall, 0.0))).all())


def find_row_errors(reconstruction: Tensor, rows: Tensor) -> Tensor:
    """Return the mean squared error per cell of each row. Missing cells count as zero."""
    differences = reconstruction - rows
    if rows.is_cuda:
        # Filling missing cells takes less time than waiting to know whether there are any.
        differences.masked_fill_(rows.isnan(), 0)
    sums = torch.linalg.vector_norm(differences, dim=-1).square_()
    if not rows.is_cuda and sums.isnan().any():
        sums = differences.masked_fill_(rows.isnan(), 0).square_().sum(-1)
    return sums.div_(rows.shape[-1])


def find_column_losses(module, rows: Tensor, loss: MixedLoss) -> Tensor:
    """Return the losses of the columns of a frame, by a network and by the columns' baselines.

    They have shape (n_samples, n_columns, 2), with NaN where a cell of the standardised `rows`
    is missing. The network need not know how to fill these.
    """
    units = ColumnUnits(module.output.mean, module.output.scale)
    prepared = loss.prepare(units, masked=True).to(rows.device)
    seen = rows.nan_to_num(0.0) if module.filling is None else rows
    nothing = module.output.link(torch.zeros_like(rows))
    parts = [prepared.columns(own, rows) for own in (module(seen), nothing)]
    return torch.stack(parts, -1).double()


def mean_of_rows(values: Tensor, weights: Tensor | None = None) -> float:
    """Return the weighted mean of one value per row.

    Weights are in double precision on the CPU; None means equal weights.
    """
    if weights is None:
        return float(values.mean())
    return float(values.cpu().double() @ weights / weights.sum())


def is_clear_improvement(
    before: Tensor, after: Tensor, weights: Tensor | None = None, groups: Tensor | None = None
) -> bool:
    """Return whether the losses of rows have fallen by more than chance explains.

    The mean of the differences must exceed 2.5 times its standard error. Improvements are clipped
    at the 95th percentile of the absolute differences. Losses that have risen are not. Rows of a
    group are not independent, so means of groups, given by index, are compared instead of rows.
    """
    return _find_least_improvement(before, after, weights, groups, _STANDARD_ERRORS) > 0


def find_clearest_improvement(
    before: Tensor,
    epochs: Sequence[Tensor],
    weights: Tensor | None = None,
    groups: Tensor | None = None,
) -> int | None:
    """Return the index of the epoch whose losses are most clearly below those `before`.

    That is the one with the greatest lower bound of the mean improvement, 2.5 standard errors below
    it. None if that improvement is below 3 standard errors, as the epoch is one of many.
    """
    if len(epochs) == 0:
        return None
    bounds = [
        _find_least_improvement(before, losses, weights, groups, _STANDARD_ERRORS)
        for losses in epochs
    ]
    clearest = bounds.index(max(bounds))
    n_errors = _STANDARD_ERRORS_OF_CLEAREST
    least = _find_least_improvement(before, epochs[clearest], weights, groups, n_errors)
    return clearest if least > 0 else None


def _find_least_improvement(
    before: Tensor,
    after: Tensor,
    weights: Tensor | None,
    groups: Tensor | None,
    n_standard_errors: float,
) -> float:
    """Return the mean improvement minus a multiple of its standard error."""
    difference = (before - after).double().cpu()
    weights = torch.ones_like(difference) if weights is None else weights.double().cpu()
    if groups is not None:
        difference, weights = _average_groups(difference, weights, groups)
    shares = weights / weights.sum()
    difference = difference.clamp_max(_find_usual_change(difference, shares))
    mean = shares @ difference
    # n / (n - 1) with the effective number of rows as n.
    n_effective = 1 / (shares @ shares)
    if n_effective < 1.5:
        return -math.inf
    variance = (shares @ (difference - mean).square()) / (n_effective - 1)
    return float(mean - n_standard_errors * variance.sqrt())


def _find_usual_change(difference: Tensor, shares: Tensor) -> float:
    """Return the weighted 95th percentile of the absolute differences."""
    changes, order = difference.abs().sort()
    is_usual = shares[order].cumsum(0) < _SHARE_OF_USUAL_CHANGES
    return float(changes[min(int(is_usual.sum()), len(changes) - 1)])


def _average_groups(values: Tensor, weights: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean and the weight of each group with rows."""
    _, places = groups.unique(return_inverse=True)
    sums = weights.new_zeros(2, int(places.max()) + 1)
    masses, totals = sums.index_add_(1, places, torch.stack([weights, weights * values]))
    return totals / masses, masses
