"""Sparse matrices and frames prepared for scikit-learn's validation, and numeric types."""

import numpy as np
from scipy import sparse

from skae._engine import find_float_type

FLOATS = (np.float64, np.float32)
_COMPRESSED = ("csr", "csc", "bsr")


def tidy_table(X, *, dense=False):
    """Return a sparse matrix as CSR without repeated entries; other objects are unchanged.

    Parameters
    ----------
    X : object
        Input of the user, which is not modified.
    dense : bool, default=False
        Whether to make frames of sparse columns dense. Always done if their fill value is not 0.

    Returns
    -------
    X : object
        CSR if X was sparse; a frame with dense columns if necessary.

    Raises
    ------
    ValueError
        If the indices of a sparse matrix are out of range.
    """
    if sparse.issparse(X):
        return _sum_repeated(_check_indices(X).tocsr())
    if has_sparse_columns(X) and (dense or any(kind.fill_value != 0 for kind in X.dtypes)):
        return X.sparse.to_dense()
    return X


def has_sparse_columns(X) -> bool:
    """Return whether X is a pandas frame in which every column is sparse."""
    dtypes = getattr(X, "dtypes", ())
    return hasattr(X, "iloc") and bool(len(dtypes)) and all(map(_is_sparse, dtypes))


def _is_sparse(dtype) -> bool:
    return hasattr(dtype, "fill_value") and hasattr(dtype, "subtype")


def _check_indices(X):
    """Raise an error for indices that would make compiled code read beyond its arrays."""
    try:
        if X.format in _COMPRESSED:
            # A shallow copy, because the check sets attributes.
            X = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
            X.check_format(full_check=True)
        elif X.format == "coo":
            X = type(X)((X.data, (X.row, X.col)), shape=X.shape)
    except ValueError as error:
        raise ValueError(
            f"X must be a well-formed sparse matrix. Got {X.format.upper()}: {error}. "
            "Build it anew, such as from its dense form."
        ) from None
    return X


def _sum_repeated(X):
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def find_dtypes(X):
    """Return the types that X may keep; otherwise X is converted to the first one.

    Parameters
    ----------
    X : object
        Input of the user.

    Returns
    -------
    dtypes : type or tuple of types
        Single precision if it can represent every value of the type of X, as for bytes and halves.
    """
    own = [X.dtype] if hasattr(X, "dtype") else list(getattr(X, "dtypes", []))
    narrow = [isinstance(each, np.dtype) and find_float_type(each) == np.float32 for each in own]
    return np.float32 if narrow and all(narrow) else FLOATS
