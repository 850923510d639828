"""Named columns of numbers from the cells of a text file or a sheet."""

from skae.io._columns import Column, name_columns
from skae.io._rows import drop_odd_rows
from skae.io._surplus import ROW_NAMES, settle_surplus
from skae.io._written import read_written_columns


def assemble_columns(frame, layout, path, separator=",", read_as_text=None):
    """Return named columns of the cells below the header, and remarks on rows, names and notation.

    Without names in the file, columns are named x0, x1, .... Those without numbers have a reason to
    be left out. `read_as_text` reads columns with given indices as text. Lines with more cells than
    names are refused.
    """
    has_names = layout.names is not None
    titles = layout.names if has_names else ("",) * layout.width
    # Marks without width, such as of the byte order, are not part of names.
    titles = [title.strip("\u200b\u200e\u200f\ufeff") for title in titles]
    frame, odd = drop_odd_rows(frame, titles, len(titles))
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
    columns = [
        column if column.title or column.values.notna().any() else column.leave_out("no values")
        for column in columns
    ]
    if ROW_NAMES in titles:
        columns[0] = columns[0].leave_out(ROW_NAMES)
    return columns, [*surplus, *odd, *equal, *written]
