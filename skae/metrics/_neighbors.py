"""Share of nearest neighbours that codes keep."""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils import check_consistent_length
from sklearn.utils.extmath import row_norms, safe_sparse_dot

from skae._shared.checks import check_choice, check_count
from skae.metrics._transformer import (
    check_complete,
    find_points,
    index_samples,
    is_ragged,
    place,
    to_array,
)

_METRICS = ("cosine", "euclidean")
# Maximum number of similarities in memory.
_MAX_CELLS = 2**24


def neighbors_kept(X, codes, *, k=10, metric="cosine", code_metric=None, n_queries=None) -> float:
    """Return the share of nearest neighbours among the rows that are nearest neighbours by code.

    This is the recall of an exact nearest-neighbour search on the codes. It shows how useful
    shortened embeddings are for search, clustering and other methods based on neighbours.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows. Similarities are computed for a block of rows at a time. In data frames with columns
        of several kinds, they are those of standardised numbers and scaled indicators of
        categories, for which ``metric="euclidean"`` is a better choice.
    codes : array-like of shape (n_samples, n_codes)
        Codes of the rows.
    k : int, default=10
        Number of neighbours, less than the number of rows.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance between rows.
    code_metric : {"cosine", "euclidean"} or None, default=None
        Distance between codes. None uses `metric`.
    n_queries : int or None, default=None
        Number of rows, at the end of X, whose neighbours are searched among all other rows. None
        searches the neighbours of every row.

    Returns
    -------
    kept : float
        Number in [0, 1]. It is 1 if codes and rows have the same neighbours, and about ``k /
        n_samples`` if codes are unrelated to the rows.

    Raises
    ------
    ValueError
        If a parameter is not as described, or X and `codes` differ in their number of rows.

    See Also
    --------
    skae.metrics.neighbors_kept_score : A scorer with this metric.
    skae.metrics.continuity : A metric based on the ranks of neighbours that are not kept.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import neighbors_kept
    >>> X = load_digits().data[:500]
    >>> neighbors_kept(X, X)
    1.0
    >>> round(neighbors_kept(X, PCA(8).fit_transform(X)), 1)
    0.7
    """
    X, codes = _read_table(X), to_array(codes)
    check_consistent_length(X, codes)
    check_complete(X)
    n_queries = _check(k, (metric, code_metric or metric), n_queries, X.shape[0])
    X, codes = _place_for(X, metric), _place_for(codes, code_metric or metric)
    first, n_rows = X.shape[0] - n_queries, X.shape[0]
    n_known = n_rows if n_queries == n_rows else first
    norms = [row_norms(table[:n_known], squared=True) / 2 for table in (X, codes)]
    n_at_once, n_kept = max(1, _MAX_CELLS // n_known), 0
    for start in range(first, n_rows, n_at_once):
        rows = np.arange(start, min(start + n_at_once, n_rows))
        wanted, found = (
            _find_nearest(table, rows, n_known, own, k)
            for table, own in zip((X, codes), norms, strict=True)
        )
        n_kept += int((wanted[:, :, None] == found[:, None, :]).sum())
    return n_kept / (n_queries * k)


def neighbors_kept_score(estimator, X, y=None) -> float:
    """Return the share of the ten nearest neighbours by cosine that codes keep.

    This is a scorer: pass it as ``scoring=neighbors_kept_score`` to `GridSearchCV` or
    `cross_val_score`. For other metrics or numbers of neighbours, pass ``lambda estimator, X,
    y=None: neighbors_kept(X, estimator.transform(X), k=5)``.

    Parameters
    ----------
    estimator : fitted transformer
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        At least eleven rows.
    y : object, default=None
        Ignored. Present because scorers are called with it.

    Returns
    -------
    score : float
        `neighbors_kept` for ten neighbours, in [0, 1]. Greater is better.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae.metrics import neighbors_kept_score
    >>> X = load_digits().data[:500]
    >>> search = GridSearchCV(PCA(), {"n_components": [4, 8]}, scoring=neighbors_kept_score)
    >>> search.fit(X).best_params_
    {'n_components': 8}
    """
    return neighbors_kept(X, estimator.transform(X))


def _read_table(X):
    """Return rows as an array or a CSR matrix."""
    samples = index_samples(find_points(X))
    if sparse.issparse(samples) and not is_ragged(samples):
        return sparse.csr_matrix(samples, dtype=np.promote_types(samples.dtype, np.float32))
    return to_array(samples)


def _check(k, metrics, n_queries, n_rows) -> int:
    """Check the parameters, and return the number of queries."""
    for name, metric in zip(("metric", "code_metric"), metrics, strict=True):
        check_choice(name, metric, _METRICS, "Try 'cosine'.")
    n_queries = n_rows if n_queries is None else n_queries
    remedy = "Leave it out to search the neighbours of every row."
    n_queries = check_count("n_queries", n_queries, remedy, most=n_rows)
    n_others = n_rows - 1 if n_queries == n_rows else n_rows - n_queries
    check_count("k", k, "Lower it, or pass more rows.", most=n_others)
    return n_queries


def _place_for(table, metric: str):
    """Return points whose Euclidean distances rank neighbours as the metric does."""
    return normalize(place(table, centred=False)) if metric == "cosine" else place(table)


def _find_nearest(table, rows, n_known: int, half_norms, k: int) -> np.ndarray:
    """Return the `k` nearest of the first `n_known` rows to each row, without the row itself."""
    products = safe_sparse_dot(table[rows], table[:n_known].T, dense_output=True)
    similarities = products - half_norms
    own = np.flatnonzero(rows < n_known)
    similarities[own, rows[own]] = -np.inf
    return np.argpartition(-similarities, k - 1, axis=1)[:, :k]
