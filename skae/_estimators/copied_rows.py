"""Copies of rows, which must not be on both sides of a split."""

from collections.abc import Iterable

import numpy as np
from scipy import sparse

from skae._engine import StoredTable, holds_many_bytes
from skae._estimators.encoded_rows import EncodedRows

# Shares of different rows among all. With more, copies do little harm. With fewer, rows are from a
# finite set, so new rows will equal known ones as well.
_MOST_DIFFERENT, _FEWEST_DIFFERENT = 0.95, 0.05
# Rows equal to more than this share of all, which is that of a fold, are no copies.
_COMMON = 0.2
# Share of the different rows that must also differ in half of the columns.
_STILL_DIFFERENT = 0.95


def find_copies(X) -> np.ndarray | None:
    """Return a number for each row, equal for copies, or None if there are few copies.

    Equal rows are copies, as in bootstrap samples, if they are not equal by chance: other rows
    differ even in half of the columns. A row that makes up much of the table, such as one of zeros,
    is expected among new rows, so its copies stay apart. Rows of very large tables are not
    compared.
    """
    if isinstance(X, EncodedRows):
        X = np.column_stack(X.columns)
    if isinstance(X, StoredTable) or holds_many_bytes(X.shape, X.dtype):
        return None
    numbers = _number_rows(X)
    is_common = np.bincount(numbers)[numbers] > _COMMON * len(numbers)
    if not _are_copied(X, numbers, np.flatnonzero(~is_common)):
        return None
    numbers[is_common] = len(numbers) + np.arange(is_common.sum())
    return np.unique(numbers, return_inverse=True)[1]


def _are_copied(X, numbers: np.ndarray, chosen: np.ndarray) -> bool:
    """Return whether those of the chosen rows that are equal are copies."""
    different = chosen[np.unique(numbers[chosen], return_index=True)[1]]
    least, most = _FEWEST_DIFFERENT * len(chosen), _MOST_DIFFERENT * len(chosen)
    if len(different) < 2 or not least <= len(different) <= most:
        return False
    halves = (_number_rows(X[different][:, start::2]).max() + 1 for start in (0, 1))
    return min(halves) >= _STILL_DIFFERENT * len(different)


def _number_rows(X) -> np.ndarray:
    """Return a number for each row, in the order of appearance and equal for equal rows."""
    known: dict[int, int] = {}
    return np.array([known.setdefault(hash(row), len(known)) for row in _list_bytes(X)])


def _list_bytes(X) -> Iterable:
    """Return the bytes of each row; for CSR matrices, those of columns and values."""
    if not sparse.issparse(X):
        return (row.tobytes() for row in X)
    ends = X.indptr[1:-1]
    parts = zip(np.split(X.indices, ends), np.split(X.data, ends), strict=True)
    return ((columns.tobytes(), values.tobytes()) for columns, values in parts)
