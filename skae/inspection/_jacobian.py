"""Derivatives of codes with respect to rows, and of reconstructions with respect to codes."""

from functools import partial

import numpy as np
from scipy import sparse

from skae._estimators.stored_tables import is_arrow_table
from skae.metrics._transformer import decode, encode, index_samples, to_array, view_numbers

# Number of values for which differences are computed at a time.
_CELLS_AT_ONCE = 4_000_000


def code_jacobian(estimator, X, *, step=0.01) -> np.ndarray:
    """Return the derivative of each code with respect to each feature, at each row.

    Derivatives are central differences of `transform`, so any estimator with this method can be
    used, such as PCA and pipelines.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows at which to differentiate, or images or sequences, all finite. At least two, because
        the standard deviations of the features are computed on them. Data frames with columns of
        several kinds are differentiated by standardised numbers and by an indicator of each
        category, divided by the root of the total variance of the indicators of its column.
    step : float, default=0.01
        Half of the difference, in standard deviations of a feature among these rows. Smaller
        differences approximate the derivative better, until rounding errors of the codes dominate.

    Returns
    -------
    jacobian : ndarray of shape (n_samples, n_codes, n_features)
        Derivatives, in units of the code divided by units of X. Zero for features that are constant
        among these rows.

    Raises
    ------
    ValueError
        If `step` is not positive, or X has missing values.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import code_jacobian
    >>> X = load_iris().data
    >>> pca = PCA(n_components=2).fit(X)
    >>> np.allclose(code_jacobian(pca, X[::30]), pca.components_)
    True
    """
    if not step > 0:
        raise ValueError(f"`step` must be positive. Got {step}. Try step=0.01.")
    estimator, X = view_numbers(estimator, X, complete=True)
    return differentiate_codes(estimator, X, step * read_finite(X).std(axis=0))


def differentiate_codes(estimator, X, steps):
    """Return the derivative of each code with respect to each feature, for given differences.

    `steps` has half of the difference for each feature, in units of X. The result has shape
    (n_samples, n_codes, n_features) and units of the code divided by units of X. X must be finite.
    """
    samples = index_samples(X)
    return _differentiate(
        lambda rows: encode(estimator, _restore_type(rows, samples)), read_finite(samples), steps
    )


def differentiate_reconstructions(estimator, codes, steps):
    """Return the derivative of each reconstructed feature with respect to each code.

    `steps` has half of the difference for each code. The result has shape (n_samples, n_features,
    n_codes) and units of X divided by units of the code.
    """
    return _differentiate(partial(decode, estimator), codes.astype(np.float64), steps)


def _differentiate(function, points, steps):
    """Return central differences of a function that maps each row to a row."""
    n_samples, n_inputs = points.shape
    n_outputs = function(points[:1]).shape[1]
    jacobian = np.zeros((n_samples, n_outputs, n_inputs))
    at_once = max(1, _CELLS_AT_ONCE // points.size)
    moving = np.flatnonzero(steps > 0)
    for start in range(0, len(moving), at_once):
        inputs = moving[start : start + at_once]
        shifts = np.zeros((len(inputs), 1, n_inputs))
        shifts[range(len(inputs)), 0, inputs] = steps[inputs]
        above, below = points + shifts, points - shifts
        outputs = [
            function(moved.reshape(-1, n_inputs)).astype(np.float64).reshape(*moved.shape[:2], -1)
            for moved in (above, below)
        ]
        slopes = (outputs[0] - outputs[1]) / (2 * steps[inputs])[:, None, None]
        jacobian[:, :, inputs] = slopes.transpose(1, 2, 0)
    return jacobian


def read_finite(X):
    """Return rows as an array in double precision; missing and infinite values are refused."""
    values = to_array(X).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(
            "`X` must be finite to explain codes. Got missing or infinite values. "
            "Pass complete rows, or sequences of one length."
        )
    return values


def _restore_type(rows, X):
    """Return rows with the type, the axes and the names of X."""
    if not hasattr(X, "columns"):
        shape = tuple(getattr(X, "shape", ()))[1:]
        rows = rows.reshape(-1, *shape) if len(shape) > 1 else rows
        return sparse.csr_matrix(rows) if sparse.issparse(X) else rows
    if hasattr(X, "iloc"):
        return type(X)(rows, columns=X.columns)
    if is_arrow_table(X):
        return type(X).from_arrays(list(rows.T), names=X.schema.names)
    return type(X)(rows, schema=list(X.columns))
