"""Reading of tables from CSV, Parquet, Excel and NPZ files."""

from pathlib import Path

from skae._shared.checks import check_choice
from skae.io._arrays import read_npz
from skae.io._conversion import convert_columns
from skae.io._excel import EXCEL_SUFFIXES, read_excel_columns
from skae.io._missing import MISSING
from skae.io._parquet import read_parquet_columns
from skae.io._request import Request
from skae.io._table import Table
from skae.io._text import TEXT_SUFFIXES, read_text_columns

_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", *EXCEL_SUFFIXES, ".npz")
_REMEDIES = {
    (".xls", ".xlsb", ".ods"): "Save the sheet as CSV.",
    (
        ".txt",
        ".dat",
        ".data",
        ".tab",
    ): "Rename it to .csv if commas or the like separate its columns.",
}


def read_table(
    path,
    target=None,
    *,
    numeric_only=True,
    missing="error",
    drop=(),
    header=True,
    sheet=None,
) -> Table:
    r"""Read a table from a file: its numeric columns, or columns of all kinds.

    Parameters
    ----------
    path : str or path-like
        File ending in .csv, .csv.gz, .tsv, .tsv.gz or .parquet (these need the extra ``table``),
        .xlsx or .xlsm (the extra ``excel``), or .npz. In text files, commas, semicolons, tabs and
        vertical bars between columns, decimal commas, thousands separators, percent signs,
        currencies and units that all cells of a column share are recognised. Lines above the column
        names, and units below them, are skipped.
        An NPZ file contains an array ``X`` and optionally ``y``, or a single two-dimensional array
        of any name.
    target : str, default=None
        Name of the column (in an NPZ file, of the array) to return as `y` instead of as part of
        `X`. None uses ``y`` of an NPZ file, and no target otherwise.
    numeric_only : bool, default=True
        Whether to read only numeric columns, as an array. With False, `X` is a data frame of pandas
        that also has the columns of text, booleans, categories and dates. In text files, columns
        are dates if all their cells are written as 2024-05-31, 2024/5/31, 31.5.2024 or 31-May-2024,
        or as 5/31/2024 or 31/5/2024 if the column shows which number is the month; a time of day
        may follow.
        Ignored for NPZ files.
    missing : {"error", "drop", "keep"}, default="error"
        Treatment of missing values: raise an error, leave out the rows, or keep them as NaN in `X`.
        Rows without a target are also left out with "keep".
    drop : sequence of str, default=()
        Names of columns to leave out, such as customer numbers.
    header : bool, default=True
        Whether the file contains column names. With False, columns are named x0, x1, ....
        Ignored for Parquet and NPZ files.
    sheet : str, default=None
        Name of the sheet in an Excel workbook. None reads the first visible sheet.

    Returns
    -------
    Table
        Table with the attributes `X`, `y`, `feature_names`, `drop_reasons`, `dropped_columns` and
        `remarks`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ImportError
        If pandas, PyArrow or openpyxl is needed and not installed.
    ValueError
        If the file has another ending, does not match its ending, or would take implausibly much
        memory; if it has no rows or no columns of these kinds, does not contain `target` or a
        column of `drop`, or has lines with more cells than column names; or if it contains infinite
        values, or missing values that are not allowed or occur in every row.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skae.io import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "flowers.csv"
    ...     _ = path.write_text("length,width,colour,kind\n5.1,3.5,red,a\n4.9,3.0,blue,b\n")
    ...     table = read_table(path, target="kind")
    >>> table.X
    array([[5.1, 3.5],
           [4.9, 3. ]])
    >>> table.y.tolist(), table.feature_names, table.drop_reasons
    (['a', 'b'], ('length', 'width'), {'colour': "text, such as 'red'"})

    With columns of all kinds:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "flowers.csv"
    ...     _ = path.write_text("length,width,colour,kind\n5.1,3.5,red,a\n4.9,3.0,blue,b\n")
    ...     table = read_table(path, target="kind", numeric_only=False)
    >>> table.X["colour"].tolist()
    ['red', 'blue']
    """
    check_choice("missing", missing, MISSING, "Try 'drop'.")
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    request = Request(Path(path), target, missing, drop)
    suffix = _find_suffix(request.path, sheet)
    if not request.path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing file. Got {str(request.path)!r}. Check its spelling "
            "and folder."
        )
    if target in drop:
        raise ValueError(
            f"`drop` must not contain the target. Got {target!r} for both. Leave out one of them."
        )
    if suffix == ".npz":
        return read_npz(request)
    if suffix == ".parquet":
        columns, remarks = read_parquet_columns(request.path, target, numeric_only=numeric_only)
    elif suffix in EXCEL_SUFFIXES:
        columns, remarks = read_excel_columns(request.path, sheet, header)
    else:
        columns, remarks = read_text_columns(request.path, suffix, header)
    return convert_columns(columns, remarks, request, numeric_only=numeric_only)


def _find_suffix(path, sheet):
    name = path.name.lower()
    found = [suffix for suffix in _SUFFIXES if name.endswith(suffix)]
    if not found:
        own = [text for endings, text in _REMEDIES.items() if name.endswith(endings)]
        remedy = own[0] if own else "Convert it to one of these."
        raise ValueError(
            f"`path` must be a file ending in one of {', '.join(_SUFFIXES)}. Got {str(path)!r}. "
            f"{remedy}"
        )
    if sheet is not None and found[0] not in EXCEL_SUFFIXES:
        raise ValueError(
            f"`sheet` must be None unless `path` is an Excel workbook. Got {sheet!r} with "
            f"{str(path)!r}. Leave it out."
        )
    return found[0]
