"""Columns from a frame of cells: without what is no data, under their names, as numbers."""

from skae.io._columns import Column, name_columns
from skae.io._rows import drop_odd_rows
from skae.io._surplus import ROW_NAMES, settle_surplus
from skae.io._written import read_written_columns


def assemble_columns(frame, layout, path, separator=",", read_as_text=None):
    """Make columns of the cells below the names.

    Parameters
    ----------
    frame : pandas.DataFrame
        The cells, in columns numbered from 0.
    layout : Layout
        Names in the file; without any, the columns are called x0, x1 and so on.
    path : pathlib.Path
        The file, for messages.
    separator : str, default=","
        Separator of the columns.
    read_as_text : callable, default=None
        Given numbers of columns, returns a frame of their cells as they are written.

    Returns
    -------
    columns : list of Column
        The columns; those that hold no numbers have a reason.
    remarks : list of str
        Sentences on rows left out, names, and how numbers are written.

    Raises
    ------
    ValueError
        If lines hold more cells than there are names.
    """
    has_names = layout.names is not None
    titles = layout.names if has_names else ("",) * frame.shape[1]
    frame, odd = drop_odd_rows(frame, titles, len(layout.names) if has_names else layout.width)
    frame, titles, surplus = settle_surplus(frame, titles, layout, path)
    if not has_names:
        titles = [f"x{index}" for index in range(len(titles))]
    names, equal = name_columns(titles)
    columns = [
        Column(name, frame[index], title)
        for index, (name, title) in enumerate(zip(names, titles, strict=True))
    ]
    nameless = [name for name, title in zip(names[1:], titles[1:], strict=True) if not title]
    if nameless:
        equal.append(f"Columns without a name: {', '.join(nameless)}")
    columns, written = read_written_columns(columns, separator, read_as_text)
    if ROW_NAMES in titles:
        columns[0] = columns[0].leave_out(ROW_NAMES)
    return columns, [*surplus, *odd, *equal, *written]
