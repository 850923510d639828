"""Rows and columns with the largest values of a code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skae._shared.checks import check_count
from skae._shared.extras import import_extra
from skae.inspection._plotting import name_features


@dataclass(frozen=True, repr=False)
class TopEntries:
    """Rows or columns with the largest values of a code, in descending order.

    Attributes
    ----------
    indices : ndarray of int of shape (n_entries,)
        Indices of the rows or columns.
    values : ndarray of shape (n_entries,)
        Values of the code on the rows, or entries of its dictionary row at the columns.
    labels : list
        Labels of the rows, or names of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.inspection import TopEntries
    >>> print(TopEntries(np.array([7, 2]), np.array([3.5, 1.25]), ["cat", "dog"]))
    3.5   cat
    1.25  dog
    """

    indices: np.ndarray
    values: np.ndarray
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.indices)

    def __str__(self) -> str:
        values = [f"{value:.3g}" for value in self.values]
        width = max(map(len, values), default=0)
        pairs = zip(values, self.labels, strict=True)
        return "\n".join(f"{value:<{width}}  {label}" for value, label in pairs)

    __repr__ = __str__

    def to_frame(self) -> Any:
        """Return the entries as a DataFrame.

        Returns
        -------
        pandas.DataFrame of shape (n_entries, 2)
            Columns "label" and "value", indexed by the indices of the entries.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from skae.inspection import TopEntries
        >>> TopEntries(np.array([7]), np.array([3.5]), ["cat"]).to_frame()["label"].tolist()
        ['cat']
        """
        pandas = import_extra("pandas", "pandas", "to_frame")
        return pandas.DataFrame({"label": self.labels, "value": self.values}, index=self.indices)


def top_rows(estimator, X, labels=None, *, code: int, n_rows: int = 10) -> TopEntries:
    """Return the rows with the largest values of a code.

    The code represents what these rows have in common. Look also at rows that were not in the fit,
    and at rows with smaller values of the code: the top rows alone make a code look clearer than it
    is.

    Parameters
    ----------
    estimator : fitted transformer
        Transformer such as `SparseAutoencoderTransformer`, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to choose from.
    labels : sequence of length n_samples, default=None
        Labels of the rows, such as the texts behind them. None uses the indices of the rows.
    code : int
        Index of the code.
    n_rows : int, default=10
        Maximum number of rows. Rows on which the code is 0 are left out.

    Returns
    -------
    rows : TopEntries
        Indices and labels of the rows, and the values of the code.

    Raises
    ------
    ValueError
        If the code does not exist, or `labels` and X differ in length.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoderTransformer
    >>> from skae.inspection import top_rows
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:200], y[:200]
    >>> model = SparseAutoencoderTransformer(32, n_active=4, max_iter=5, random_state=0).fit(X)
    >>> rows = top_rows(model, X, y, code=3, n_rows=5)
    >>> len(rows), bool((rows.values[:-1] >= rows.values[1:]).all())
    (5, True)
    """
    codes = estimator.transform(X)
    n_samples = codes.shape[0]
    labels = range(n_samples) if labels is None else labels
    if len(labels) != n_samples:
        raise ValueError(
            f"`labels` must have an entry for each of the {n_samples} rows of X. Got {len(labels)}."
            " Pass them in the order of the rows."
        )
    check_count("code", code, "Indices start at 0.", least=0, most=codes.shape[1] - 1)
    return _find_top(_take_column(codes, int(code)), labels, n_rows, name="n_rows")


def top_columns(estimator, feature_names=None, *, code: int, n_columns: int = 10) -> TopEntries:
    """Return the columns that a code increases most.

    Parameters
    ----------
    estimator : fitted transformer with ``components_``
        Transformer such as `SparseAutoencoderTransformer`.
    feature_names : sequence of str of length n_features, default=None
        Names of the columns. None uses the feature names of `fit`, or numbers.
    code : int
        Index of the code.
    n_columns : int, default=10
        Maximum number of columns. Columns that the code does not change are left out.

    Returns
    -------
    columns : TopEntries
        Indices and names of the columns, and the increase of each per unit of the code, in
        descending order.

    Raises
    ------
    ValueError
        If the code does not exist, or the estimator has no ``components_``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import SparseAutoencoderTransformer
    >>> from skae.inspection import top_columns
    >>> X = load_iris(as_frame=True).data
    >>> model = SparseAutoencoderTransformer(6, n_active=2, max_iter=5, random_state=0).fit(X)
    >>> len(top_columns(model, code=0, n_columns=2).labels)
    2
    """
    check_is_fitted(estimator)
    if not hasattr(estimator, "components_"):
        raise ValueError(
            "`estimator` must have a row of `components_` for each code. Got "
            f"{type(estimator).__name__}, whose codes do not change the columns linearly. "
            "Use explain_codes."
        )
    check_count("code", code, "Indices start at 0.", least=0, most=len(estimator.components_) - 1)
    row = np.asarray(estimator.components_)[int(code)]
    names = name_features(feature_names, len(row), estimator=estimator)
    return _find_top(row, names, n_columns, name="n_columns")


def _take_column(codes, code: int) -> np.ndarray:
    if sparse.issparse(codes):
        return codes[:, [code]].toarray().ravel()
    return np.asarray(codes.to_numpy() if hasattr(codes, "to_numpy") else codes)[:, code]


def _find_top(values: np.ndarray, labels: Sequence, n_entries: int, *, name: str) -> TopEntries:
    """Return the entries with the largest values, without zeros."""
    n_entries = check_count(name, n_entries, "Leave it out for 10.")
    order = np.argsort(-values, kind="stable")
    order = order[values[order] != 0][:n_entries]
    # A Series would be indexed by its labels instead of positions.
    listed = list(labels)
    return TopEntries(order, values[order], [listed[index] for index in order])
