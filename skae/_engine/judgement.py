"""How networks do on rows that they have not seen, and when one does better than another."""

from dataclasses import dataclass

import torch
from torch import Tensor

# The mean improvement must be so many times its own standard error.
_STANDARD_ERRORS = 2.5
# No row's improvement counts for more than what this share of the rows has changed by at most.
# Otherwise a single row that has improved a thousandfold widens the standard error until nothing
# is clear, and tables with long tails stay at PCA. Rows that are worse count in full.
_SHARE_OF_USUAL_CHANGES = 0.95
# Share by which nested codes may exceed PCA's error, or the start's loss, with any number of them.
# Where PCA has left nothing but noise, whatever is learned for fewer codes costs so much.
TOLERATED_RISE = 0.01
_TINY = 1e-30


@dataclass(frozen=True)
class Judgement:
    """Losses and errors of rows, each by a network that was not trained on it."""

    losses: Tensor
    """Losses that training minimises, of shape (n_samples,)."""

    errors: Tensor
    """Mean squared error of each row's cells in standardised units, of shape (n_samples,)."""

    stage_losses: Tensor | None = None
    """Losses with fewer codes, of shape (n_samples, n_levels); None where none are judged."""


def find_rises(before: Judgement, after: Judgement, weights: Tensor | None = None) -> Tensor:
    """Return by how much the mean loss has risen with each number of codes that is judged.

    Parameters
    ----------
    before, after : Judgement
        Judgements of the same rows.
    weights : Tensor of shape (n_samples,), default=None
        Weights of the rows; equal where None.

    Returns
    -------
    rises : Tensor of shape (n_levels,)
        Rises as shares of the loss before, in double precision on the CPU; negative where it has
        fallen. Empty where only all codes together are judged.
    """
    if before.stage_losses is None or after.stage_losses is None:
        return torch.zeros(0, dtype=torch.float64)
    first, second = (
        torch.tensor([mean_of_rows(own, weights) for own in losses.T], dtype=torch.float64)
        for losses in (before.stage_losses, after.stage_losses)
    )
    return (second - first) / first.abs().clamp_min(_TINY)


def is_nowhere_worse(before: Judgement, after: Judgement, weights: Tensor | None = None) -> bool:
    """Tell whether no number of codes pays for what others gain.

    The loss may rise by a hundredth with some number of codes, but by no more than the share by
    which the loss falls on average over all.

    Parameters
    ----------
    before, after : Judgement
        Judgements of the same rows.
    weights : Tensor of shape (n_samples,), default=None
        Weights of the rows; equal where None.

    Returns
    -------
    is_nowhere_worse : bool
        True where only all codes together are judged.
    """
    rises = find_rises(before, after, weights)
    loss, new_loss = (mean_of_rows(own.losses, weights) for own in (before, after))
    fall = (loss - new_loss) / max(abs(loss), _TINY)
    return bool((rises <= min(TOLERATED_RISE, max(fall, 0.0))).all())


def find_row_errors(reconstruction: Tensor, rows: Tensor) -> Tensor:
    """Return the mean squared error of each row's cells; missing ones count as zero."""
    differences = reconstruction - rows
    if rows.is_cuda:
        # Looking for missing cells takes less time than waiting for the answer.
        differences.masked_fill_(rows.isnan(), 0)
    sums = torch.linalg.vector_norm(differences, dim=-1).square_()
    if not rows.is_cuda and sums.isnan().any():
        sums = differences.masked_fill_(rows.isnan(), 0).square_().sum(-1)
    return sums.div_(rows.shape[-1])


def mean_of_rows(values: Tensor, weights: Tensor | None = None) -> float:
    """Return the weighted mean of a number for each row.

    Parameters
    ----------
    values : Tensor of shape (n_samples,)
        The numbers.
    weights : Tensor of shape (n_samples,), default=None
        Weights of the rows, in double precision on the CPU; equal where None.

    Returns
    -------
    mean : float
        Their mean.
    """
    if weights is None:
        return float(values.mean())
    return float(values.cpu().double() @ weights / weights.sum())


def is_clear_improvement(
    before: Tensor, after: Tensor, weights: Tensor | None = None, groups: Tensor | None = None
) -> bool:
    """Tell whether losses of the same rows have fallen by more than chance would let them.

    Parameters
    ----------
    before, after : Tensor of shape (n_samples,)
        Loss of each row under the two models.
    weights : Tensor of shape (n_samples,), default=None
        Weights of the rows; equal where None.
    groups : Tensor of shape (n_samples,), default=None
        Number of each row's group. Rows of one group tell the same, so that groups are counted
        instead of rows.

    Returns
    -------
    is_clear : bool
        Whether the mean of the differences exceeds 2.5 times its standard error. Improvements are
        cut at the 95th percentile of the absolute differences; rows that are worse count in full.
    """
    difference = (before - after).double().cpu()
    weights = torch.ones_like(difference) if weights is None else weights.double().cpu()
    if groups is not None:
        difference, weights = _average_groups(difference, weights, groups)
    shares = weights / weights.sum()
    difference = difference.clamp_max(_find_usual_change(difference, shares))
    mean = shares @ difference
    # n / (n - 1) with the effective number of rows in the place of n.
    n_effective = 1 / (shares @ shares)
    if n_effective < 1.5:
        return False
    variance = (shares @ (difference - mean).square()) / (n_effective - 1)
    return bool(mean > _STANDARD_ERRORS * variance.sqrt())


def _find_usual_change(difference: Tensor, shares: Tensor) -> float:
    """Return the absolute difference that rows of 95 % of the weight do not exceed."""
    changes, order = difference.abs().sort()
    is_usual = shares[order].cumsum(0) < _SHARE_OF_USUAL_CHANGES
    return float(changes[min(int(is_usual.sum()), len(changes) - 1)])


def _average_groups(values: Tensor, weights: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean of each group that has rows, and its weight."""
    _, places = groups.unique(return_inverse=True)
    sums = weights.new_zeros(2, int(places.max()) + 1)
    masses, totals = sums.index_add_(1, places, torch.stack([weights, weights * values]))
    return totals / masses, masses
