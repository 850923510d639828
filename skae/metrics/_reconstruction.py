"""Scorers of reconstructions, for model selection."""

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing, gen_batches
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis
from sklearn.utils.validation import _num_samples

from skae._estimators.base import BaseAutoencoder
from skae.metrics._transformer import (
    find_frame_model,
    index_samples,
    is_ragged,
    reconstruct,
    to_array,
)

# Maximum number of values of a sparse table or memory map that are dense at a time.
_CELLS_AT_ONCE = 10_000_000


def neg_reconstruction_error(estimator, X, y=None) -> float:
    """Return the negative mean squared error of the reconstructions.

    This is a scorer: pass it as ``scoring=neg_reconstruction_error`` to `GridSearchCV` or
    `cross_val_score`. It compares all estimators that have `transform` and `inverse_transform`.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, or images and sequences in any form that the estimator accepts. Missing cells (NaN)
        are left out, as are steps of a sequence that its reconstruction does not have.
    y : object, default=None
        Ignored. Present because scorers are called with it.

    Returns
    -------
    score : float
        Negative mean squared error over all cells, at most 0, in units of X squared. For a
        pipeline, these are the units of its input. For data frames with columns of several kinds,
        the negative mean of `reconstruction_errors`, in units of the columns' baselines. Greater
        is better.

    Raises
    ------
    TypeError
        If the estimator lacks `transform` or `inverse_transform`.

    See Also
    --------
    skae.metrics.explained_variance : The error as a share of the variance.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae.metrics import neg_reconstruction_error
    >>> X = load_iris().data
    >>> search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=neg_reconstruction_error)
    >>> search.fit(X).best_params_
    {'n_components': 2}
    """
    model, frame = find_frame_model(estimator, X)
    if model is not None:
        return -float(np.nanmean(np.asarray(model.reconstruction_errors(frame), dtype=float)))
    error, n_cells, _ = _measure(estimator, X)
    return -error / n_cells


def explained_variance(estimator, X, y=None) -> float:
    """Return the share of the variance of X that is reconstructed.

    A scorer like `neg_reconstruction_error`. It ranks the candidates of a search in the same order,
    but has no units.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, or images and sequences in any form that the estimator accepts. Missing cells (NaN)
        are left out, as are steps of a sequence that its reconstruction does not have.
    y : object, default=None
        Ignored. Present because scorers are called with it.

    Returns
    -------
    score : float
        Share of the variance, at most 1. Greater is better. A model that always returns the mean of
        these rows has 0. If all rows are equal, the result is 1 if they are reconstructed exactly,
        and 0 otherwise. For data frames with columns of several kinds, the share of the loss of
        the columns' baselines in `fit` that the model saves.

    Raises
    ------
    TypeError
        If the estimator lacks `transform` or `inverse_transform`.

    See Also
    --------
    skae.metrics.neg_reconstruction_error : The error in units of X squared.

    Notes
    -----
    The variance is computed about the mean of the given rows, as in `sklearn.metrics.r2_score` with
    ``multioutput="variance_weighted"``, because the mean of the training rows of a pipeline is not
    known. `AutoencoderTransformer.score` uses the mean of its training rows, and is therefore
    slightly higher on other rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import explained_variance
    >>> X = load_iris().data
    >>> pca = PCA(n_components=2).fit(X)
    >>> f"{explained_variance(pca, X):.6f}" == f"{pca.explained_variance_ratio_.sum():.6f}"
    True
    """
    model, frame = find_frame_model(estimator, X)
    if model is not None:
        return BaseAutoencoder.score(model, frame)
    error, _, deviation = _measure(estimator, X)
    return 1 - error / deviation if deviation > 0 else float(error == 0)


def _measure(estimator, X):
    """Return the sum of squared errors, the number of cells, and the sum of squared deviations."""
    X = index_samples(X)
    if is_ragged(X):
        values, reconstructions = reconstruct(estimator, X)
        return *_sum_squared_errors(values, reconstructions), _sum_squared_deviations(values)
    batch_size = max(1, _CELLS_AT_ONCE // to_array(_safe_indexing(X, slice(0, 1))).shape[1])
    parts = [
        _sum_squared_errors(*reconstruct(estimator, _safe_indexing(X, rows)))
        for rows in gen_batches(_num_samples(X), batch_size)
    ]
    error, n_cells = (sum(each) for each in zip(*parts, strict=True))
    return error, n_cells, _sum_squared_deviations(X)


def _sum_squared_errors(values, reconstructions):
    """Return the sum of squared errors of the observed values, and their number."""
    squares = np.square(values - reconstructions, dtype=np.float64)
    observed = ~np.isnan(values)
    return float(squares.sum(where=observed)), int(np.count_nonzero(observed))


def _sum_squared_deviations(X):
    """Return the sum of squared deviations of the observed values from their column means."""
    if sparse.issparse(X):
        low, high = min_max_axis(X, axis=0)
        return X.shape[0] * float(mean_variance_axis(X, axis=0)[1] @ (low < high))
    values = to_array(X)
    observed = ~np.isnan(values)
    counts = np.count_nonzero(observed, axis=0)
    # The variance of equal values may be a rounding error.
    used = np.fmin.reduce(values) < np.fmax.reduce(values)
    variances = np.var(values[:, used], axis=0, dtype=np.float64, where=observed[:, used])
    return float(counts[used] @ variances)
