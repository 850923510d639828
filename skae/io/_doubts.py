"""Remarks on columns whose values may have been misread."""

import re

import numpy as np

from skae.io._totals import is_total
from skae.io._written import is_text

# Larger whole numbers are rounded as floats.
_EXACT = 2**53
_FIRST_DAY, _LAST_DAY = 1900_01_01, 2099_12_31
_N_TRIED = 200
_DATE = re.compile(
    r"(\d{1,2}[-/.]\d{1,2}[-/.](\d\d|\d{4})|\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?"
    r"|\d{1,2}\.?[- ][A-Za-z]{3,9}\.?[- ](\d\d|\d{4})|([A-Za-z]{3,9}\.? )?[A-Za-z]{3,9}\.? "
    r"(\d{1,2},? )?\d{4})([ T]\d{1,2}:\d\d.*)?"
)
_CODE = re.compile(r"0\d{2,}")
# Codes of countries, such as NA for Namibia.
_COUNTRY = re.compile("[A-Z]{2}")
# Whole numbers of so many digits are rounded as floats, and programs write 1.2e5 instead of 12e4.
_LONG_CODE = re.compile(rf"{_CODE.pattern}|\d{{17,}}|\d{{2,}}[eE]\d+")
# Numbers that stand for missing values in many files, apart from those of huge size.
_FILLER = re.compile(r"-9{2,}(\.9+|\.0)?|9{4,}(\.9+|\.0)?|999\.9")
_HUGE = 1e15
# Smallest ratio of such a number to all others.
_FAR, _FARTHER = 3, 1e6


def describe_doubts(columns, target=None):
    """Yield remarks on columns that are hardly quantities, or hardly text.

    Remarks are on whole numbers that are rounded, days written as 20240531, numbers that may stand
    for missing values, also in the target, dates that were read as text, and a first column of text
    that is empty below its values or names totals.
    """
    if target is not None:
        yield from _describe_fillers(target)
    for index, column in enumerate(columns):
        kind = column.values.dtype.kind
        yield from _describe_fillers(column)
        if kind in "iu" and len(column.values):
            yield from _describe_numbers(column)
        elif kind == "O":
            yield from _describe_text(column, is_first=index == 0)


def _describe_numbers(column):
    numbers = column.values.to_numpy()
    if max(int(numbers.max()), -int(numbers.min())) > _EXACT:
        yield _advise(column.name, "may identify rows, with rounded numbers of over 15 digits")
    elif _are_days(numbers):
        yield _advise(column.name, f"may hold dates, such as {numbers[0]}, read as numbers")


def _describe_fillers(column):
    """Yield a remark on a lowest or highest number far from all others, such as -999."""
    if column.values.dtype.kind not in "iuf":
        return
    numbers = column.values.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = numbers[np.isfinite(numbers)]
    for filler in sorted({numbers.min(), numbers.max()}) if len(numbers) else ():
        others = numbers[numbers != filler]
        if len(others) and _is_filler(filler, others, len(numbers) - len(others)):
            yield (
                f"Column {column.name} may mark missing values by {filler:g}, read as a number: "
                "leave these cells empty if so"
            )


def _is_filler(filler, others, count):
    """Return whether a number that occurs `count` times does not belong to the other numbers."""
    size, largest = abs(float(filler)), float(np.abs(others).max())
    has_other_sign = filler < 0 <= others.min()
    is_usual = _FILLER.fullmatch(str(filler)) is not None and (count > 1 or has_other_sign)
    return (is_usual and size > _FAR * largest) or (size >= _HUGE and size > _FARTHER * largest)


def _describe_text(column, *, is_first):
    present = column.values.dropna()
    texts = [text for text in present.unique()[:_N_TRIED] if isinstance(text, str)]
    dates = [text for text in texts if _DATE.fullmatch(text)]
    if 2 * len(dates) > len(texts):
        shown = " and ".join(map(repr, dates[:2]))
        yield f"Column {column.name} may hold dates, such as {shown}, read as text"
    totals = [text for text in texts if is_first and is_total(text)]
    if totals:
        yield f"Rows called {totals[0]!r} may be sums of others: leave them out if so"
    n_rows = len(column.values)
    has_labels = is_first and len(texts) > 1 and present.is_unique and present.index[0] == 0
    if has_labels and 3 * len(present) <= 2 * n_rows:
        yield (
            f"Column {column.name} is empty below its values, as in pivot tables: fill the cells "
            "in if the values hold for the rows below"
        )


def describe_codes(records, columns):
    """Yield remarks on numbers written like codes, and on codes NA, in some of the records."""
    for index, column in enumerate(columns):
        cells = [record[index] for record in records if index < len(record)]
        pattern = _CODE if column.values.dtype.kind in "iu" else _LONG_CODE
        code = next((cell for cell in cells if pattern.fullmatch(cell)), None)
        if code is not None and not column.reason and not is_text(column.values):
            yield _advise(column.name, f"may hold codes, such as {code}, read as numbers")
        if (
            "NA" in cells
            and all(map(_COUNTRY.fullmatch, others := set(cells) - {"", "NA"}))
            and others
        ):
            yield f"Cells NA of column {column.name} are missing: rename them if they are codes"


def describe_swallowed(columns, separator):
    """Yield remarks on cells with whole lines of the file, as if a quotation mark were missing."""
    for index, column in enumerate(columns):
        values = column.values if column.words is None else column.words
        texts = values.dropna().unique() if values.dtype.kind == "O" else ()
        for text in texts:
            if "\n" in str(text) and _holds_lines(str(text), separator, index, len(columns)):
                yield (
                    f"Column {column.name} has cells with whole lines of the file, such as "
                    f"{text[:40]!r}: check that all quotation marks are closed"
                )
                break


def _holds_lines(text, separator, index, n_columns):
    """Return whether a cell begins and ends within lines of the file, by their numbers of cells."""
    first, *inner, last = (line.count(separator) + 1 for line in text.split("\n"))
    is_cut = first == n_columns - index and last == index + 1
    return is_cut and set(inner) <= {n_columns} and (bool(inner) or n_columns > 2)


def _advise(name, doubt):
    return f"Column {name} {doubt}: leave it out if so (on the command line: --drop {name!r})"


def _are_days(numbers):
    if numbers.min() < _FIRST_DAY or numbers.max() > _LAST_DAY or numbers.min() == numbers.max():
        return False
    months, days = numbers // 100 % 100, numbers % 100
    return bool(np.all((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)))
