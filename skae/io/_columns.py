"""Columns on their way from a file to a table: their names, and why some are left out."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from skae._shared.extras import import_extra

# Patterns of dates, and their formats; if several formats are possible, none is taken.
_DATES = {
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|[+-]\d\d:?\d\d))?)?": ("ISO8601",),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%m/%d/%Y", "%d/%m/%Y"),
}
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_NAMELESS = ("", "unnamed: 0")
# Programs call a column of row numbers so; pandas and R append a number to a name that is taken.
_COUNTING = {*_NAMELESS, "rownames", "row.names", "row names", "row", "rowid", "row_id", "row id"}
_COUNTING |= {"row_number", "row number", "rownumber", "index", "level_0", "__index_level_0__", "#"}
_COUNTING.add("...1")
# Shorter columns count by chance.
_LONG = 10


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a file.

    Attributes
    ----------
    name : str
        Its name, which no other column has.
    values : pandas.Series
        Its cells.
    title : str
        The name in the file, which other columns may have, too.
    reason : str
        Why the column is left out; empty where it is not.
    words : pandas.Series or None
        Cells of columns of text and of words for booleans, for tables that are not of numbers
        alone.
    """

    name: str
    values: Any
    title: str
    reason: str = ""
    words: Any = None

    def leave_out(self, reason):
        """Return the column with a reason, if it has none yet, and without words."""
        return replace(self, reason=self.reason or reason, words=None)


def name_columns(titles):
    """Return names that differ, and remarks on titles that do not.

    Parameters
    ----------
    titles : sequence of str
        Names in the file.

    Returns
    -------
    names : list of str
        The titles; where there is none, "Unnamed: 2" for the third column; where one occurs again,
        with ".1" and so on at its end.
    remarks : list of str
        A sentence, if titles occur more than once.

    Examples
    --------
    >>> from skae.io._columns import name_columns
    >>> name_columns(["a", "", "a"])
    (['a', 'Unnamed: 1', 'a.1'], ['Columns of equal names are told apart: a, a.1'])
    """
    # In order, as the keys of a dict are.
    names: dict[str, None] = {}
    taken = set(titles)
    again: dict[str, list[str]] = {}
    for index, title in enumerate(titles):
        name = title or f"Unnamed: {index}"
        number = 0
        while name in names or ((number or not title) and name in taken):
            number += 1
            name = f"{title or f'Unnamed: {index}'}.{number}"
        if number and title:
            again.setdefault(title, [title]).append(name)
        names[name] = None
    equal = ", ".join(name for group in again.values() for name in group)
    return list(names), [f"Columns of equal names are told apart: {equal}"] * bool(equal)


def convert_numbers(column):
    """Return a column with its cells as plain numbers, or with a reason why it is left out.

    Parameters
    ----------
    column : Column
        A column of any type.

    Returns
    -------
    column : Column
        With values of type bool, int or float, missing ones as NaN; or with a reason.
    """
    if column.reason:
        return column
    values = column.values
    kind = values.dtype.kind
    if kind in "iufb":
        return replace(column, values=values.astype(np.float64)) if values.hasnans else column
    present = values.dropna()
    if kind == "O" and len(present) and all(isinstance(v, (bool, np.bool_)) for v in present):
        return replace(column, values=_to_float(values))
    if kind == "O" and len(present) and all(isinstance(v, (int, float, Decimal)) for v in present):
        return replace(column, values=_to_float(values))
    return column.leave_out(_describe_type(values, present))


def convert_kinds(column):
    """Return a column with its cells as numbers, booleans, categories or dates, or with a reason.

    Parameters
    ----------
    column : Column
        A column of any type.

    Returns
    -------
    column : Column
        With values of a type that estimators of data frames know, or with a reason.
    """
    if column.words is not None:
        return replace(column, values=read_dates(column.words), reason="")
    if column.reason:
        return column
    values = column.values
    present = values.dropna()
    if not len(present):
        return column.leave_out("no values")
    if str(values.dtype) == "category" or values.dtype.kind in "mMb":
        return column
    if values.dtype.kind == "O":
        kinds = {type(value) for value in present}
        if kinds <= {bool, np.bool_}:
            return replace(column, values=values.astype("boolean"))
        if kinds == {str}:
            return replace(column, values=read_dates(values))
        if kinds <= {date, datetime}:
            return replace(column, values=values.astype("datetime64[s]"))
    return convert_numbers(column)


def read_dates(values):
    """Return dates where all cells of a column of text are dates, and the text otherwise.

    Parameters
    ----------
    values : pandas.Series of str
        The cells, with gaps where they are missing.

    Returns
    -------
    values : pandas.Series
        Dates of the type datetime64 for text such as 2024-05-31, with or without a time of day and
        a time zone, which becomes UTC, and such as 31.5.2024. Text such as 5/31/2024 is recognised
        if the column shows which of the two numbers is the month.
    """
    if values.dtype.kind != "O":
        return values
    distinct = values.dropna().unique()
    for pattern, formats in _DATES.items():
        if all(re.fullmatch(pattern, value) for value in distinct):
            read = [_read_dates(values, form, distinct[0]) for form in formats]
            possible = [dates for dates in read if dates is not None]
            return possible[0] if len(possible) == 1 else values
    return values


def _read_dates(values, form, example):
    """Return dates of a format, None if some cells do not have it."""
    pandas = import_extra("pandas", "table", "read_table")
    has_zone = form == "ISO8601" and bool(_ZONE.search(example))
    try:
        return pandas.to_datetime(values, format=form, utc=has_zone)
    except ValueError:
        # The 31st of February, or zones in some cells only.
        return None


def _to_float(values):
    return values.map(float, na_action="ignore").astype(np.float64)


def _describe_type(values, present):
    if values.dtype.kind in "mM":
        return "dates or times"
    if not len(present):
        return "no values"
    first = present.iloc[0]
    if str(values.dtype) == "category":
        return "categories"
    return "text" if isinstance(first, str) else f"values of type {type(first).__name__}"


def leave_out_row_numbers(columns):
    """Leave out columns that number the rows.

    Parameters
    ----------
    columns : list of Column
        Columns with numbers.

    Returns
    -------
    columns : list of Column
        Reasons by name; a column named as a row number that counts from 0 or 1 has one.
    remarks : list of str
        Sentences on others that look like row numbers.
    """
    done, remarks = [], []
    for column in columns:
        start = None if column.reason else _find_count(column.values)
        is_called = _strip_number(column.title) in _COUNTING
        if start is not None and is_called:
            column = column.leave_out(f"row numbers from {start}")
        elif start is not None and len(column.values) >= _LONG:
            remarks.append(
                f"Column {column.name} counts the rows from {start}: if it means nothing else, "
                f"leave it out (on the command line: --drop {column.name!r})"
            )
        elif _is_nameless_key(column):
            remarks.append(
                f"Column {column.name} has no name, and another whole number in each row: if these "
                f"number rows, leave it out (on the command line: --drop {column.name!r})"
            )
        done.append(column)
    return done, remarks


def _find_count(values):
    """Return 0 or 1 where the values count from there, None where they do not."""
    numbers = values.to_numpy()
    if numbers.dtype.kind not in "iuf" or len(numbers) < 2:
        return None
    first = numbers[0]
    is_count = first in (0, 1) and np.array_equal(numbers, np.arange(len(numbers)) + first)
    return int(first) if is_count else None


def _is_nameless_key(column):
    is_nameless = _strip_number(column.title) in _NAMELESS
    if column.reason or not is_nameless or column.values.dtype.kind not in "iu":
        return False
    return column.values.is_unique and len(column.values) > 2


def _strip_number(title):
    head, dot, tail = title.casefold().rpartition(".")
    return head if dot and head and tail.isdecimal() else title.casefold()
