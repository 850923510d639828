"""Cells without a column name: separators at the end of lines, row names, or a broken file."""

from dataclasses import replace

import numpy as np

from skae.io._numbers import is_value

_N_TRIED = 200
ROW_NAMES = "names of rows"
_SHIFTED = (
    "The last column has no name, and the first a different text in each line: if these are row "
    "names, each name is one column too far left; remove the separator at the end of the names then"
)


def settle_surplus(frame, titles, layout, path):
    """Name the columns of a frame that may have more columns than `titles`.

    Cells beyond the names must be empty, or all lines must begin with a row name. The names of the
    columns (``ROW_NAMES`` for that of row names) and remarks are returned with the frame.
    """
    named, width = _measure(frame, titles)
    remarks = []
    if width == named + 1 <= len(titles) and _may_be_shifted(frame, layout):
        if layout.quotes_first:
            # The line of names ends with a separator as well.
            titles, layout = titles[:named], replace(layout, names_rows=True)
        else:
            remarks.append(_SHIFTED)
    if width <= len(titles):
        used = max(named, width)
        return frame.iloc[:, :used], list(titles[:used]), remarks
    if layout.names_rows and width == len(titles) + 1 and _holds_names(frame[0], layout):
        remark = "Lines have one cell more than there are names: the first was read as the row name"
        return frame.iloc[:, :width], [ROW_NAMES, *titles], [remark]
    raise _make_error(frame, titles, layout, path)


def _measure(frame, titles):
    """Return the number of columns up to the last name, and up to the last name or cell."""
    named = len(titles)
    while named and not titles[named - 1]:
        named -= 1
    width = frame.shape[1]
    while width > named and frame[width - 1].isna().all():
        width -= 1
    return named, width


def _make_error(frame, titles, layout, path):
    row = int(np.flatnonzero(frame.iloc[:, len(titles) :].notna().any(axis=1))[0])
    n_cells = int(np.flatnonzero(frame.iloc[row].notna())[-1]) + 1
    others = "first lines" if layout.names is None else "line of names"
    return ValueError(
        f"`path` must have a column for each cell of a line. Got {str(path)!r}, where row "
        f"{row + 1} of the data has {n_cells} cells and the {others} {len(titles)}: "
        f"{_show(frame.iloc[row, :n_cells])}. Name all columns; separate columns by semicolons if "
        "numbers have decimal commas; and put cells that contain the separator in quotes."
    )


def _may_be_shifted(frame, layout):
    """Return whether lines seem to consist of a row name followed by numbers."""
    others = [frame[index].dtype.kind for index in frame.columns[1:] if frame[index].notna().any()]
    return _holds_names(frame[0], layout) and "O" not in others


def _holds_names(first, layout):
    """Return whether the first column holds row names written by R without a header."""
    if first.isna().any() or not first.is_unique:
        return False
    if first.dtype.kind in "iu":
        # R writes them in quotes. Without quotes, decimal commas are just as likely.
        return layout.quotes_first and np.array_equal(first, np.arange(len(first)) + 1)
    # Decimal commas and unknown quotation marks split numbers as well.
    tried = first.iloc[:_N_TRIED]
    is_text = layout.quotes_first or 2 * tried.map(is_value).sum() < len(tried)
    return is_text and first.dtype.kind == "O"


def _show(cells):
    return ", ".join(["" if cell is None or cell != cell else str(cell)[:30] for cell in cells[:6]])
