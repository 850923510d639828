"""Copies of rows, which must not be on both sides of a split."""

from collections.abc import Iterable

import numpy as np
from scipy import sparse

from skae._engine import StoredTable, holds_many_bytes
from skae._estimators.encoded_rows import EncodedRows

# Shares of different rows among all. With more, copies do little harm. With fewer, rows are from a
# finite set, so new rows will equal known ones as well.
_MOST_DIFFERENT, _FEWEST_DIFFERENT = 0.95, 0.05
# Share of the different rows that must also differ in half of the columns.
_STILL_DIFFERENT = 0.95


def find_copies(X) -> np.ndarray | None:
    """Return a number for each row, equal for copies, or None if there are few copies.

    Equal rows are copies, as in bootstrap samples, if they are not equal by chance: other rows
    differ even in half of the columns. Rows of very large tables are not compared.
    """
    if isinstance(X, EncodedRows):
        X = np.column_stack(X.columns)
    if isinstance(X, StoredTable) or holds_many_bytes(X.shape, X.dtype):
        return None
    numbers, first = _number_rows(X)
    n_different = len(first)
    share = n_different / X.shape[0]
    if n_different == 1 or not _FEWEST_DIFFERENT <= share <= _MOST_DIFFERENT:
        return None
    halves = [_number_rows(X[first][:, start::2])[1] for start in (0, 1)]
    return numbers if min(map(len, halves)) >= _STILL_DIFFERENT * n_different else None


def _number_rows(X) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each row, equal for equal rows, and where each number first appears."""
    known: dict[int, int] = {}
    numbers = np.array([known.setdefault(hash(row), len(known)) for row in _list_bytes(X)])
    return numbers, np.unique(numbers, return_index=True)[1]


def _list_bytes(X) -> Iterable:
    """Return the bytes of each row; for CSR matrices, those of columns and values."""
    if not sparse.issparse(X):
        return (row.tobytes() for row in X)
    ends = X.indptr[1:-1]
    parts = zip(np.split(X.indices, ends), np.split(X.data, ends), strict=True)
    return ((columns.tobytes(), values.tobytes()) for columns, values in parts)
