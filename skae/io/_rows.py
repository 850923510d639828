"""Removal of rows without data: empty lines, comments, notes below the table, and totals."""

import re

import numpy as np

from skae.io._layout import COMMENT_MARKS
from skae.io._numbers import is_no_value, is_value
from skae.io._totals import find_totals, is_total

# Maximum number of lines below a table that are examined.
_MOST_BELOW = 10
# In so few columns, a last row of text alone may just lack its value.
_FEW_COLUMNS = 2
_NOTE = re.compile(
    r" *([*\u2020\u2021]|(sources?|notes?|quellen?|anmerkung(en)?|fuente|notas?|remarques?)\b.*:)",
    re.IGNORECASE,
)


def drop_odd_rows(frame, titles, n_columns):
    """Leave out rows without data, and return the others with their index, and remarks.

    Data are in the first `n_columns` columns, which the titles name.
    """
    if not n_columns:
        return frame, []
    kinds = {
        "Lines that repeat the names left out": lambda rows: _find_repeated(rows, titles),
        "Comments left out": lambda rows: _find_comments(rows, n_columns),
    }
    if n_columns > 1:
        kinds["Lines without values left out"] = _find_empty
        kinds["Lines below the table left out"] = lambda rows: _find_below(rows, n_columns)
        kinds["Totals left out"] = find_totals
    remarks = []
    for description, find in kinds.items():
        # Each kind is looked for among the rows that the others left.
        if frame.empty:
            break
        found = find(frame)
        if found.any():
            example = frame.iloc[np.flatnonzero(found)[0], 0]
            such_as = f", such as {str(example)[:60]!r}" if isinstance(example, str) else ""
            remarks.append(f"{description}: {found.sum()}{such_as}")
            frame = frame[~found]
    return frame, remarks


def _find_repeated(frame, titles):
    found = np.zeros(len(frame), dtype=bool)
    # Titles may be numbers, such as years, and be read as such.
    text = next((index for index in range(len(titles or ())) if _is_text(frame, index)), None)
    if text is None or not titles[text]:
        return found
    expected = [_write(title) for title in titles if title]
    for row in np.flatnonzero((frame[text] == titles[text]).fillna(False).to_numpy(dtype=bool)):
        found[row] = [_write(cell) for cell in frame.iloc[row] if cell == cell] == expected
    return found


def _write(cell):
    return str(cell).strip().removesuffix(".0")


def _find_comments(frame, n_columns):
    """Return whether rows begin with a comment mark, and are not data."""
    none = np.zeros(len(frame), dtype=bool)
    if not _is_text(frame, 0):
        return none
    texts = frame[0].astype("object").where(frame[0].notna(), "").astype(str)
    marked = texts.str.lstrip().str.startswith(COMMENT_MARKS) & ~texts.map(is_no_value)
    marked = marked.to_numpy(dtype=bool)
    if not marked.any() or 2 * marked.sum() > len(frame):
        return none
    if all(map(is_value, texts[~marked].iloc[:_MOST_BELOW])):
        return marked
    alone = frame.iloc[:, 1:].isna().all(axis=1).to_numpy()
    return marked & alone if n_columns > 1 else none


def _find_empty(frame):
    """Return whether rows have no values, or only marks of missing values."""
    rows = np.arange(len(frame))
    for name in frame.columns:
        cells = frame[name].iloc[rows]
        empty = cells.isna().to_numpy(dtype=bool, copy=True)
        if _is_text(frame, name):
            empty[~empty] = [is_no_value(str(cell)) for cell in cells[~empty]]
        rows = rows[empty]
    return np.isin(np.arange(len(frame)), rows)


def _find_below(frame, n_columns):
    """Return whether rows at the end are notes: text in the first of several columns alone.

    In a first column of text, all other rows must have values, and there must be further columns,
    unless the first of the rows begins like a note.
    """
    found = np.zeros(len(frame), dtype=bool)
    if not _is_text(frame, 0):
        return found
    for row in range(len(frame) - 1, max(len(frame) - 1 - _MOST_BELOW, 0), -1):
        first = frame.iloc[row, 0]
        is_alone = frame.iloc[row, 1:].isna().all()
        if not is_alone or (isinstance(first, str) and (is_value(first) or is_no_value(first))):
            break
        found[row] = True
    others = frame[~found]
    texts = others[0].dropna().astype(str)
    if len(texts) and all(is_value(own) or is_total(own) for own in texts.iloc[-_MOST_BELOW:]):
        return found
    n_filled = others.iloc[:, 1:].notna().sum(axis=1)
    if n_columns > _FEW_COLUMNS and len(others) and n_filled.min() > 0:
        return found
    notes = (row for row in np.flatnonzero(found) if _NOTE.match(str(frame.iloc[row, 0])))
    found[: next(notes, len(frame))] = False
    return found


def _is_text(frame, name):
    return frame[name].dtype.kind == "O"
