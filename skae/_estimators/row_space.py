"""Coordinates for distances that also count directions of low variance."""

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.sparsefuncs import mean_variance_axis

from skae._engine import find_ends

_MOST_AXES = 128
_MOST_COLUMNS = 1000
# Lower bound of the variance of a direction, relative to a column's, so as not to amplify noise.
_LEAST_VARIANCE = 0.1
# Weight of the distance between whitened rows relative to that between standardised rows.
_WHITENED = 0.3
# Lower bound of the deviation of a column, relative to its range: a pixel that is rarely lit gets
# little weight.
_LEAST_DEVIATION = 0.05
# Upper bound of coordinates: with larger ones, inner products lose the precision for neighbours.
FARTHEST_PLACE = 1e3


def find_axes(X, *, is_scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre of rows, and the axes onto which centred rows are projected.

    The squared distance between projections is that between standardised rows plus 0.3 times that
    between whitened rows (the squared Mahalanobis distance). There are at most 128 axes, in
    columns. NaN is replaced by the mean of its column. With `is_scaled`, columns are already scaled
    and are not standardised.
    """
    center, deviations = _describe_columns(X)
    if is_scaled:
        deviations = np.ones_like(deviations)
    standard = X @ sparse.diags(1 / deviations) if sparse.issparse(X) else _center(X, center)
    if not sparse.issparse(X):
        standard /= deviations
    components, variances = _find_components(standard)
    widths = variances + _LEAST_VARIANCE
    share = _WHITENED * variances.sum() / max((variances / widths).sum(), np.finfo(float).tiny)
    return center, (components * np.sqrt(1 + share / widths)[:, None] / deviations).T


def place_rows(X, center, axes) -> np.ndarray:
    """Return coordinates of rows on the axes of `find_axes`, at most `FARTHEST_PLACE` from 0."""
    places = X @ axes - center @ axes if sparse.issparse(X) else _center(X, center) @ axes
    return np.clip(places, -FARTHEST_PLACE, FARTHEST_PLACE)


def find_squares(neighbors: NearestNeighbors, places, n_neighbors: int, least: float):
    """Return mean squared distances of rows to their `n_neighbors` nearest other rows.

    The index `neighbors` has more rows than that. Up to a squared distance of `least`, two rows are
    identical.
    """
    squares = np.square(neighbors.kneighbors(places, n_neighbors + 1)[0])
    # The first neighbour of a row is the row itself.
    columns = np.arange(n_neighbors) + (squares[:, :1] <= least)
    return np.take_along_axis(squares, columns, axis=1).mean(axis=1)


def find_squares_to_other_groups(neighbors, places, n_neighbors: int, groups, kept) -> np.ndarray:
    """Return mean squared distances of rows to the nearest rows of other groups.

    The index `neighbors` has the kept rows, which are from at least two groups. Fewer than
    `n_neighbors` are used if other groups have fewer.
    """
    known = groups[kept]
    largest = np.unique(known, return_counts=True)[1].max()
    distances, nearest = neighbors.kneighbors(places, min(n_neighbors + largest, len(known)))
    # Neighbours are sorted by distance, so the first of other groups are the nearest.
    is_other = known[nearest] != groups[:, None]
    is_other &= np.cumsum(is_other, axis=1) <= n_neighbors
    return np.sum(np.square(distances), axis=1, where=is_other) / is_other.sum(axis=1)


def _describe_columns(X) -> tuple[np.ndarray, np.ndarray]:
    """Return means and positive deviations of columns."""
    if sparse.issparse(X):
        means, variances = mean_variance_axis(X.astype(np.float64), axis=0)
    else:
        seen = ~np.isnan(X)
        counts = np.maximum(seen.sum(axis=0), 1)
        means = np.sum(X, axis=0, where=seen, dtype=np.float64) / counts
        variances = np.square(_center(X, means)).sum(axis=0) / counts
    lowest, highest = find_ends(X)
    ranges = np.nan_to_num(highest - lowest).astype(np.float64)
    deviations = np.maximum(np.sqrt(variances), _LEAST_DEVIATION * ranges)
    varies = ranges > 0
    # A constant column has no scale; that of the others is the best guess.
    deviations[~varies] = np.median(deviations[varies]) if varies.any() else 1
    return means, deviations


def _center(X, center) -> np.ndarray:
    """Return centred rows in double precision, with NaN replaced by the centre."""
    centered = X - center
    return np.nan_to_num(centered, copy=False)


def _find_components(standard) -> tuple[np.ndarray, np.ndarray]:
    """Return principal axes of standardised rows, and the variances along them."""
    most, solver = min(*standard.shape, _MOST_AXES), "covariance_eigh"
    if standard.shape[1] > _MOST_COLUMNS:
        most, solver = min(most, min(standard.shape) - 1), "arpack"
    with np.errstate(invalid="ignore"):  # if no column varies
        pca = PCA(most, svd_solver=solver, random_state=0).fit(standard)
    return pca.components_, pca.explained_variance_.clip(0)
