"""Rows with one odd cell each, which a network sees among the others while it is trained."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Every tenth row has one. On twelve tables, squared errors on new rows fell by a tenth as a
# geometric mean. With one cell taken from another row, the worst of twelve fits fell from 1.4
# times PCA's error to 0.9.
_ROWS_BETWEEN = 10
# A cell moves by so many standard deviations of its column, small moves as often as large ones.
_LEAST_MOVE, _GREATEST_MOVE = 2.0, 30.0


@dataclass(frozen=True)
class OddCells:
    """Noise that moves single cells within the ranges of their columns.

    Rows are often odd in one column alone. A network that has never seen such a row extends what it
    knows of the others, and is wrong about all columns.
    """

    deviations: Tensor
    """Standard deviations of the columns, standardised, of shape (n_features,)."""

    lowest: Tensor
    """Least value of each column, standardised."""

    highest: Tensor
    """Greatest value of each column, standardised."""

    leverage: Tensor
    """Share of a change in each column that PCA's reconstruction follows, in [0, 1]."""

    generator: torch.Generator
    """Source of the columns and the moves."""

    def move_(
        self,
        rows: Tensor,
        weights: Tensor | None,
        *,
        places: Tensor | None = None,
        n_rows: int = 0,
    ) -> Tensor:
        """Move a cell of every tenth row.

        Neither a network nor PCA can follow most of these moves. So a row's weight falls with what
        the move adds to PCA's error, which is 1 for each cell of an ordinary row.

        Parameters
        ----------
        rows : Tensor of shape (..., n_samples, n_features)
            Standardised rows in random order, changed in place.
        weights : Tensor of shape (..., n_samples) or None
            Weights of the rows; equal where None.
        places : Tensor of shape (n_samples,), default=None
            Places of the rows among those of several processes, which make equal draws and move the
            cells of their own rows; all rows where None.
        n_rows : int, default=0
            Number of the rows of these processes.

        Returns
        -------
        weights : Tensor of shape (..., n_samples)
            Their weights from now on.
        """
        chosen: Any = slice(None, None, _ROWS_BETWEEN)
        if places is None:
            odd = rows[..., chosen, :]
            draws = self._draw(*odd.shape[:-1])
        else:
            chosen = (places % _ROWS_BETWEEN == 0).nonzero()[:, 0]
            odd = rows[chosen]
            draws = self._draw(-(-n_rows // _ROWS_BETWEEN))[:, places[chosen] // _ROWS_BETWEEN]
        draws = draws.to(rows.device)
        columns = (draws[0] * rows.shape[-1]).long()
        # The second draw gives the sign by its half, and the size by its place there.
        place = (2 * draws[1]) % 1
        sizes = _LEAST_MOVE * torch.exp(place * math.log(_GREATEST_MOVE / _LEAST_MOVE))
        moves = torch.where(draws[1] < 0.5, -sizes, sizes).to(rows.dtype) * self.deviations[columns]
        cells = columns[..., None]
        before = odd.gather(-1, cells)[..., 0]
        after = torch.clamp(before + moves, self.lowest[columns], self.highest[columns])
        odd.scatter_(-1, cells, after[..., None])
        if places is not None:
            rows[chosen] = odd
        added = (after - before).square() * (1 - self.leverage[columns]) / rows.shape[-1]
        weights = rows.new_ones(rows.shape[:-1]) if weights is None else weights.clone()
        weights[..., chosen] /= 1 + added
        return weights

    def _draw(self, *shape: int) -> Tensor:
        return torch.rand(2, *shape, generator=self.generator, dtype=torch.float64)
