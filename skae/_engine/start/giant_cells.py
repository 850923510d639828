"""Weights of rows with a single cell so large that a fit would be about that cell alone."""

import numpy as np
import torch

from skae._engine.compute.ranks import Alone
from skae._engine.tables.rows import chunk_slices, densify, sample_evenly

# A cell is giant if its deviation is above this multiple of the usual length of a row.
_GIANT = 100.0
# Room for sums of squares below the largest number, as factor.
_ROOM = 100.0
# With more of them, in shares of the rows, they belong to the table.
_FEW = 0.001
# Rows from which medians are computed, of which wide tables have fewer.
_LEAST_SAMPLED, _MOST_SAMPLED = 25, 2000
_SAMPLED_CELLS = 2**22


# Rows whose squares overflow have no giant cells: the rest of such a row is not known.
@np.errstate(over="ignore")
def limit_weights(
    X, weights: np.ndarray | None, ranks: Alone, dtype: str = "float32"
) -> np.ndarray | None:
    """Return weights with which rows with giant cells count no more than the longest other rows.

    Squared errors of such a row exceed those of all other rows together, and an optimiser whose
    steps depend on the size of recent gradients would hardly move for the others. The weights are
    unchanged if no row has a giant cell, or if many have one. Missing cells count as usual ones. If
    ranks have rows of their own, all of them decide together. Cells that `dtype` cannot square in
    the unit of the other rows are refused.
    """
    n_sampled = max(_LEAST_SAMPLED, min(_MOST_SAMPLED, _SAMPLED_CELLS // X.shape[1]))
    sample = densify(X[sample_evenly(X.shape[0], n_sampled)]).astype(np.float64)
    sample = sample if ranks.shared else ranks.gather(torch.from_numpy(sample)).numpy()
    centre = _find_centre(sample)
    parts = [_measure(densify(X[rows]), centre) for rows in chunk_slices(X.shape)]
    squares, largest = np.concatenate(parts, axis=1)
    everywhere = squares if ranks.shared else ranks.gather(torch.from_numpy(squares)).numpy()
    if not (everywhere > 0).any():
        return weights
    usual = np.median(everywhere[everywhere > 0])
    greatest = _GIANT**2 * usual
    is_known = np.isfinite(squares)
    others = np.subtract(squares, largest, out=np.full_like(squares, np.inf), where=is_known)
    is_giant = (largest > greatest) & (others < greatest)
    n_giant = is_giant.sum() if ranks.shared else ranks.add(float(is_giant.sum()))
    if not 0 < n_giant <= max(1, _FEW * len(everywhere)):
        return weights
    _check_size(np.where(is_giant, largest, 0), usual / X.shape[1], dtype)
    factors = np.where(is_giant, greatest / np.maximum(squares, greatest), 1.0)
    return factors if weights is None else weights * factors


def _check_size(squares: np.ndarray, unit: float, dtype: str):
    """Raise an error for squares of rows that overflow in a squared unit."""
    most, row = float(np.finfo(dtype).max) / _ROOM * unit, squares.argmax()
    if squares[row] > most:
        raise ValueError(
            f"X must deviate from the medians of its columns by less than {np.sqrt(most):.0e}, "
            f"which {dtype} can square beside the other rows. Got {np.sqrt(squares[row]):.3g} in "
            f"row {row}. Correct or remove that value, or set dtype='float64'."
        )


def _find_centre(sample: np.ndarray) -> np.ndarray:
    """Return the medians of the columns, 0 without any value."""
    if np.isnan(sample).any():
        sample[:, np.isnan(sample).all(axis=0)] = 0
        return np.nanmedian(sample, axis=0)
    return np.median(sample, axis=0)


def _measure(rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the square of the length of each row, and of its largest cell, (2, n_rows)."""
    squares = np.square(rows - centre)
    squares[np.isnan(squares)] = 0
    return np.stack([squares.sum(axis=1), squares.max(axis=1)])
