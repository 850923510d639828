"""PCA of weighted, sparse, wide, tall and memory-mapped tables, the start of networks."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import linalg, sparse

from skae._engine.tables.columns import ColumnStatistics
from skae._engine.tables.rows import chunk_slices, densify
from skae._shared.progress import WORK, show_progress

# Up to this width, the covariance matrix is small enough for a full decomposition.
_MAX_COVARIANCE_FEATURES = 2000
# Up to this number of rows, a wide table is decomposed exactly by inner products of its rows.
_MAX_GRAM_SAMPLES = 2000
# Up to this number of multiplications, double precision is cheap.
_CHEAP_PRODUCTS = 2e9
# Wide tables with more cells are decomposed by inner products even if that loses digits.
_MAX_CELLS_OF_SVD = 2**26
# Rounding errors of a covariance may be this share of the variances.
_TOLERATED_ROUNDING = 1e-3
_N_OVERSAMPLES = 10
_N_POWER_ITERATIONS = 4
_FIRST_GUESS = 64
# Smaller coordinates, which rounding leaves in constant columns, would be denormal in single
# precision. Processors compute far more slowly with such numbers.
_LEAST_COORDINATE = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class PrincipalComponents:
    """PCA of the training rows."""

    components: np.ndarray
    """Orthonormal axes, of shape (n_found, n_features), by descending variance."""

    explained_variance: np.ndarray
    """Weighted variance along each axis, of shape (n_found,)."""

    unexplained: float | None = field(default=None, kw_only=True)
    """Variance that the axes do not explain. None if it is the difference from the total."""

    def find_unexplained(self, total: float) -> float:
        """Return the unexplained part of a total variance, summed over the columns."""
        if self.unexplained is not None:
            return self.unexplained
        return max(total - float(self.explained_variance.sum()), 0.0)


def find_principal_components(
    X,
    statistics: ColumnStatistics,
    shares,
    n_components,
    *,
    precision=np.float64,
    find_covariance: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> PrincipalComponents:
    """Return the leading principal components of the rows of X.

    `n_components` is their number, or the share of variance that they must explain. Axes without
    variance are omitted, so there may be fewer. `shares` are weights of the rows that sum to 1, as
    in `statistics`. If there are many products, they have the given precision. `find_covariance` is
    a function of mean and shares that returns the covariance in double precision; None computes it
    from X, which is read in chunks.
    """
    n_samples, n_features = X.shape
    mean, total = statistics.mean, float(statistics.variance.sum())
    needs_svd = loses_digits(statistics.variance, np.min, np.float64)
    if is_narrow(*X.shape):
        if needs_svd:
            return from_triangle(find_triangle(X, mean, shares), n_components)
        if find_covariance is not None:
            return from_covariance(find_covariance(mean, shares), n_components)
        if is_cheap(*X.shape) or loses_digits(statistics.variance, np.median, precision):
            precision = np.float64
        return from_covariance(sum_covariance(X, mean, shares, precision), n_components)
    table = _CentredTable(X, mean, shares)
    if n_samples <= min(n_features, _MAX_GRAM_SAMPLES):
        if needs_svd and n_samples * n_features <= _MAX_CELLS_OF_SVD:
            return from_triangle(find_triangle(X, mean, shares), n_components)
        return _from_gram(table, total, n_components)
    return _from_randomized(table, total, n_components)


def from_covariance(covariance, n_components) -> PrincipalComponents:
    """Return the leading principal components of a covariance matrix.

    `n_components` is their number, or the share of variance that they must explain.
    """
    n_features = len(covariance)
    total = float(np.trace(covariance))
    subset = None
    if not isinstance(n_components, float) and n_components < n_features:
        subset = (n_features - n_components, n_features - 1)
    variances, axes = linalg.eigh(covariance, subset_by_index=subset, check_finite=False)
    return _select(axes.T[::-1], variances[::-1], total, n_components)


def _count_axes(variances, total, n_components, rounding) -> int:
    """Return the number of axes, without those whose variance is below rounding errors."""
    count = n_components
    if isinstance(n_components, float):
        reached = np.cumsum(variances) >= n_components * total * (1 - 1e-12)
        count = 1 + int(np.argmax(reached)) if reached.any() else len(variances)
    return min(count, int(np.sum(variances > rounding * total)))


def _select(axes, variances, total, n_components, rounding=None) -> PrincipalComponents:
    """Select the requested axes that have variance, and make their signs deterministic."""
    rounding = _rounding(axes.shape[1]) if rounding is None else rounding
    count = _count_axes(variances, total, n_components, rounding)
    axes = np.where(np.abs(axes[:count]) < _LEAST_COORDINATE, 0, axes[:count])
    signs = np.sign(axes[np.arange(count), np.abs(axes).argmax(axis=1)])
    return PrincipalComponents(axes * signs[:, None], variances[:count])


def _rounding(n_features) -> float:
    """Return the relative rounding error of a sum of `n_features` squares."""
    return float(np.finfo(float).eps) * n_features


def sum_covariance(X, mean, shares, precision) -> np.ndarray:
    """Return the weighted covariance, summed over chunks in double precision."""
    covariance = np.zeros((X.shape[1], X.shape[1]))
    roots = np.sqrt(shares * len(shares)).astype(precision)
    with show_progress(X.shape[0], "PCA") as progress:
        for rows in chunk_slices(X.shape, cells=2**22):
            dense = densify(X[rows])
            centred = np.empty(dense.shape, dtype=precision)
            # Computed in double precision, then rounded.
            np.subtract(dense, mean, out=centred, casting="same_kind")
            centred *= roots[rows, None]
            covariance += centred.T @ centred
            progress.add(len(centred))
    return covariance / len(shares)


def is_narrow(n_samples: int, n_features: int) -> bool:
    """Return whether a table of this shape is decomposed by its covariance."""
    return n_features <= min(_MAX_COVARIANCE_FEATURES, max(2 * n_samples, 64))


def is_cheap(n_samples: int, n_features: int) -> bool:
    """Return whether a covariance in double precision takes little time."""
    return n_samples * n_features**2 < _CHEAP_PRODUCTS


def loses_digits(variances: np.ndarray, typical: Callable, precision) -> bool:
    """Return whether rounding erases the variance of small columns from a covariance.

    A single giant cell is enough, as its square is in the same matrix as all other columns.
    `typical` returns, of the positive variances, the one whose digits count.
    """
    positive = variances[variances > 0]
    if len(positive) == 0:
        return False
    rounding = np.finfo(precision).eps * positive.max()
    return bool(rounding > _TOLERATED_ROUNDING * typical(positive))


def find_triangle(X, mean, shares) -> np.ndarray:
    """Return a triangular matrix with the singular values and axes of weighted, centred rows.

    It is computed from chunks of rows, without sums of squares.
    """
    triangle = np.empty((0, X.shape[1]))
    roots = np.sqrt(shares)
    for rows in chunk_slices(X.shape, cells=2**22):
        centred = np.subtract(densify(X[rows]), mean, dtype=np.float64)
        centred *= roots[rows, None]
        stacked = np.vstack([triangle, centred])
        triangle = linalg.qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0]
        triangle = triangle[: X.shape[1]]
    return triangle


def from_triangle(triangle, n_components) -> PrincipalComponents:
    """Return the leading principal components of rows, given the matrix of `find_triangle`."""
    _, singular_values, axes = linalg.svd(triangle, full_matrices=False, check_finite=False)
    variances = singular_values**2
    # Singular values are exact up to rounding, and their squares up to its square.
    rounding = _rounding(len(axes[0])) ** 2
    found = _select(axes, variances, float(variances.sum()), n_components, rounding)
    return replace(found, unexplained=float(variances[len(found.components) :].sum()))


class _CentredTable:
    """Centred rows times the square roots of their weights, `shares`, computed in chunks."""

    def __init__(self, X, mean: np.ndarray, shares: np.ndarray):
        self.X, self.mean, self.roots = X, mean, np.sqrt(shares)
        self.shape = X.shape

    def slices(self, n_columns: int) -> list[slice]:
        """Return slices of rows for products with `n_columns` columns."""
        # Sparse chunks are not converted to arrays.
        width = n_columns if sparse.issparse(self.X) else max(n_columns, self.shape[1])
        return chunk_slices((self.shape[0], width), cells=2**22)

    def take(self, rows: slice) -> np.ndarray:
        """Return a slice of the rows in double precision, of shape (n, n_features)."""
        centred = np.subtract(densify(self.X[rows]), self.mean, dtype=np.float64)
        return centred * self.roots[rows, None]

    def multiply(self, right: np.ndarray) -> np.ndarray:
        """Return the product with a matrix of shape (n_features, n)."""
        slices = self.slices(right.shape[1])
        return np.vstack([self._multiply_part(self.X[rows], rows, right) for rows in slices])

    def multiply_transposed(self, left: np.ndarray) -> np.ndarray:
        """Return the transpose times a matrix of shape (n_samples, n)."""
        slices = self.slices(left.shape[1])
        parts = (self._transpose_part(self.X[rows], rows, left[rows]) for rows in slices)
        return _add(parts, (self.shape[1], left.shape[1]))

    def multiply_twice(self, right: np.ndarray) -> np.ndarray:
        """Return the covariance times a matrix of shape (n_features, n), in one pass over X."""
        work = WORK.get()

        def parts():
            for rows in self.slices(right.shape[1]):
                part = self.X[rows]
                yield self._transpose_part(part, rows, self._multiply_part(part, rows, right))
                work.add(part.shape[0])

        return _add(parts(), right.shape)

    def _multiply_part(self, part, rows: slice, right: np.ndarray) -> np.ndarray:
        return self.roots[rows, None] * (part @ right - self.mean @ right)

    def _transpose_part(self, part, rows: slice, left: np.ndarray) -> np.ndarray:
        left = self.roots[rows, None] * left
        return part.T @ left - np.outer(self.mean, left.sum(axis=0))


def _add(parts, shape) -> np.ndarray:
    total = np.zeros(shape)
    for part in parts:
        total += part
    return total


def _from_gram(table: _CentredTable, total, n_components) -> PrincipalComponents:
    """Decompose a wide table by the inner products of its rows."""
    # In chunks, as an array of all rows could be far larger than a sparse X.
    slices = chunk_slices(table.shape, cells=2**24)
    gram = np.hstack([table.multiply(table.take(rows).T) for rows in slices])
    variances, vectors = linalg.eigh((gram + gram.T) / 2, check_finite=False)
    variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
    count = _count_axes(variances, total, n_components, _rounding(table.shape[1]))
    axes = table.multiply_transposed(vectors[:, :count]).T
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return _select(axes, variances[:count], total, n_components)


def _from_randomized(table: _CentredTable, total, n_components) -> PrincipalComponents:
    """Decompose a large table approximately, with more axes until they explain enough variance."""
    rank = min(table.shape)
    count = _FIRST_GUESS if isinstance(n_components, float) else n_components
    while True:
        count = min(count, rank)
        axes, variances = _randomized(table, count)
        enough = isinstance(n_components, int) or variances.sum() >= n_components * total
        if enough or count == rank:
            return _select(axes, variances, total, n_components)
        count *= 2


def _randomized(table: _CentredTable, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return axes and variances by the method of Halko et al. (doi:10.1137/090771806).

    Each power iteration, and the projection after the last, is one pass over the rows. Memory does
    not depend on the number of rows.
    """
    size = min(count + _N_OVERSAMPLES, *table.shape)
    basis = np.random.default_rng(0).standard_normal((table.shape[1], size))
    with show_progress((_N_POWER_ITERATIONS + 1) * table.shape[0], "PCA"):
        for _ in range(_N_POWER_ITERATIONS):
            basis = linalg.qr(table.multiply_twice(basis), mode="economic", check_finite=False)[0]
        projected = basis.T @ table.multiply_twice(basis)
    variances, turn = linalg.eigh((projected + projected.T) / 2, check_finite=False)
    axes = (basis @ turn[:, ::-1]).T
    return axes[:count], np.maximum(variances[::-1], 0)[:count]
