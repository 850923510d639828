"""Statistics, bounds and covariance of a stored table by a single pass over it."""

import numpy as np

from skae._engine.start.principal_components import is_cheap, is_narrow, loses_digits
from skae._engine.tables.columns import ColumnStatistics, check_squares
from skae._engine.tables.rows import LazyRows, chunk_slices
from skae._engine.tables.standardization import Standardization
from skae._engine.tables.stored import StoredTable
from skae._shared.progress import show_progress
from skae._shared.warning import warn_user
from skae.exceptions import SkaeWarning

# Chunks that fit in the processor's cache, and are tall enough for products.
_CELLS_AT_ONCE = 2**20
# Sorted rows are mixed well if at least this number of blocks are shuffled together.
_ENOUGH_BLOCKS = 8
# In unsorted tables, only a small share of the variance lies between chunks.
_LEAST_SHARE_OF_ORDER = 0.05


class OnePass:
    """Stored table, described by a single pass over it.

    Products of cells are computed in the precision of the network unless that loses digits, and
    sums in double precision. A second pass is made if digits are lost only after the first chunk.
    """

    def __init__(self, X: StoredTable, precision: str):
        self.X = X
        self.precision = np.dtype(np.float64 if is_cheap(*X.shape) else precision)

    def describe_columns(self, shares: np.ndarray) -> ColumnStatistics:
        """Return mean, variance and range of the columns, for weights of the rows that sum to 1."""
        while not self._read(shares):
            self.precision = np.dtype(np.float64)
        check_squares(self.moments.squares, np.arange(self.X.shape[1]))
        self._warn_of_order()
        lowest, highest = self.ends
        return ColumnStatistics(
            self.moments.mean,
            self.moments.squares,
            lowest.values.astype(np.float64),
            highest.values.astype(np.float64),
            n_lowest=lowest.counts,
            n_highest=highest.counts,
        )

    # `check_squares` raises an error if values overflow.
    @np.errstate(over="ignore", invalid="ignore")
    def _read(self, shares: np.ndarray) -> bool:
        """Read the table, or only its first chunk. Return whether the precision was enough."""
        self.moments = _Moments(self.X.shape[1], has_products=is_narrow(*self.X.shape))
        self.ends = [_End(limit, self.X[:1]) for limit in (np.minimum, np.maximum)]
        with show_progress(len(self.X), "Statistics and PCA") as progress:
            for rows in chunk_slices((len(self.X), self.X.shape[1]), cells=_CELLS_AT_ONCE):
                part = self.X[rows]
                for end in self.ends:
                    end.add_(part)
                self.moments.add_(part, shares[rows], self.precision)
                progress.add(len(part))
                if rows.start == 0 and self._loses_digits:
                    return False
        return not self._loses_digits

    @property
    def _loses_digits(self) -> bool:
        """Whether single precision was too low for the products."""
        if self.moments.products is None or self.precision == np.float64:
            return False
        return loses_digits(self.moments.squares, np.median, self.precision)

    def _warn_of_order(self):
        """Warn about sorted rows if blocks are too large to be mixed."""
        total = float(self.moments.squares.sum())
        share = float(self.moments.between.sum()) / total if total > 0 else 0.0
        if self.X.n_shuffled >= _ENOUGH_BLOCKS or share < _LEAST_SHARE_OF_ORDER:
            return
        warn_user(
            f"X seems to be sorted: {share:.0%} of its variance lies between different parts of "
            "the table. Its blocks, such as row groups of Parquet or partitions of Dask, are so "
            f"large that only {self.X.n_shuffled} of {self.X.n_blocks} are shuffled at a time, so "
            "each batch has rows of few parts. Shuffle the rows when you write them, or write "
            "smaller blocks.",
            SkaeWarning,
        )

    def find_covariance(self, mean: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Return the covariance, of shape (n_features, n_features), after `describe_columns`."""
        return np.asarray(self.moments.products)

    def standardise(self, standardization: Standardization) -> LazyRows:
        """Return the rows in the units of the network, read on access."""
        return LazyRows(self.X, standardization)


class _End:
    """Minimum or maximum of each column, and the number of cells that equal it.

    `rows` has the first row, which is not counted yet.
    """

    def __init__(self, limit: np.ufunc, rows: np.ndarray):
        self.limit = limit
        self.values = rows[0]
        self.counts = np.zeros(rows.shape[1], dtype=np.int64)

    def add_(self, rows: np.ndarray):
        values = self.limit.reduce(rows, axis=0)
        counts = np.count_nonzero(rows == values, axis=0)
        both = self.limit(self.values, values)
        self.counts = self.counts * (self.values == both) + counts * (values == both)
        self.values = both


class _Moments:
    """Mean, variance and covariance, combined from those of chunks.

    Without `has_products`, there are only variances.

    References
    ----------
    Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing the sample
    variance. The American Statistician 37. https://doi.org/10.1080/00031305.1983.10483115
    """

    def __init__(self, n_features: int, *, has_products: bool):
        self.share = 0.0
        self.mean = np.zeros(n_features)
        self.squares = np.zeros(n_features)
        self.between = np.zeros(n_features)
        self.products = np.zeros((n_features, n_features)) if has_products else None

    def add_(self, rows: np.ndarray, shares: np.ndarray, precision: np.dtype):
        share = float(shares.sum())
        if share == 0:
            return
        centred = rows.astype(np.float64)
        # Subtracting a row first keeps the digits of columns far from zero.
        first = centred[0].copy()
        centred -= first
        mean = shares @ centred / share
        centred -= mean
        mean += first
        step, factor = mean - self.mean, self.share * share / (self.share + share)
        centred *= np.sqrt(shares)[:, None]
        if self.products is not None:
            scale = 1 / np.sqrt(share)
            own = (centred * scale).astype(precision)
            self.products += share * (own.T @ own).astype(np.float64)
            self.products += np.outer(step * factor, step)
        self.between += factor * step**2
        self.squares += np.square(centred, out=centred).sum(axis=0) + factor * step**2
        self.share += share
        self.mean += step * (share / self.share)
