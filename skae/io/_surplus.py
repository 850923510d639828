"""Cells beyond the names: separators at the end of lines, names of rows, or a broken file."""

from dataclasses import replace

import numpy as np

ROW_NAMES = "names of rows"
_SHIFTED = (
    "The last column has no name, and the first another text in each line: if that names the rows, "
    "each name stands one column too far left. Leave out the separator at the end of the names then"
)


def settle_surplus(frame, titles, layout, path):
    """Find out why lines hold more cells than there are names.

    Parameters
    ----------
    frame : pandas.DataFrame
        The cells, in columns numbered from 0, as many as the longest line has cells.
    titles : sequence of str
        Names of the columns, fewer than columns or as many.
    layout : Layout
        Tells whether each line seems to hold one cell more than there are names.
    path : pathlib.Path
        The file, for messages.

    Returns
    -------
    frame : pandas.DataFrame
        The columns that have names; before them that of the names of rows, if there is one.
    titles : list of str
        Names of the columns left; the column of the names of rows is called ``ROW_NAMES``.
    remarks : list of str
        Sentences on what was found.

    Raises
    ------
    ValueError
        If cells beyond the names hold values that are no names of rows.
    """
    named = len(titles)
    while named and not titles[named - 1]:
        named -= 1
    width = frame.shape[1]
    while width > named and frame[width - 1].isna().all():
        width -= 1
    remarks = []
    if width == named + 1 <= len(titles) and _may_be_shifted(frame, layout):
        if layout.quotes_first:
            # The line of names, too, ends with a separator.
            titles, layout = titles[:named], replace(layout, names_rows=True)
        else:
            remarks.append(_SHIFTED)
    if width <= len(titles):
        used = max(named, width)
        return frame.iloc[:, :used], list(titles[:used]), remarks
    if layout.names_rows and width == len(titles) + 1 and _holds_names(frame[0], layout):
        remark = "Lines hold one cell more than names: the first was taken for the name of the row"
        return frame.iloc[:, :width], [ROW_NAMES, *titles], [remark]
    row = int(np.flatnonzero(frame.iloc[:, len(titles) :].notna().any(axis=1))[0])
    n_cells = int(np.flatnonzero(frame.iloc[row].notna())[-1]) + 1
    raise ValueError(
        f"`path` must hold one name for each cell of a line. Got {str(path)!r}, where row "
        f"{row + 1} of the data holds {n_cells} cells and the line of names {len(titles)}: "
        f"{_show(frame.iloc[row, :n_cells])}. Name all columns; save decimal commas with another "
        "separator, such as semicolons; and put cells that hold the separator in quotes."
    )


def _may_be_shifted(frame, layout):
    """Return whether lines seem to start with row names followed by numbers."""
    others = [frame[index].dtype.kind for index in frame.columns[1:] if frame[index].notna().any()]
    return _holds_names(frame[0], layout) and "O" not in others


def _holds_names(first, layout):
    """Return whether the first column holds row names written by R without a header."""
    if first.isna().any() or not first.is_unique:
        return False
    if first.dtype.kind in "iu":
        # R puts them in quotes; without, decimal commas are as likely.
        return layout.quotes_first and np.array_equal(first, np.arange(len(first)) + 1)
    return first.dtype.kind == "O"


def _show(cells):
    return ", ".join(["" if cell is None or cell != cell else str(cell)[:30] for cell in cells[:6]])
