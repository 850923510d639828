"""Number of principal components by parallel analysis."""

import numpy as np
from scipy import linalg

from skae._engine.tables.rows import densify, sample_evenly

_N_SHUFFLES = 20
_QUANTILE = 0.95
_SEED = 0
# Maximum number of cells and minimum number of rows of the shuffled sample.
_MOST_CELLS = 2**21
_FEWEST_ROWS = 500


def count_components(X, weights: np.ndarray | None = None) -> int:
    """Return the number of principal components by parallel analysis, at least 1.

    A component counts if it explains more variance than the component of the same rank in 95 % of
    the tables whose columns are shuffled independently. Counting stops at the first component that
    does not. Evenly spaced rows are used if the table is large. Missing cells count as the mean of
    their column.

    References
    ----------
    Horn, J. L. (1965). A rationale and test for the number of factors in factor analysis.
    Psychometrika 30. https://doi.org/10.1007/BF02289447

    Buja, A. and Eyuboglu, N. (1992). Remarks on parallel analysis. Multivariate Behavioral Research
    27. https://doi.org/10.1207/s15327906mbr2704_2
    """
    n_drawn = max(_FEWEST_ROWS, _MOST_CELLS // X.shape[1])
    rows = _centre(densify(X[sample_evenly(X.shape[0], n_drawn, weights)]))
    generator = np.random.default_rng(_SEED)
    shuffled = [_find_variances(generator.permuted(rows, axis=0)) for _ in range(_N_SHUFFLES)]
    is_more = _find_variances(rows) > np.quantile(shuffled, _QUANTILE, axis=0)
    return max(1, len(is_more) if is_more.all() else int(np.argmin(is_more)))


def _centre(rows: np.ndarray) -> np.ndarray:
    """Return centred rows in double precision, with filled cells and a largest value of 1."""
    rows = rows.astype(np.float64)
    missing = np.isnan(rows)
    rows[missing] = 0
    means = rows.sum(axis=0) / np.maximum(1, len(rows) - missing.sum(axis=0))
    rows = np.where(missing, 0, rows - means)
    return rows / (np.abs(rows).max(initial=0.0) or 1.0)


def _find_variances(rows: np.ndarray) -> np.ndarray:
    """Return squared singular values in descending order, without those that must be zero."""
    product = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    return linalg.eigvalsh(product, check_finite=False)[::-1][: min(len(rows) - 1, rows.shape[1])]
