"""Columns of a data frame as models use them: kinds, values, and reasons to leave them out."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._estimators.column_encoding import Levels
from skae._estimators.column_types import ColumnType, read_seconds
from skae._estimators.mixed_columns import (
    find_kind,
    is_boolean,
    is_frame,
    is_numeric,
    name_columns,
    read_cells,
    read_finite_numbers,
    take_column,
)
from skae._shared.names import list_names
from skae._shared.scikit_learn import validate_data
from skae._shared.warning import warn_user
from skae.exceptions import ColumnsLeftOutWarning

# In frames of this length, consecutive integers that occur once each are row numbers.
_FEWEST_NUMBERED_ROWS = 20
# Less frequent categories of a column are pooled as rare ones.
_MOST_CATEGORIES = 10_000
# Dates as frames hold them that were read from text files.
_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{4})([ T]\d{1,2}:\d\d.*)?"
)
_DATES = "dates as text: convert them, as with pandas.to_datetime"
# Number of cells that are examined.
_N_TRIED = 200


def is_mixed_frame(X) -> bool:
    """Return whether X is a data frame with a column that is not numeric.

    Frames of booleans only are not: scikit-learn treats these as numbers. Columns of lists, complex
    numbers or other unsupported values are refused.
    """
    if not is_frame(X):
        return False
    dtypes = list(X.dtypes)
    if all(map(is_numeric, dtypes)) or all(map(is_boolean, dtypes)):
        return False
    kinds = (
        find_kind(take_column(X, index), name, np.nan)
        for index, name in enumerate(name_columns(X))
        if not is_numeric(dtypes[index])
    )
    return any(kind != "number" for kind in kinds)


def check_frame(estimator, X, *, reset: bool):
    """Raise an error unless X is a frame of a row or more (two for fit) with the columns of fit.

    `reset` stores the columns of X as those of fit, which must have different names.
    """
    if not is_frame(X):
        raise ValueError(
            "X must be a data frame with the columns of fit, which had several kinds. Got "
            f"{type(X).__name__}. Pass a frame of pandas or polars."
        )
    names = name_columns(X)
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"X must have columns of different names. Got more than one {name!r}. Rename them, "
            "or pass the values alone, as in X.to_numpy()."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    fewest = 2 if reset else 1
    if X.shape[0] < fewest or X.shape[1] == 0:
        raise ValueError(
            f"X must have a column and a minimum of {fewest} rows. Got shape={X.shape}. Pass more."
        )


@dataclass(frozen=True)
class ColumnSummary:
    """Description of a column of a frame."""

    name: Any
    """Name of the column."""

    kind: str
    """Kind of its values, "number", "category" or "time"."""

    n_missing: int
    """Number of cells that are missing."""

    reason: str | None = None
    """Reason why models are fitted without the column. None if they are fitted with it."""


def summarize_columns(X, X_test=None) -> list[ColumnSummary]:
    """Describe the columns of a frame as they are used by a model fitted to it.

    Missing values of `X_test` are counted as well. A frame of which no column is left is refused.
    """
    return [
        ColumnSummary(
            own.name,
            own.kind,
            int(own.missing.sum()) + (0 if X_test is None else _count_missing(X_test, own)),
            own.reason,
        )
        for own in draft_columns(X, np.ones(len(X), dtype=bool))
    ]


def _count_missing(X, draft: "ColumnDraft") -> int:
    """Return the number of missing values of a column in further rows."""
    return int(read_column(take_column(X, draft.position), draft.name, draft.kind)[1].sum())


@dataclass(frozen=True)
class ColumnDraft:
    """A column during fit: its values and how it is used."""

    position: int
    name: Any
    kind: str
    type: ColumnType
    numbers: np.ndarray
    """Floats, or numbers of categories; NaN where a cell is missing or its category unknown."""

    missing: np.ndarray
    levels: Levels | None
    reason: str | None
    """Reason why the column is left out. None if it is used."""

    @classmethod
    def read(cls, X, position: int, name, kept: np.ndarray) -> "ColumnDraft":
        column = take_column(X, position)
        kind = find_kind(column, name, np.nan)
        values, missing = (own[kept] for own in read_column(column, name, kind))
        levels, reason = _judge(values, missing, kind, is_whole=is_numeric(column.dtype))
        if levels is not None:
            values = levels.number(values, missing, np.float32)
        elif reason is None:
            values = values.astype(np.float64)
        return cls(position, name, kind, ColumnType.of(column), values, missing, levels, reason)


def draft_columns(X, kept: np.ndarray) -> list[ColumnDraft]:
    """Read some rows of the columns of a frame. A frame without usable columns is refused."""
    drafts = [ColumnDraft.read(X, index, name, kept) for index, name in enumerate(name_columns(X))]
    _refuse_empty(drafts)
    return drafts


def read_column(column, name, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return floats or objects, and a mask of missing values."""
    if kind == "category":
        return read_cells(column, np.nan)
    if kind == "number":
        return read_finite_numbers(column, name, np.nan)
    if find_kind(column, name, np.nan) != "time":
        # A column without values has any type.
        _, missing = read_cells(column, np.nan)
        if missing.all():
            return np.full(len(missing), np.nan), missing
        raise ValueError(
            f"X must hold dates or times in column {name!r}, as in fit. Got the type "
            f"{column.dtype}. Convert it, as with pandas.to_datetime."
        )
    seconds = read_seconds(column)
    return seconds, np.isnan(seconds)


def _judge(values, missing, kind: str, *, is_whole: bool) -> tuple[Levels | None, str | None]:
    """Return the categories of a column, and the reason if it is left out."""
    present = values[~missing]
    distinct = set(present.tolist())
    if not len(present):
        return None, "no values"
    if len(distinct) == 1:
        return None, "constant"
    are_all_different = len(distinct) == len(present)
    if kind != "category":
        is_count = is_whole and are_all_different and _counts(present)
        return None, "numbers of rows" if is_count else None
    if are_all_different and len(present) > 2:
        return None, _DATES if _are_dates(present) else "identifiers, all different"
    levels = Levels.find(values, missing, _MOST_CATEGORIES)
    if levels is not None:
        return levels, None
    return None, _DATES if _are_dates(present) else "most values are rare, as in free text"


def _are_dates(values) -> bool:
    return all(isinstance(v, str) and _DATE.fullmatch(v.strip()) for v in values[:_N_TRIED])


def _counts(numbers: np.ndarray) -> bool:
    """Return whether distinct numbers are consecutive integers."""
    is_long = len(numbers) >= _FEWEST_NUMBERED_ROWS
    return is_long and bool(numbers.max() - numbers.min() == len(numbers) - 1)


def warn_of_left_out(columns):
    """Warn about columns that are left out, given the summaries of all columns."""
    text = _name_left_out(columns)
    if text:
        warn_user(
            f"Columns are left out of the model: {text}. `inverse_transform` does not give them "
            "back. Drop them to avoid this warning.",
            ColumnsLeftOutWarning,
            once=True,
        )


def _name_left_out(columns) -> str:
    """Return the names of columns that are left out, with reasons."""
    left_out = [own for own in columns if own.reason is not None]
    return list_names(f"{own.name!r} ({own.reason})" for own in left_out) if left_out else ""


def _refuse_empty(columns):
    """Raise an error for a frame without usable columns."""
    if all(own.reason is not None for own in columns):
        raise ValueError(
            "X must have a column of numbers, dates, or categories that occur several times. Got "
            f"{_name_left_out(columns)}. Pass other columns."
        )
