"""How well rows are reconstructed: scorers for model selection."""

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing, gen_batches
from sklearn.utils.sparsefuncs import mean_variance_axis

from skae.metrics._transformer import decode, encode, to_array

# Sparse tables and memory maps are made dense so many cells at a time.
_CELLS_AT_ONCE = 10_000_000


def neg_reconstruction_error(estimator, X, y=None):
    """Return minus the mean squared difference between rows and their reconstructions.

    It is a scorer: pass it as ``scoring=neg_reconstruction_error`` to `GridSearchCV` or
    `cross_val_score`. Whatever transforms both ways can be compared by it.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, all finite.
    y : object, default=None
        Ignored; here because scorers are called with it.

    Returns
    -------
    score : float
        At most 0, greater is better; minus the mean over all cells, in units of X squared. For a
        pipeline these are the units of its input.

    Raises
    ------
    TypeError
        If the estimator lacks `transform` or `inverse_transform`.

    See Also
    --------
    skae.metrics.explained_variance : The same as a share of the variance.

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
    X = _with_shape(X)
    return -_sum_squared_errors(estimator, X) / (X.shape[0] * X.shape[1])


def explained_variance(estimator, X, y=None):
    """Return the share of the variance of X that is reconstructed.

    A scorer like `neg_reconstruction_error`. It ranks the estimators of one search in the same
    order, without units.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, all finite.
    y : object, default=None
        Ignored; here because scorers are called with it.

    Returns
    -------
    score : float
        At most 1, greater is better; 0 is what the mean of these rows would reach. 1 for rows that
        are all equal and exactly reconstructed, 0 for others that are all equal.

    Raises
    ------
    TypeError
        If the estimator lacks `transform` or `inverse_transform`.

    See Also
    --------
    skae.metrics.neg_reconstruction_error : The same in units of X squared.

    Notes
    -----
    Variance is taken about the mean of the rows given here, as `sklearn.metrics.r2_score` with
    ``multioutput="variance_weighted"`` takes it, because a pipeline does not tell the mean of its
    training rows. `AutoencoderTransformer.score` knows that mean and takes it about that, which
    makes it the greater one by a little on other rows.

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
    X = _with_shape(X)
    error = _sum_squared_errors(estimator, X)
    deviation = X.shape[0] * _total_variance(X)
    return 1 - error / deviation if deviation > 0 else float(error == 0)


def _with_shape(X):
    return X if hasattr(X, "shape") else to_array(X)


def _sum_squared_errors(estimator, X):
    batch_size = max(1, _CELLS_AT_ONCE // X.shape[1])
    total = 0.0
    for rows in gen_batches(X.shape[0], batch_size):
        part = _safe_indexing(X, rows)
        difference = to_array(part) - decode(estimator, encode(estimator, part))
        total += float(np.sum(np.square(difference, dtype=np.float64)))
    return total


def _total_variance(X):
    if sparse.issparse(X):
        return float(mean_variance_axis(X.tocsr(), axis=0)[1].sum())
    return float(np.var(to_array(X), axis=0, dtype=np.float64).sum())
