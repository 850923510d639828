"""Rows with odd cells, mixed with ordinary rows in training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

# Two of ten rows have one odd cell, and another one has many. On twelve tables, single odd cells
# lowered squared errors on new rows by a tenth in the geometric mean. On new rows with one cell
# from another row, the worst of twelve fits fell from 1.4 times PCA's error to 0.9. Rows with many
# odd cells lowered the errors of rows that are shifted as a whole by a third, and did not change
# those of others.
_ROWS_BETWEEN = 10
_FIRST_ROWS = (0, 2, 5)
# Range of moves, in standard deviations of the columns, drawn uniformly on a logarithmic scale.
_MOVES_OF_ONE, _MOVES_OF_MANY = (2.0, 30.0), (2.0, 10.0)
# Columns with a wider range, in standard deviations, have long tails, and values far from the mean
# may be right. With PCA's reconstruction as the target there, too, the error of a table in which a
# few such rows dominate rose from 0.03 to 0.08 times PCA's.
_LONG_TAILS = 20.0
# Rows take turns with this number of patterns. Drawing one for each row would take longer.
_N_PATTERNS = 16


class OddDraws(NamedTuple):
    """Random numbers for the rows of one epoch."""

    moves: Tensor
    """Uniform draws for columns and moves of the odd rows: (2, ..., n_odd).

    Two sets of rows with a single odd cell are followed by those with many."""

    patterns: Tensor
    """Relative moves of the columns, of shape (n_patterns, n_features)."""


@dataclass(frozen=True)
class OddCells:
    """Noise that moves cells within the ranges of their columns.

    Rows are often odd in only one column, or shifted as a whole. A network that has not been
    trained on such rows extrapolates, and its errors spread to all columns.
    """

    deviations: Tensor
    """Standard deviations of the columns, standardised, of shape (n_features,)."""

    lowest: Tensor
    """Minimum of each column, standardised."""

    highest: Tensor
    """Maximum of each column, standardised."""

    leverage: Tensor
    """Share of a change in each column that PCA's reconstruction follows, in [0, 1]."""

    generator: torch.Generator
    """Generator of the columns and the moves."""

    has_two_ends: Tensor | None = None
    """Mask of the columns in which both ends of the range are common values. None if none has."""

    @property
    def sources(self) -> list[Tensor | None]:
        """Everything on which moves depend, besides the state of the generator."""
        return [self.deviations, self.lowest, self.highest, self.leverage, self.has_two_ends]

    @cached_property
    def _limits(self) -> Tensor:
        """Deviations, minima, maxima, and shares that PCA and targets ignore: (5, n_features)."""
        ignored = 1 - self.leverage
        may_be_right = self.highest - self.lowest > _LONG_TAILS * self.deviations
        if self.has_two_ends is not None:
            may_be_right = may_be_right | self.has_two_ends
        own = ignored.masked_fill(may_be_right, 0)
        return torch.stack([self.deviations, self.lowest, self.highest, ignored, own])

    def move_(
        self, rows: Tensor, weights: Tensor | None, *, places: Tensor | None = None, n_rows: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Move a cell of two of ten rows, and many cells of another one.

        Neither a network nor PCA can follow most of these moves. The weight of a row is therefore
        divided by PCA's error after the moves, in units of its error on an ordinary row.

        A network that followed the move of a single cell would take the row for another one, whose
        other cells differ as well. The cell to reconstruct is therefore what PCA would make of it,
        except in columns where the moved value may be right.

        The rows (..., n_samples, n_features) are standardised and in random order; they are changed
        in place to the rows to reconstruct. Rows with moved cells, as the network sees them, are
        returned with their new weights. If several processes make equal draws and move cells of
        their own rows, `places` are the positions of these among all `n_rows`.
        """
        draws = self.draw(rows.shape if places is None else (n_rows, rows.shape[-1]))
        weights = None if weights is None else weights[None]
        inputs, weights = self.move_epochs_(rows[None], weights, [draws], places)
        return inputs[0], weights[0]

    def draw(self, shape: Sequence[int]) -> OddDraws:
        """Return the draws for rows of a shape (..., n_samples, n_features)."""
        *others, n_rows, n_features = shape
        counts = (len(range(first, n_rows, _ROWS_BETWEEN)) for first in _FIRST_ROWS)
        moves = torch.cat([self._draw(*others, n_odd) for n_odd in counts], -1)
        return OddDraws(moves, self._draw_patterns(n_features))

    def move_epochs_(
        self,
        rows: Tensor,
        weights: Tensor | None,
        draws: Sequence[OddDraws],
        places: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Move cells of the rows of several epochs, which are the first axis, as `move_` does.

        `draws` has the result of `draw` for each epoch, and `places` the positions of the rows
        among those for which the draws were made.
        """
        weights = rows.new_ones(rows.shape[:-1]) if weights is None else weights.clone()
        inputs, device = rows.clone(), rows.device
        own = torch.stack([draw.moves for draw in draws], 1).to(device)
        patterns = torch.stack([draw.patterns for draw in draws]).to(device, rows.dtype)
        chosen, turns = _choose_rows(rows.shape[-2], places)
        if places is not None:
            parts = zip(own.tensor_split(len(turns), -1), turns, strict=True)
            own = torch.cat([part[..., turn.to(device)] for part, turn in parts], -1)
        odd, turns_of_many = torch.cat(chosen).to(device), turns[-1].to(device)
        patterns = patterns.mul_(self.deviations).index_select(1, turns_of_many % _N_PATTERNS)
        n_single = len(odd) - len(turns_of_many)
        added = [
            self._move_single_(inputs, rows, own[..., :n_single], odd[:n_single]),
            self._move_many_(inputs, rows, own[1, ..., n_single:], odd[n_single:], patterns),
        ]
        shares = torch.cat(added, -1).div_(rows.shape[-1]).add_(1)
        weights.index_copy_(-1, odd, weights.index_select(-1, odd).div_(shares))
        return inputs, weights

    def _move_single_(
        self, inputs: Tensor, targets: Tensor, draws: Tensor, chosen: Tensor
    ) -> Tensor:
        """Move one cell of each chosen row, and return the increase of PCA's squared error."""
        n_features = inputs.shape[-1]
        columns = (draws[0] * n_features).long()
        cells = columns + n_features * chosen
        own_inputs, own_targets = (own.view(*own.shape[:-2], -1) for own in (inputs, targets))
        before = own_inputs.gather(-1, cells)
        limits = self._limits.index_select(1, columns.view(-1)).view(5, *columns.shape)
        deviations, lowest, highest, ignored, hidden = limits
        after = _find_moves(draws[1], *_MOVES_OF_ONE).to(inputs.dtype).mul_(deviations).add_(before)
        torch.clamp(after, lowest, highest, out=after)
        own_inputs.scatter_(-1, cells, after)
        own_targets.scatter_(-1, cells, torch.lerp(after, before, hidden))
        return after.sub_(before).square_().mul_(ignored)

    def _move_many_(
        self, inputs: Tensor, targets: Tensor, draws: Tensor, chosen: Tensor, patterns: Tensor
    ) -> Tensor:
        """Move many cells of each chosen row, and return the increase of PCA's squared error."""
        rows = inputs.index_select(-2, chosen)
        sizes = _find_moves(draws, *_MOVES_OF_MANY)[..., None].to(rows.dtype)
        moves = patterns.view(len(patterns), *[1] * (rows.dim() - 3), *patterns.shape[1:])
        # In place, as allocating memory for all these rows costs more than filling it.
        after = torch.mul(moves, sizes).add_(rows).clamp_(self.lowest, self.highest)
        for own in (inputs, targets):
            own.index_copy_(-2, chosen, after)
        # Not a matrix-vector product, whose last bits depend on the number of epochs.
        return after.sub_(rows).square_().mul_(self._limits[3]).sum(-1)

    def _draw(self, *shape: int) -> Tensor:
        return torch.rand(2, *shape, generator=self.generator, dtype=torch.float64)

    def _draw_patterns(self, n_features: int) -> Tensor:
        """Return patterns of moves: equal in all columns, or normal in some of the columns."""
        source, dtype = self.generator, torch.float64
        patterns = torch.randn(_N_PATTERNS, n_features, generator=source, dtype=dtype)
        draws = torch.rand(_N_PATTERNS, n_features + 1, generator=source, dtype=dtype)
        patterns.mul_(draws[:, 1:] < draws[:, :1])[::2].fill_(1)
        return patterns


def _choose_rows(n_rows: int, places: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
    """Return the indices of odd rows of each set, and those of their draws."""
    if places is None:
        places = torch.arange(n_rows)
        chosen = [places[first::_ROWS_BETWEEN] for first in _FIRST_ROWS]
        return chosen, [places[: len(own)] for own in chosen]
    chosen = [(places % _ROWS_BETWEEN == first).nonzero()[:, 0] for first in _FIRST_ROWS]
    return chosen, [places[own] // _ROWS_BETWEEN for own in chosen]


def _find_moves(draws: Tensor, least: float, greatest: float) -> Tensor:
    """Turn uniform draws into moves. The half of a draw gives the sign, the rest the size."""
    sizes = (2 * draws).frac_().mul_(math.log(greatest / least)).exp_().mul_(least)
    return sizes.copysign_(draws - 0.5)
