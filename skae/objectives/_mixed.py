"""Loss of numbers and categories, relative to the baseline of each column."""

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor

from skae._shared.blocks import ColumnBlocks, count_columns, repeat_for_columns
from skae.objectives._reconstruction import PreparedLoss, ReconstructionLoss
from skae.objectives._units import ColumnUnits

# Entropies of categories count as at least this, which limits the weight of almost constant ones.
LEAST_ENTROPY = 0.02


class MixedLoss(ReconstructionLoss):
    """Squared error of numbers and cross-entropy of categories, relative to their baselines.

    The baseline of a number is its mean, and the baseline of a category the shares of its levels. A
    column that is reconstructed no better than that has a loss of 1. The loss of a row is the mean
    over its columns, whatever their numbers of levels. Estimators use this loss for data frames
    with columns of several kinds.

    Parameters
    ----------
    levels : sequence of int
        Number of levels of each column, which is its number of columns in X. 0 means a number,
        which has one column in X.
    factors : sequence of float
        Factor of each column that converts its columns of X to 0 and 1. For numbers, the factor
        that gives variance 1.
    parts : sequence of int, default=None
        Numbers of successive columns that are parts of the same category, whose probability is the
        product of theirs; 1 for other columns. None means that no category has parts.

    Examples
    --------
    A number and a category of two levels, which are reconstructed well in the first row and only as
    well as by the baseline in the second:

    >>> import torch
    >>> from skae.objectives import ColumnUnits, MixedLoss
    >>> units = ColumnUnits(torch.tensor([0.0, 0.5, 0.5]))
    >>> loss = MixedLoss(levels=(0, 2), factors=(1.0, 1.0)).prepare(units)
    >>> rows = torch.tensor([[1.0, 0.5, -0.5], [1.0, 0.5, -0.5]])
    >>> loss.rows(torch.tensor([[1.0, 9.0, 0.0], [0.0, 0.0, 0.0]]), rows).round(decimals=3)
    tensor([0., 1.])
    """

    is_error = True
    must_beat_pca = True

    def __init__(
        self, levels: Sequence[int], factors: Sequence[float], parts: Sequence[int] | None = None
    ):
        self.levels = levels
        self.factors = factors
        self.parts = parts

    @property
    def link(self) -> tuple:  # type: ignore[override]
        return "mixed", tuple(self.levels), tuple(self.factors)

    @property
    def sizes(self) -> list[int]:
        """Number of columns of X for each column of the data frame."""
        sizes = iter([max(1, own) for own in self.levels])
        parts = [1] * len(self.levels) if self.parts is None else self.parts
        return [sum(islice(sizes, own)) for own in parts]

    @property
    def cell_shares(self) -> list[float]:  # type: ignore[override]
        """Share of each column of X in its column of the data frame."""
        return repeat_for_columns([1 / own for own in self.sizes], self.sizes)

    @property
    def holds_numbers(self) -> list[bool]:  # type: ignore[override]
        """Whether each column of X holds numbers: indicators are 0 or 1, and one of them is 1."""
        return [not own for own in self.levels for _ in range(max(1, own))]

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the loss of each column of X. The mean is the loss of the row."""
        return self.prepare(units).cells(output, target)

    def prepare(
        self, units: ColumnUnits | None = None, *, masked: bool = False
    ) -> "PreparedMixedLoss":
        if units is None:
            units = ColumnUnits(torch.zeros(count_columns(self.levels), device="cpu"))
        return PreparedMixedLoss(MixedLoss(**self.get_params()), units, masked=masked)


class PreparedMixedLoss(PreparedLoss):
    """Loss of numbers and categories for one table, with the baselines of its columns."""

    factor: Tensor
    weight: Tensor
    loss: MixedLoss
    has_gradient = True

    def __init__(self, loss: MixedLoss, units: ColumnUnits, *, masked: bool = False):
        super().__init__(loss, units, masked=masked)
        self.blocks = ColumnBlocks(loss.levels)
        factor = units.mean.new_tensor(repeat_for_columns(loss.factors, loss.levels))
        weight = self._find_weights(units.mean * factor) * (len(factor) / len(loss.sizes))
        self.register_buffer("factor", factor)
        self.register_buffer("weight", weight)

    def _find_weights(self, shares: Tensor) -> Tensor:
        """Return 1 for numbers, and the inverse entropy of the category for levels."""
        shares = torch.where(self.blocks.is_level, shares.clamp_min(0), 0.0)
        sizes = self.loss.sizes
        own = shares.new_tensor(repeat_for_columns(range(len(sizes)), sizes), dtype=torch.int64)
        entropies = shares.new_zeros(len(sizes))
        entropies.index_add_(0, own, -torch.xlogy(shares, shares))
        weights = 1 / entropies.clamp_min(LEAST_ENTROPY)
        return torch.where(self.blocks.is_level, weights[own], 1.0)

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each column of X, 0 for missing cells."""
        output, target, missing = self._complete(output, target)
        cells = self._weigh(output, target, self.blocks.log_softmax(output))
        return cells if missing is None else cells.masked_fill(missing, 0)

    def columns(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each column relative to its baseline, NaN for missing cells.

        A loss of 1 means that a column is reconstructed as well as by its baseline.
        """
        cells = self.cells(output, target.nan_to_num(0.0)).masked_fill(target.isnan(), torch.nan)
        sizes = self.loss.sizes
        columns = [own.sum(-1) for own in cells.split(sizes, -1)]
        # Shares that are restored from standardised rows may be negative by rounding.
        return torch.stack(columns, -1).clamp_min(0) * (len(sizes) / cells.shape[-1])

    def rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        missing = None
        if self.masked:
            missing = target.isnan()
            target = target.masked_fill(missing, 0)
            output.masked_fill_(missing, 0)
        log_shares = self.blocks.log_softmax(output)
        cells = self._weigh(output, target, log_shares)
        of_numbers = (output - target) * (2 * (self.factor * self.units.scale).square())
        of_levels = log_shares.exp_() - self.restore_shares(target)
        gradient = torch.where(self.blocks.is_level, of_levels, of_numbers).mul_(self.weight)
        if missing is not None:
            cells, gradient = cells.masked_fill_(missing, 0), gradient.masked_fill_(missing, 0)
        return cells.mean(-1), torch.mul(gradient, factor, out=output)

    def restore_shares(self, target: Tensor) -> Tensor:
        """Return shares of levels, of the shape of standardised rows. Not valid for numbers."""
        return self.units.restore(target) * self.factor

    def _weigh(self, output: Tensor, target: Tensor, log_shares: Tensor) -> Tensor:
        """Return the loss of each column of X for complete rows."""
        of_numbers = (output - target).square() * (self.factor * self.units.scale).square()
        of_levels = -self.restore_shares(target) * log_shares
        return torch.where(self.blocks.is_level, of_levels, of_numbers) * self.weight
