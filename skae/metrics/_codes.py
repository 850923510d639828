"""Metrics of codes: neighbourhoods, correlation and activity."""

import numpy as np
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_consistent_length

from skae._shared.labels import keep_labelled
from skae.metrics._transformer import check_complete, find_points, place, to_array


def continuity(X, codes, *, n_neighbors=5) -> float:
    """Return how well neighbours among the rows stay neighbours among the codes.

    This is `sklearn.manifold.trustworthiness` with rows and codes exchanged: trustworthiness is low
    if codes bring distant rows together, and continuity is low if codes separate neighbouring rows.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows. Images are flattened. In data frames with columns of several kinds, distances are
        those of standardised numbers and scaled indicators of categories. The distances between all
        pairs of rows are kept in memory, so pass a sample of a large table.
    codes : array-like of shape (n_samples, n_codes)
        Codes of the rows.
    n_neighbors : int, default=5
        Number of neighbours, less than half the number of rows.

    Returns
    -------
    continuity : float
        Number in [0, 1]; 1 if all neighbours are kept.

    Raises
    ------
    ValueError
        If X and `codes` differ in their number of rows, or `n_neighbors` is too large.

    References
    ----------
    Venna, J. and Kaski, S. (2001). Neighborhood preservation in nonlinear projection methods: an
    experimental study. ICANN. https://doi.org/10.1007/3-540-44668-0_68

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import continuity
    >>> X = load_iris().data
    >>> continuity(X, PCA(n_components=2).fit_transform(X)) > 0.98
    True
    """
    X, codes = to_array(find_points(X)), to_array(codes)
    check_consistent_length(X, codes)
    check_complete(X)
    return float(trustworthiness(place(codes), place(X), n_neighbors=n_neighbors))


def neighborhood_hit(codes, y, *, n_neighbors=5) -> float:
    """Return the share of the nearest neighbours among the codes that have the same label.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes.
    y : array-like of shape (n_samples,)
        Labels. Rows without one (NaN, None, NA or masked) are left out, with a warning.
    n_neighbors : int, default=5
        Number of neighbours, less than the number of labelled rows.

    Returns
    -------
    hit : float
        Number in [0, 1]. For labels that are unrelated to the codes, it is about the sum of the
        squared shares of the labels.

    Raises
    ------
    ValueError
        If `codes` and `y` differ in their number of rows, `y` are not labels but numbers with
        decimals, or `n_neighbors` is too large.

    References
    ----------
    Paulovich, F. V., Nonato, L. G., Minghim, R. and Levkowitz, H. (2008). Least square projection:
    a fast high-precision multidimensional projection technique and its application to document
    mapping. IEEE Transactions on Visualization and Computer Graphics 14(3).
    https://doi.org/10.1109/TVCG.2007.70443

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import neighborhood_hit
    >>> X, y = load_iris(return_X_y=True)
    >>> neighborhood_hit(PCA(n_components=2).fit_transform(X), y) > 0.9
    True
    """
    y, codes = keep_labelled(y, to_array(codes))
    if y.dtype.kind == "f" and (y % 1 != 0).any():
        raise ValueError(
            "`y` must be labels. Got numbers with decimals. Group them into classes first, as with "
            "numpy.digitize."
        )
    if not 1 <= n_neighbors < len(codes):
        raise ValueError(
            f"`n_neighbors` must be at least 1 and less than the {len(codes)} rows. "
            f"Got {n_neighbors}. Ask for fewer neighbours."
        )
    neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(place(codes)).kneighbors()[1]
    return float(np.mean(y[neighbors] == y[:, None]))


def code_correlation(codes) -> float:
    """Return the mean absolute correlation between pairs of different codes.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes of at least two rows.

    Returns
    -------
    correlation : float
        Number in [0, 1]; 0 if codes are uncorrelated, as with PCA. Constant codes are left out. If
        fewer than two codes remain, the result is 0.

    Raises
    ------
    ValueError
        If `codes` is a single row or has missing values.

    See Also
    --------
    numpy.corrcoef : Matrix of all correlations, from the transposed codes.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import code_correlation
    >>> round(code_correlation([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]), 6)
    1.0
    >>> round(code_correlation([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]), 6)
    0.0
    """
    codes = place(_read_codes(codes))
    codes = codes[:, np.ptp(codes, axis=0) > 0]
    n_codes = codes.shape[1]
    if n_codes < 2:
        return 0.0
    pairs = np.corrcoef(codes, rowvar=False)[np.triu_indices(n_codes, k=1)]
    return float(np.abs(pairs).mean())


def active_units(codes, *, threshold=0.01) -> int:
    """Return the number of codes whose variance exceeds a threshold.

    Codes of a variational autoencoder may be unused: they stay at the mean of the prior for all
    rows. Other autoencoders may have codes that carry almost no information.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes, or the means of their distributions if the encoder is probabilistic.
    threshold : float, default=0.01
        Variance, in units of the codes squared, that an active code must exceed. The default is
        that of the reference, for codes whose prior has variance 1. For codes in the units of X, as
        with `AutoencoderTransformer` with ``whiten=False``, compare with the first code:
        ``threshold=0.01 * codes[:, 0].var()``.

    Returns
    -------
    n_active : int
        Number of codes whose variance exceeds `threshold`.

    Raises
    ------
    ValueError
        If `threshold` is negative, or if `codes` is a single row or has missing values.

    References
    ----------
    Burda, Y., Grosse, R. and Salakhutdinov, R. (2016). Importance weighted autoencoders. ICLR.
    https://doi.org/10.48550/arXiv.1509.00519

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import active_units
    >>> codes = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 0.5, 0.01]
    >>> active_units(codes)
    2
    """
    if not threshold >= 0:
        raise ValueError(
            f"`threshold` must be a variance of at least 0. Got {threshold}. Try threshold=0.01."
        )
    return int(np.sum(np.var(_read_codes(codes), axis=0) > threshold))


def _read_codes(codes):
    """Return codes in double precision. A single row and missing values are refused."""
    codes = to_array(codes).astype(np.float64)
    if len(codes) < 2 or np.isnan(codes).any():
        raise ValueError(
            "`codes` must be at least two rows without missing values. Got "
            f"{'NaN' if len(codes) > 1 else 'one row'}. Leave out incomplete rows."
        )
    return codes
