"""Sparse matrices, frames and objects prepared for scikit-learn's validation, and numeric types."""

import numpy as np
from scipy import sparse

from skae._engine import find_float_type
from skae._estimators.mixed_columns import is_frame, is_not_a_number, is_sparse

FLOATS = (np.float64, np.float32)
_COMPRESSED = ("csr", "csc", "bsr")


def tidy_table(X, *, dense=False):
    """Return a sparse matrix as CSR without repeated entries; other objects are unchanged.

    Frames of sparse columns become dense if `dense` is true or their fill value is not 0. The input
    is not modified. Indices out of range are refused.
    """
    if sparse.issparse(X):
        return _sum_repeated(_check_indices(X).tocsr())
    if has_sparse_columns(X) and (dense or any(kind.fill_value != 0 for kind in X.dtypes)):
        return X.sparse.to_dense()
    return X


def tidy_numbers(X, *, dense=False):
    """Return a table of numbers prepared for scikit-learn's validation.

    In addition to `tidy_table`, NA and NaT among objects become NaN, and frames with columns of
    dates are refused.
    """
    X = tidy_table(X, dense=dense)
    if is_frame(X):
        _refuse_dates(X)
        return _blank_columns(X) if hasattr(X, "iloc") else X
    return _blank(X) if _is_object(getattr(X, "dtype", None)) else X


def _refuse_dates(X):
    """Raise an error for columns whose units NumPy would drop."""
    for name, dtype in zip(X.columns, X.dtypes, strict=True):
        if getattr(dtype, "kind", "") in ("m", "M") or getattr(dtype, "is_temporal", bool)():
            raise ValueError(
                f"X must hold numbers, as in fit. Got column {name!r} of type {dtype}. "
                "Convert it, or leave it out."
            )


def _is_object(dtype) -> bool:
    # Decimals of Arrow are objects as well.
    return getattr(dtype, "kind", "") == "O"


def _blank_columns(X):
    """Return a pandas frame with NaN for NA and NaT in columns of objects."""
    objects = [i for i, dtype in enumerate(X.dtypes) if _is_object(dtype)]
    if objects:
        X = X.copy(deep=False)
    for i in objects:
        X.isetitem(i, _blank(X.iloc[:, i].to_numpy()))
    return X


def _blank(cells: np.ndarray) -> np.ndarray:
    """Return objects with NaN for NA and NaT."""
    marked = np.array([is_not_a_number(cell) for cell in cells.flat], dtype=bool)
    if not marked.any():
        return cells
    cells = cells.copy()
    cells[marked.reshape(cells.shape)] = np.nan
    return cells


def has_sparse_columns(X) -> bool:
    """Return whether X is a pandas frame in which every column is sparse."""
    dtypes = getattr(X, "dtypes", ())
    return hasattr(X, "iloc") and bool(len(dtypes)) and all(map(is_sparse, dtypes))


def _check_indices(X):
    """Raise an error for indices that would make compiled code read beyond its arrays."""
    if len(X.shape) != 2:
        raise ValueError(
            f"X must have two axes. Got a sparse array of shape {X.shape}. Pass X.reshape((1, -1)) "
            "for a single row."
        )
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
            "Build it again, for example from its dense form."
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

    This is single precision alone if it can represent every value of the type of X, as for bytes
    and halves. A tuple all the same, as scikit-learn then leaves arrays of that type alone.
    """
    own = [X.dtype] if hasattr(X, "dtype") else list(getattr(X, "dtypes", []))
    narrow = [isinstance(each, np.dtype) and find_float_type(each) == np.float32 for each in own]
    return (np.float32,) if narrow and all(narrow) else FLOATS
