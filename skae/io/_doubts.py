"""Remarks on columns of numbers that may be identifiers, codes or dates."""

import re

import numpy as np

# Larger whole numbers are rounded as floats.
_EXACT = 2**53
_FIRST_DAY, _LAST_DAY = 1900_01_01, 2099_12_31
_CODE = re.compile(r"0\d{2,}")


def describe_doubts(columns):
    """Yield remarks on columns of whole numbers that are hardly quantities.

    Parameters
    ----------
    columns : list of Column
        Columns; those with a reason to be left out are passed over.

    Yields
    ------
    remark : str
        Remark on whole numbers that are rounded, and on days written as 20240531.
    """
    for column in columns:
        if column.reason or column.values.dtype.kind not in "iu" or not len(column.values):
            continue
        numbers = column.values.to_numpy()
        if max(int(numbers.max()), -int(numbers.min())) > _EXACT:
            yield _advise(column.name, "may identify rows, with rounded numbers of over 15 digits")
        elif _are_days(numbers):
            yield _advise(column.name, f"may hold dates, such as {numbers[0]}, read as numbers")


def describe_codes(records, columns):
    """Yield remarks on columns whose numbers begin with zeros.

    Parameters
    ----------
    records : list of lists of str
        First records of the file, below the names.
    columns : list of Column
        Columns in the order of the cells.

    Yields
    ------
    remark : str
        Remark on codes such as 01234 that were read as numbers.
    """
    for index, column in enumerate(columns):
        cells = [record[index] for record in records if index < len(record)]
        code = next((cell for cell in cells if _CODE.fullmatch(cell)), None)
        if code is not None and not column.reason and column.values.dtype.kind in "iuf":
            yield _advise(column.name, f"may hold codes, such as {code}, read as numbers")


def _advise(name, doubt):
    return f"Column {name} {doubt}: leave it out if so (on the command line: --drop {name!r})"


def _are_days(numbers):
    if numbers.min() < _FIRST_DAY or numbers.max() > _LAST_DAY or numbers.min() == numbers.max():
        return False
    months, days = numbers // 100 % 100, numbers % 100
    return bool(np.all((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)))
