"""Totals and means in the last rows of a table."""

import re

import numpy as np

from skae.io._written import WrittenColumn, is_text

_TOTAL = re.compile(
    r"(grand[ -]?|sub[ -]?)?total(e|en|es|s)?|sums?|mean|average|totaal|summe|gesamt(summe)?"
    r"|insgesamt|mittelwert|durchschnitt|somme|moyenne|suma|promedio|итого|合计|合計|总计",
    re.IGNORECASE,
)
# Further words, which are names or categories unless all cells above have digits, as dates do.
_STATISTIC = re.compile(
    rf"{_TOTAL.pattern}|min(imum|imo)?|max(imum|imo)?|avg|count|n|median|sd|stabw|mittel|anzahl|moy"
    r"|st(d|andard)?[. ]*dev(iation)?|standardabweichung|mínimo|máximo|média|écart[- ]type"
    r"|平均|最小|最大",
    re.IGNORECASE,
)
# Sums of rounded numbers differ from rounded sums by this share.
_TOLERANCE = 1e-3
# Number of distinct cells above that are examined.
_N_TRIED = 200
# Numbers above a row that may equal it by chance.
_FEW = 3


def find_totals(frame):
    """Return whether rows are totals or means of the rows above.

    Totals are rows at the end whose first cell is "Total" or a similar word that occurs only once,
    or "Max" and the like below cells with digits; and a last row without text that holds the sums
    of at least three rows above, in a table with text.
    """
    found = np.zeros(len(frame), dtype=bool)
    first = _find_first(frame, _STATISTIC)
    if first < len(frame) and not _is_below_digits(frame, first):
        first = _find_first(frame, _TOTAL)
    found[first:] = True
    row = len(frame) - 1
    if row > _FEW - 1 and not found.any() and _is_nameless(frame[0]) and is_text(frame[0]):
        found[row] = _holds_sums(frame)
    return found


def is_total(label):
    """Return whether a text is the name of a total or a mean."""
    return _names(_TOTAL, label)


def _find_first(frame, names):
    """Return the index of the first of the last rows that begin with names, not categories."""
    row = len(frame)
    while row > 1:
        column, label = _find_label(frame.iloc[row - 1])
        if not _names(names, label) or (frame[column] == label).sum() > 1:
            break
        row -= 1
    return row


def _names(names, label):
    return names.fullmatch(label.strip(" :.*")) is not None


def _is_below_digits(frame, row):
    """Return whether all cells above the label of a row have digits."""
    column, _ = _find_label(frame.iloc[row])
    cells = frame[column].iloc[:row].dropna().unique()[-_N_TRIED:]
    return all(any(map(str.isdigit, str(cell))) for cell in cells)


def _find_label(cells):
    """Return the column of the first cell of a row that is not missing, and its text, if any."""
    present = (pair for pair in cells.items() if pair[1] == pair[1] and pair[1] is not None)
    column, cell = next(present, (0, ""))
    return column, cell if isinstance(cell, str) else ""


def _is_nameless(column):
    """Return whether the last cell is empty or, as in tables of SAP, has only asterisks."""
    cell = column.iloc[-1]
    return column.isna().iloc[-1] or (isinstance(cell, str) and not cell.strip("* "))


def _holds_sums(frame):
    """Return whether the last row has sums of the others, wherever it has cells."""
    present = frame.columns[1:][frame.iloc[-1, 1:].notna()]
    sums = [_is_sum(frame[index]) for index in present]
    return bool(sums) and all(sums)


def _is_sum(column):
    if column.dtype.kind == "O":
        written = WrittenColumn(column)
        if written.problem:
            return False
        column = written.convert(".")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    total = np.nansum(values[:-1])
    return bool(total != 0 and np.isclose(values[-1], total, rtol=_TOLERANCE, atol=0))
