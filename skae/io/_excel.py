"""Columns of Excel workbooks."""

import re
import zipfile

from skae._shared.extras import import_extra
from skae._shared.unreadable import explain_unreadable
from skae.io._assembly import assemble_columns
from skae.io._doubts import describe_codes
from skae.io._extent import count_cells
from skae.io._layout import find_layout
from skae.io._merged import fill_merged
from skae.io._sizes import check_size

EXCEL_SUFFIXES = (".xlsx", ".xlsm")
_SAMPLE_ROWS = 100
_CELL_BYTES = 8
# Larger numbers are no years or other names.
_HUGE = 1e9
# A result that is an empty text has the type "str".
_UNCALCULATED = re.compile(
    rb"""<c\b(?![^>]*\bt="str")[^>]*><f\b[^>]*(?:/>|>[^<]*</f>)(?:<v ?/>|<v></v>)?</c>"""
)
_HIDDEN = re.compile(rb"""<row\b[^>]*\bhidden="(?:1|true)\"""")
_KIND = "a readable Excel workbook"
_REMEDY = "Open it in a spreadsheet program, and save the sheet as CSV."


def read_excel_columns(path, sheet, has_names):
    """Return the columns of a sheet, by default the first visible one, and remarks.

    `has_names` is whether a row contains column names.
    """
    pandas = import_extra("pandas", "table", "read_table")
    import_extra("openpyxl", "excel", "read_table")
    with explain_unreadable(path, _KIND, _REMEDY), zipfile.ZipFile(path) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
    check_size(path, n_bytes, _REMEDY)
    with explain_unreadable(path, _KIND, _REMEDY):
        book = pandas.ExcelFile(path, engine="openpyxl")
    with book:
        sheet, sheets, member = _choose_sheet(book, sheet, path)
        with explain_unreadable(path, _KIND, _REMEDY), zipfile.ZipFile(path) as archive:
            content = archive.read(member)
            n_cells = count_cells(content)
        check_size(path, n_cells * _CELL_BYTES, _REMEDY)
        with explain_unreadable(path, _KIND, _REMEDY):
            frame = pandas.read_excel(book, sheet_name=sheet, header=None, na_values=["?", " "])
    if frame.empty:
        raise ValueError(
            f"`path` must have a sheet with cells. Got {str(path)!r}, where the sheet {sheet!r} is "
            f"empty. Choose another of {', '.join(sheets)} with `sheet` (on the command line: "
            "--sheet)."
        )
    columns, remarks = _make_columns(frame, has_names, path, content)
    if n_hidden := len(_HIDDEN.findall(content)):
        remarks.insert(0, f"Hidden rows, read like the others: {n_hidden}")
    if n_formulas := len(_UNCALCULATED.findall(content)):
        remarks.insert(
            0,
            f"Formulas without a result, read as missing values: {n_formulas} (to have them "
            "calculated, open the workbook in a spreadsheet program and save it)",
        )
    if len(sheets) > 1:
        remarks.insert(0, f"Sheet {sheet!r} of {', '.join(sheets)}")
    return columns, remarks


def _choose_sheet(book, name, path):
    """Return the name of the sheet to read, those of all sheets with cells, and its file."""
    # Not all sheets have cells: some are charts.
    sheets = {str(own.title): own for own in book.book.worksheets}
    if not sheets:
        raise ValueError(
            f"`path` must have a sheet with cells. Got {str(path)!r}, which has none. {_REMEDY}"
        )
    if name is not None and name not in sheets:
        raise ValueError(
            f"`sheet` must be one of {', '.join(sheets)}. Got {name!r}, which {str(path)!r} "
            "lacks. Check its spelling, capital letters included."
        )
    if name is None:
        visible = [title for title, own in sheets.items() if own.sheet_state == "visible"]
        name = next(iter(visible or sheets))
    return name, list(sheets), sheets[name]._worksheet_path.lstrip("/")


def _make_columns(frame, has_names, path, content):
    # Tables may begin right of empty columns.
    n_empty = int(frame.notna().any().to_numpy().argmax())
    frame = frame.iloc[:, n_empty:].astype("object")
    frame.columns = range(frame.shape[1])
    head = frame.iloc[:_SAMPLE_ROWS]
    records = [[_write(value) for value in row] for row in head.values]
    layout = find_layout(records, has_names)
    merged = fill_merged(frame, layout.first, n_empty, content)
    frame = frame.iloc[layout.first :].reset_index(drop=True).infer_objects()
    columns, remarks = assemble_columns(frame, layout, path)
    codes = describe_codes(records[layout.first :], columns)
    return columns, [*layout.remarks, *merged, *remarks, *codes]


def _write(value):
    """Return a cell as text. Whole numbers, such as years, are floats above decimals."""
    if value is None or value != value:
        return ""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _HUGE
    return str(int(value) if is_whole else value).strip()
