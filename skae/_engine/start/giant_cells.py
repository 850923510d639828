"""Rows with cells so large that a fit would be about these cells alone."""

import numpy as np
import torch

from skae._engine.compute.ranks import RANKS
from skae._engine.tables.columns import find_ends
from skae._engine.tables.rows import chunk_slices, densify, sample_evenly
from skae._shared.warning import warn_user
from skae.exceptions import OutlyingCellWarning

# A giant cell is at least this multiple of the usual largest deviation in a row, and so large that
# its square alone exceeds those of all other rows together.
_LEAST_GIANT = 100.0
# Number of powers of ten by which cells are sorted. Between giant cells and the other cells of
# their column, two are empty. In long tails, sizes lie closer to each other.
_N_LEVELS = 40
# Rows that are left out: this number (but at most a share) or another share, the larger one.
_FEW, _GREATEST_SHARE, _FEW_SHARE = 5, 0.05, 0.001
# If more than this share of the rows have giant cells, these are no surprise.
_MANY_SHARE = 0.1
# Rows from which medians are computed, of which wide tables have fewer.
_LEAST_SAMPLED, _MOST_SAMPLED = 25, 2000
_SAMPLED_CELLS = 2**22


@np.errstate(over="ignore")
def find_rows_without_giants(X, *, masked: bool) -> np.ndarray | None:
    """Return a mask of the rows without giant cells, and warn of the others.

    PCA would spend an axis on such a cell, and an optimiser whose steps depend on the size of
    recent gradients would hardly move for the other rows. Missing cells count as usual ones. If
    ranks have rows of their own, all of them decide together. None if no row is to be left out, or
    if many have giant cells, which then belong to the table.
    """
    ranks = RANKS.get()
    centre, unit = _find_bulk(X)
    lowest, highest = find_ends(X)
    farthest = ranks.greatest(np.nan_to_num(np.fmax(highest - centre, centre - lowest)))
    n_rows = ranks.count(X.shape[0])
    least = max(_LEAST_GIANT, np.sqrt(n_rows)) * unit
    columns = np.flatnonzero(farthest >= least)
    if unit == 0 or len(columns) == 0:
        return None
    is_giant = _find_giants(X, columns, centre, unit, least)
    n_giant = round(ranks.add(float(is_giant[ranks.own(len(is_giant))].sum())))
    if not 0 < n_giant <= max(1, _MANY_SHARE * n_rows):
        return None
    are_few = n_giant <= max(1, min(_FEW, _GREATEST_SHARE * n_rows), _FEW_SHARE * n_rows)
    worst = columns[farthest[columns].argmax()]
    # In imputers, column indices differ from those of the user.
    _warn("A column" if masked else f"Column {worst}", farthest[worst], n_giant, are_few)
    return ~is_giant if are_few else None


def _find_bulk(X) -> tuple[np.ndarray, float]:
    """Return medians of the columns, and the usual largest deviation from them in a row."""
    ranks = RANKS.get()
    n_sampled = max(_LEAST_SAMPLED, min(_MOST_SAMPLED, _SAMPLED_CELLS // X.shape[1]))
    chosen = sample_evenly(X.shape[0], n_sampled)
    own = densify(X[chosen[ranks.own(len(chosen))]]).astype(np.float64, copy=False)
    sample = ranks.gather(torch.from_numpy(own)).numpy()
    is_missing = np.isnan(sample)
    sample[:, is_missing.all(axis=0)] = 0
    centre = (np.nanmedian if is_missing.any() else np.median)(sample, axis=0)
    sample -= centre
    largest = np.nan_to_num(np.abs(sample, out=sample), copy=False).max(axis=1)
    return centre, float(np.median(largest[largest > 0])) if largest.any() else 0.0


def _find_giants(X, columns, centre, unit: float, least: float) -> np.ndarray:
    """Return a mask of the rows with giant cells in some columns."""

    def sort(rows):
        cells = np.nan_to_num(np.abs(densify(X[rows])[:, columns] - centre[columns]))
        powers = np.log10(np.maximum(cells / unit, 0.1)).clip(max=_N_LEVELS - 2)
        return np.floor(powers).astype(int) + 1, cells >= least

    slices = chunk_slices(X.shape)
    is_taken = np.zeros((len(columns), _N_LEVELS + 2))
    for rows in slices:
        is_taken[np.arange(len(columns)), sort(rows)[0]] = 1
    is_taken = RANKS.get().greatest(is_taken)
    # The first level above which two are empty.
    ends = (is_taken[:, 1:-1] + is_taken[:, 2:] == 0).argmax(axis=1)
    parts = (((levels > ends) & are_far).any(axis=1) for levels, are_far in map(sort, slices))
    return np.concatenate(list(parts))


def _warn(column: str, deviation: float, n_giant: int, are_few: bool):
    rows = "its row" if n_giant == 1 else f"{n_giant} rows with such cells"
    fate = f"the fit leaves out {rows}" if are_few else f"the fit may be about {rows} alone"
    warn_user(
        f"{column} of X has a cell so large that {fate}: it is {deviation:.3g} from the median. "
        "Correct such cells if they are errors, or take the logarithm of the column.",
        OutlyingCellWarning,
    )
