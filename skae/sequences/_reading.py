"""Conversion of lists, series, long data frames and groups of sequences to arrays."""

from collections.abc import Iterator, Mapping, Set

import numpy as np

from skae._estimators.containers import read_container, unnest
from skae._estimators.sparse_tables import FLOATS, find_dtypes
from skae._estimators.stored_tables import is_arrow_table

_SHAPE = "(length, n_step_features)"


def list_sequences(X, id_column=None) -> list:
    """Return sequences as a list, without the columns that identify them.

    `id_column` identifies the sequence of each step in a data frame with one row per step.
    """
    if _is_grouped(X):
        # In some versions of polars, groups are iterators as well.
        X = _list_groups(X)
    elif hasattr(X, "collect") or not isinstance(X, Iterator | Mapping | Set | str | bytes):
        X = read_container(X)
    if isinstance(X, Mapping | Set):
        remedy = "list(X.values())" if isinstance(X, Mapping) else "a list"
        raise ValueError(
            f"X must be sequences in a fixed order. Got {type(X).__name__}. Pass {remedy}."
        )
    X = _convert_arrow_table(X)
    if hasattr(X, "columns"):
        X = _split_frame(X, id_column)
    if isinstance(X, str | bytes) or not hasattr(X, "__iter__"):
        raise ValueError(
            f"X must be sequences. Got {type(X).__name__}. Pass a list of arrays of shape {_SHAPE}."
        )
    sequences = list(map(_convert_arrow_table, X))
    if not sequences:
        raise ValueError(
            f"X must be sequences, at least one. Got {type(X).__name__} of length 0. "
            f"Pass a list of arrays of shape {_SHAPE}."
        )
    return sequences


def _convert_arrow_table(X):
    """Return an Arrow table as a data frame, and other objects unchanged."""
    return X.to_pandas() if is_arrow_table(X) else X


def _is_grouped(X) -> bool:
    """Return whether X is a groupby object of pandas or polars."""
    return hasattr(X, "ngroups") or (hasattr(X, "maintain_order") and hasattr(X, "agg"))


def _list_groups(X) -> list:
    if not getattr(X, "maintain_order", True):
        raise ValueError(
            "X must have groups in a fixed order. Got groups of polars in any order. "
            "Group with maintain_order=True."
        )
    keys = X.keys if hasattr(X, "ngroups") else X.by
    keys = list(keys) if isinstance(keys, list | tuple) else [keys]
    return [_drop_columns(group, keys) for _, group in X]


def _drop_columns(group, keys):
    if not hasattr(group, "columns"):
        return group
    own = [key for key in keys if isinstance(key, str | int) and key in list(group.columns)]
    return group.drop(columns=own) if hasattr(group, "iloc") else group.drop(own)


def _split_frame(X, id_column) -> list:
    """Return the sequences of a data frame with one row per step, in the order of first steps."""
    if id_column is None:
        raise ValueError(
            f"X must be sequences. Got a DataFrame of shape {X.shape}. Set `id_column` to the "
            "column that identifies the sequence of a row, or pass X.to_numpy() if each row is a "
            "sequence."
        )
    if id_column not in list(X.columns):
        raise ValueError(
            f"`id_column` must be one of {list(X.columns)}. Got {id_column!r}. Check its spelling."
        )
    ids = X[id_column]
    missing = ids.isna() if hasattr(X, "iloc") else ids.is_null()
    if missing.any():
        raise ValueError(
            "`id_column` must identify the sequence of every row. Got missing values in "
            f"{id_column!r}. Leave these rows out."
        )
    if hasattr(X, "iloc"):
        groups = X.groupby(id_column, sort=False, observed=True)
        return [group.drop(columns=id_column) for _, group in groups]
    return X.partition_by(id_column, maintain_order=True, include_key=False)


def read_sequences(sequences, names=None) -> list[np.ndarray]:
    """Return sequences as arrays of floats, of shape (length, n_step_features).

    The columns of frames are put in the order of `names`, if given. An element that is not a
    sequence of numbers is refused by its index.
    """
    return [_read_sequence(sequence, i, names) for i, sequence in enumerate(sequences)]


def find_names(sequences) -> list | None:
    """Return the column names of the first frame among sequences, or None without a frame."""
    frames = (list(sequence.columns) for sequence in sequences if hasattr(sequence, "columns"))
    return next(frames, None)


def _read_sequence(sequence, i, names) -> np.ndarray:
    if names is not None and hasattr(sequence, "columns"):
        sequence = _order_columns(sequence, i, names)
    values = _read_numbers(sequence, i)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or np.isinf(values).any():
        got = "infinite values" if values.ndim == 2 else f"an array of shape {values.shape}"
        raise ValueError(
            f"X must contain sequences of shape {_SHAPE} with finite values or NaN. "
            f"Got {got} for sequence {i}. Steps are rows, features columns."
        )
    return values


def _order_columns(frame, i, names):
    """Return a frame with its columns in the order of names."""
    own = list(frame.columns)
    if sorted(map(str, own)) != sorted(map(str, names)) or len(set(own)) < len(own):
        raise ValueError(
            f"X must have frames with the columns {names}. Got {own} for sequence {i}. "
            "Choose the same columns in each frame."
        )
    return frame if own == names else frame[names]


def _read_numbers(sequence, i) -> np.ndarray:
    """Return a sequence in single precision if its data type allows, else in double precision."""
    try:
        if hasattr(sequence, "iloc") and find_dtypes(sequence) is FLOATS:
            _refuse_times(getattr(sequence, "dtypes", None))
            return sequence.to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.asarray(unnest(sequence))
        _refuse_times(values.dtype)
        return values.astype(find_dtypes(values)[0], copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X must contain sequences of numbers. Got another for sequence {i}: {error}. "
            "Leave out columns without numbers, such as times and names."
        ) from None


def _refuse_times(dtypes):
    """Raise an error for types that NumPy would convert to meaningless numbers."""
    for dtype in dtypes if hasattr(dtypes, "__iter__") else [dtypes]:
        if getattr(dtype, "kind", None) in ("m", "M", "c"):
            raise TypeError(f"values of {dtype}")
