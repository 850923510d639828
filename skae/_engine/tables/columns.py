"""Mean, variance and range of the features, computed in chunks of rows."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import min_max_axis

from skae._engine.tables.rows import chunk_slices, densify

# A value counts as a bound if at least this number and this share of cells equal it.
_MIN_CELLS_AT_BOUND = 10
_MIN_SHARE_OF_COLUMN = 0.1
_MIN_SHARE_OF_TABLE = 0.005
# Shares sum to one up to this rounding error.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of the features, each an array of shape (n_features,)."""

    mean: np.ndarray
    """Weighted mean, in double precision."""

    variance: np.ndarray
    """Weighted variance, divided by the sum of the weights."""

    lowest: np.ndarray
    """Minimum."""

    highest: np.ndarray
    """Maximum."""

    n_lowest: np.ndarray | None = field(default=None, kw_only=True)
    """Number of cells that equal the minimum. None if they were not counted."""

    n_highest: np.ndarray | None = field(default=None, kw_only=True)
    """Number of cells that equal the maximum. None if they were not counted."""


# `check_squares` raises an error if values overflow.
@np.errstate(over="ignore", invalid="ignore")
def describe_columns(X, shares: np.ndarray) -> ColumnStatistics:
    """Return mean, variance and range of the features, for weights of the rows that sum to 1.

    Rows of weight zero count only for the range. Memory maps are read in chunks.
    """
    lowest, highest = _range(X)
    mean = _mean(X, shares)
    return ColumnStatistics(mean, _variance(X, mean, shares), lowest, highest)


def find_ends(X) -> tuple[np.ndarray, np.ndarray]:
    """Return the minimum and the maximum of the observed cells of each column; NaN without one."""
    if sparse.issparse(X):
        return min_max_axis(X, axis=0)
    # Unlike `min` and `max`, these ignore NaN.
    limits = np.fmin, np.fmax
    blocks = (X[rows] for rows in chunk_slices(X.shape))
    parts = [[limit.reduce(block, axis=0) for limit in limits] for block in blocks]
    lowest, highest = map(list, zip(*parts, strict=True))
    return np.fmin.reduce(lowest, axis=0), np.fmax.reduce(highest, axis=0)


def find_bounds(
    X, statistics: ColumnStatistics, count_cells: Callable[[np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds of the features, inferred from values that pile up at the ends of the range.

    Pixels, shares and counts pile up at their bounds. An end of the range of a feature counts as a
    bound if at least a tenth of its cells equal it. An end of the range of the whole table counts
    as a bound of all features if at least a two-hundredth of all cells equal it. Either takes at
    least ten cells. Bounds are infinite for features without one.

    If `statistics` lacks the numbers of cells at the ends, they are counted by `count_cells`, a
    function of one value per column. None counts them in X.
    """
    lowest, highest = statistics.lowest, statistics.highest
    count_cells = count_cells or functools.partial(count_equal, X)
    n_lowest, n_highest = statistics.n_lowest, statistics.n_highest
    if n_lowest is None or n_highest is None:
        n_lowest, n_highest = count_cells(lowest), count_cells(highest)
    lower = _find_bound(X.shape, lowest, n_lowest, lowest.min(), nowhere=-np.inf)
    upper = _find_bound(X.shape, highest, n_highest, highest.max(), nowhere=np.inf)
    return lower, upper


def _find_bound(shape, end: np.ndarray, counts, of_table, *, nowhere: float) -> np.ndarray:
    n_samples, n_features = shape
    n_at_table_end = counts[end == of_table].sum()
    least_of_table = max(_MIN_CELLS_AT_BOUND, _MIN_SHARE_OF_TABLE * n_samples * n_features)
    if n_at_table_end >= least_of_table:
        bound = np.full(n_features, of_table)
    else:
        bound = np.full(n_features, nowhere)
    at_bound = counts >= max(_MIN_CELLS_AT_BOUND, _MIN_SHARE_OF_COLUMN * n_samples)
    return np.where(at_bound, end, bound)


def count_equal(X, values) -> np.ndarray:
    """Return the number of cells of each column that equal a given value."""
    counts = np.zeros(X.shape[1], dtype=np.int64)
    if sparse.issparse(X):
        equal = X.data == np.asarray(values, dtype=X.dtype)[X.indices]
        counts += np.bincount(X.indices[equal], minlength=X.shape[1])
        n_stored = np.bincount(X.indices, minlength=X.shape[1])
        return counts + (values == 0) * (X.shape[0] - n_stored)
    # Values are cells of X, so they are exact in its precision.
    values = np.asarray(values, dtype=X.dtype)
    for rows in chunk_slices(X.shape):
        counts += np.sum(X[rows] == values, axis=0, dtype=np.int32)
    return counts


def _range(X) -> tuple[np.ndarray, np.ndarray]:
    if sparse.issparse(X):
        lowest, highest = min_max_axis(X, axis=0)
        return np.asarray(lowest, dtype=np.float64), np.asarray(highest, dtype=np.float64)
    slices = chunk_slices(X.shape)
    lowest = np.min([X[rows].min(axis=0) for rows in slices], axis=0)
    highest = np.max([X[rows].max(axis=0) for rows in slices], axis=0)
    return lowest.astype(np.float64), highest.astype(np.float64)


def _mean(X, shares) -> np.ndarray:
    if sparse.issparse(X):
        return np.asarray(X.T @ shares, dtype=np.float64)
    # Summing about the first row keeps the digits of columns far from zero.
    first = np.asarray(X[0], dtype=np.float64)
    mean = np.zeros(X.shape[1])
    for rows in chunk_slices(X.shape):
        mean += shares[rows] @ np.subtract(X[rows], first, dtype=np.float64)
    return first + mean


def _variance(X, mean, shares) -> np.ndarray:
    if sparse.issparse(X):
        # Squared deviations of the stored entries, and of the others, which are zero.
        weights = np.repeat(shares, np.diff(X.indptr))
        squares = _square(np.subtract(X.data, mean[X.indices], dtype=np.float64))
        stored = np.bincount(X.indices, weights, minlength=X.shape[1])
        check_squares(squares, X.indices)
        around = np.bincount(X.indices, weights * squares, minlength=X.shape[1])
        rest = 1 - stored
        return around + np.where(rest > _ROUNDING, rest, 0) * mean**2
    variance = np.zeros(X.shape[1])
    for rows in chunk_slices(X.shape):
        centred = np.subtract(densify(X[rows]), mean, dtype=np.float64)
        squares = _square(centred)
        check_squares(squares.max(axis=0), np.arange(X.shape[1]))
        variance += shares[rows] @ squares
    return variance


def check_squares(squares: np.ndarray, columns: np.ndarray):
    """Raise an error if squared deviations overflow double precision; name the first column.

    `columns` has the index of the column of each square.
    """
    beyond = columns[~np.isfinite(squares)]
    if len(beyond):
        raise ValueError(
            "X must deviate from its mean by less than 1e+150, which double precision can square. "
            f"Got more in column {beyond[0]}. Scale X, or remove the extreme values."
        )


def _square(values: np.ndarray) -> np.ndarray:
    """Square values in place, to infinity where squares overflow."""
    with np.errstate(over="ignore"):
        return np.square(values, out=values)
