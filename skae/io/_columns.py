"""Columns of a file: names, conversion to numbers or dates, and reasons to leave them out."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from skae._shared.extras import import_extra
from skae.io._numbers import is_no_value

# Patterns of dates with their formats. Text for which several formats are possible stays text.
# Those other than the first may be followed by a time of day.
_DATES = {
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|[+-]\d\d:?\d\d))?)?": ("ISO8601",),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"\d{4}\.\d{1,2}\.\d{1,2}": ("%Y.%m.%d",),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%m/%d/%Y", "%d/%m/%Y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%m-%d-%Y", "%d-%m-%Y"),
    r"\d{1,2}-[A-Za-z]{3}-\d{4}": ("%d-%b-%Y",),
    r"\d{1,2} [A-Za-z]{3,9} \d{4}": ("%d %b %Y", "%d %B %Y"),
    r"[A-Za-z]{3,9} \d{1,2}, \d{4}": ("%b %d, %Y", "%B %d, %Y"),
    # As SAS and Stata write them.
    r"\d{1,2}[A-Za-z]{3}\d{4}": ("%d%b%Y",),
    r"\d{1,2}[A-Za-z]{3}\d{4}:\d\d:\d\d:\d\d": ("%d%b%Y:%H:%M:%S",),
}
_TIMES = {
    "": "",
    r" \d{1,2}:\d\d": " %H:%M",
    r" \d{1,2}:\d\d:\d\d": " %H:%M:%S",
    r" \d{1,2}:\d\d [AaPp][Mm]": " %I:%M %p",
    r" \d{1,2}:\d\d:\d\d [AaPp][Mm]": " %I:%M:%S %p",
}
_ALL_DATES = {
    date + time: tuple(form + of_day for form in forms)
    for date, forms in _DATES.items()
    for time, of_day in _TIMES.items()
    if not time or forms != ("ISO8601",)
}
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_NAMELESS = ("", "unnamed: 0")
# Names that programs give to a column of row numbers.
_COUNTING = {*_NAMELESS, "rownames", "row.names", "row names", "row", "rowid", "row_id", "row id"}
_COUNTING |= {"row_number", "row number", "rownumber", "index", "level_0", "__index_level_0__", "#"}
_COUNTING.add("...1")
_NUMBERS = (bool, np.bool_, int, float, Decimal)
# Shorter columns may look like row numbers by chance.
_LONG = 10


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a file, with a unique name and the title in the file.

    `reason` is the reason for leaving out the column, or an empty string. `words` are the cells of
    columns of text or booleans, for tables with columns of all kinds.
    """

    name: str
    values: Any
    title: str
    reason: str = ""
    words: Any = None

    def leave_out(self, reason):
        """Return the column with a reason to be left out."""
        return replace(self, reason=self.reason or reason, words=None)


def name_columns(titles):
    """Return unique names for columns, and remarks if titles were not unique.

    ".1", ".2", ... are appended to repeated titles, and columns without a title get names like
    "Unnamed: 2".

    Examples
    --------
    >>> from skae.io._columns import name_columns
    >>> name_columns(["a", "", "a"])
    (['a', 'Unnamed: 1', 'a.1'], ['Columns with equal names were renamed: a, a.1'])
    """
    # A dict serves as an ordered set.
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
    return list(names), [f"Columns with equal names were renamed: {equal}"] * bool(equal)


def convert_numbers(column):
    """Return a column as booleans or numbers with NaN, or with a reason to be left out."""
    if column.reason:
        return column
    values = column.values
    kind = values.dtype.kind
    if kind in "iufb":
        return replace(column, values=values.astype(np.float64)) if values.hasnans else column
    present = values.dropna()
    if kind == "O" and len(present) and all(isinstance(value, _NUMBERS) for value in present):
        return replace(column, values=values.map(float, na_action="ignore").astype(np.float64))
    return column.leave_out(_describe_type(values, present))


def convert_kinds(column):
    """Return a column as a type that estimators accept in frames, or with a reason to leave it out.

    Supported types are numbers, booleans, text, categories and dates.
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
    """Return dates if all cells of a column of text are dates, and the text otherwise.

    Dates are written as 2024-05-31, 2024/5/31, 31.5.2024 or 31-May-2024, with or without a time of
    day. The first may also have a time zone, and is then converted to UTC. Text such as 5/31/2024
    or 5-31-2024 is recognised if the column shows which of the two numbers is the month. Marks of
    missing values are missing.
    """
    if values.dtype.kind != "O":
        return values
    distinct = [value for value in values.dropna().unique() if not is_no_value(value)]
    if not distinct:
        return values
    for pattern, formats in _ALL_DATES.items():
        if all(re.fullmatch(pattern, value) for value in distinct):
            values = values.where(values.isin(distinct))
            read = [_read_dates(values, form, distinct[0]) for form in formats]
            possible = [dates for dates in read if dates is not None]
            is_clear = possible and all(map(possible[0].equals, possible))
            return possible[0] if is_clear else values
    return values


def _read_dates(values, form, example):
    """Return dates of one format, or None if some cells have another."""
    pandas = import_extra("pandas", "table", "read_table")
    has_zone = form == "ISO8601" and bool(_ZONE.search(example))
    try:
        return pandas.to_datetime(values, format=form, utc=has_zone)
    except ValueError:
        # Such as the 31st of February, or time zones in some cells only.
        return None


def _describe_type(values, present):
    if values.dtype.kind in "mM":
        return "dates or times"
    if not len(present):
        return "no values"
    if str(values.dtype) == "category":
        return "categories"
    kinds = sorted({type(value).__name__ for value in present})
    return "text" if kinds == ["str"] else f"values of type {' and '.join(kinds[:3])}"


def leave_out_row_numbers(columns):
    """Give columns of row numbers a reason to be left out, and return them with remarks.

    Row numbers count from 0 or 1 and are named accordingly. Remarks are on others that look like
    them.
    """
    done, remarks = [], []
    for column in columns:
        start = None if column.reason else _find_count(column.values)
        is_named_so = _strip_number(column.title) in _COUNTING
        if start is not None and is_named_so:
            column = column.leave_out(f"row numbers from {start}")
        elif start is not None and len(column.values) >= _LONG:
            remarks.append(
                f"Column {column.name} counts the rows from {start}: leave it out if it is only "
                f"a row number (on the command line: --drop {column.name!r})"
            )
        elif _is_nameless_key(column):
            remarks.append(
                f"Column {column.name} has no name and a different whole number in each row: leave "
                f"it out if it is a row number (on the command line: --drop {column.name!r})"
            )
        done.append(column)
    return done, remarks


def _find_count(values):
    """Return 0 or 1 if the values count up from this number, and None otherwise."""
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
