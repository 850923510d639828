"""Codes and reconstructions of anything with `transform` and `inverse_transform`, as arrays."""

import numpy as np
from scipy import sparse
from sklearn.utils import check_array


def encode(estimator, X):
    """Return the codes of rows.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    codes : ndarray of shape (n_samples, n_codes)
        What `transform` returns, as an array.

    Raises
    ------
    TypeError
        If the estimator does not transform both ways.
    """
    _check_both_ways(estimator)
    return to_array(estimator.transform(X))


def decode(estimator, codes):
    """Return the reconstructions of codes.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    codes : ndarray of shape (n_samples, n_codes)
        Codes.

    Returns
    -------
    reconstructions : ndarray of shape (n_samples, n_features)
        What `inverse_transform` returns, as an array.

    Raises
    ------
    TypeError
        If the estimator does not transform both ways.
    """
    _check_both_ways(estimator)
    return to_array(estimator.inverse_transform(codes))


def to_array(table):
    """Return a table of numbers as a dense array.

    Parameters
    ----------
    table : {array-like, sparse matrix} of shape (n_samples, n_columns)
        Numbers. Those that are missing stay NaN.

    Returns
    -------
    values : ndarray of shape (n_samples, n_columns), float32 or float64
        The same numbers.
    """
    if sparse.issparse(table):
        table = table.toarray()
    return check_array(table, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


def _check_both_ways(estimator):
    if not (hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")):
        raise TypeError(
            "`estimator` must have `transform` and `inverse_transform`. Got "
            f"{type(estimator).__name__}. Of a pipeline that ends in a predictor, pass the part "
            "before it: `pipeline[:-1]`."
        )
