"""Tables from CSV, Parquet, Excel and NPZ files, as arrays for estimators."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from skae._shared.extras import import_extra
from skae.io._columns import convert_kinds, convert_numbers, leave_out_row_numbers
from skae.io._excel import EXCEL_SUFFIXES, read_excel_columns
from skae.io._missing import MISSING, list_names, settle_missing
from skae.io._npz import read_array, read_headers
from skae.io._parquet import read_parquet_columns
from skae.io._text import TEXT_SUFFIXES, read_text_columns

_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", *EXCEL_SUFFIXES, ".npz")
_SPREADSHEETS = (".xls", ".xlsb", ".ods")
_ASKED = "as asked for"
_REMEDIES = {
    "numeric": "Encode them as numbers, read columns of all kinds with numeric_only=False, or "
    "check the separator.",
    "usable": "Check the separator.",
}


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a file, and its target.

    Attributes
    ----------
    X : ndarray or pandas.DataFrame of shape (n_samples, n_features)
        Numeric columns, with NaN for missing values if these are kept, and finite otherwise; in
        float32 if it represents the types of all columns exactly, and in float64 otherwise. A
        data frame with columns of all kinds if the file was read with ``numeric_only=False``.
    y : ndarray of shape (n_samples,) or None
        Target. None if there is none.
    feature_names : tuple of str, of length n_features
        Names of the columns of `X`.
    drop_reasons : dict of str to str
        Reason for each column that was left out: ``{"colour": "text, such as 'red'"}``.
    remarks : tuple of str
        Remarks on the file and on changes made, such as unexpected separators, decimal commas, and
        rows that were left out.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.io import Table
    >>> table = Table(np.eye(2), None, ("height", "width"), {"name": "text"})
    >>> table.X.shape, table.dropped_columns
    ((2, 2), ('name',))
    """

    X: Any
    y: np.ndarray | None
    feature_names: tuple[str, ...]
    drop_reasons: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def dropped_columns(self):
        """Names of the columns that were left out, as a tuple of str."""
        return tuple(self.drop_reasons)


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
        vertical bars between columns, decimal commas, thousands separators, percent signs and
        currencies are recognised. Lines above the column names, and units below them, are skipped.
        An NPZ file contains an array ``X`` and optionally ``y``, or a single two-dimensional array
        of any name.
    target : str, default=None
        Name of the column (in an NPZ file, of the array) to return as `y` instead of as part of
        `X`. None uses ``y`` of an NPZ file, and no target otherwise.
    numeric_only : bool, default=True
        Whether to read only numeric columns, as an array. With False, `X` is a data frame of pandas
        that also has the columns of text, booleans, categories and dates. In text files, columns
        are dates if all their cells are written as 2024-05-31 (with or without a time), as
        31.5.2024, or as 5/31/2024 or 31/5/2024 if the column shows which number is the month.
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
        Name of the sheet in an Excel workbook. None reads the first sheet.

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
    if missing not in MISSING:
        raise ValueError(f"`missing` must be one of {MISSING}. Got {missing!r}. Try 'drop'.")
    path, drop = Path(path), [drop] if isinstance(drop, str) else list(drop)
    suffix = _find_suffix(path, sheet)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing file. Got {str(path)!r}. Check its spelling and folder."
        )
    if target in drop:
        raise ValueError(
            f"`drop` must not contain the target. Got {target!r} for both. Leave out one of them."
        )
    if suffix == ".npz":
        return _read_npz(path, target, missing, drop)
    columns, remarks = _read_columns(path, suffix, target, header, sheet, numeric_only)
    convert = convert_numbers if numeric_only else convert_kinds
    return _convert_columns(columns, remarks, path, target, missing, drop, convert)


def _find_suffix(path, sheet):
    name = path.name.lower()
    found = [suffix for suffix in _SUFFIXES if name.endswith(suffix)]
    if not found:
        is_spreadsheet = name.endswith(_SPREADSHEETS)
        remedy = "Save the sheet as CSV." if is_spreadsheet else "Convert it to one of these."
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


def _read_columns(path, suffix, target, header, sheet, numeric_only):
    if suffix == ".parquet":
        return read_parquet_columns(path, target, numeric_only=numeric_only)
    if suffix in EXCEL_SUFFIXES:
        return read_excel_columns(path, sheet, header)
    return read_text_columns(path, suffix, header)


def _convert_columns(columns, remarks, path, target, missing, drop, convert):
    names = [column.name for column in columns]
    _check_drop(drop, names, path)
    columns = [replace(c, reason=_ASKED, words=None) if c.name in drop else c for c in columns]
    target_column = None if target is None else _find_target(columns, target, path)
    y = None if target_column is None else target_column.values
    columns = [convert(column) for column in columns if column is not target_column]
    columns, counting = leave_out_row_numbers(columns)
    used = [column for column in columns if not column.reason]
    n_samples = _count_rows(columns, y)
    is_numeric = convert is convert_numbers
    _check_shape(n_samples, len(used), path, columns, "numeric" if is_numeric else "usable")
    own = [column.name for column in used]
    make = _make_array if is_numeric else _make_frame
    X, gaps, infinite = make([column.values for column in used], own)
    lacks = np.zeros(n_samples, dtype=bool) if y is None else y.isna().to_numpy()
    _refuse_infinite_target(y, path, target)
    kept = settle_missing(gaps, infinite, lacks, own, path, target, missing)
    left = {c.name: c.reason for c in columns if c.reason}
    left |= {c.name: "no values" for c, keeps in zip(used, kept.columns, strict=True) if not keeps}
    return Table(
        _take(X, kept),
        # Through a list, nullable numbers become plain numbers instead of objects.
        None if y is None else np.asarray(y[kept.rows].tolist()),
        tuple(c.name for c in used if c.name not in left),
        {name: left[name] for name in names if name in left},
        (*remarks, *counting, *kept.remarks),
    )


def _make_array(columns, names):
    """Return numeric columns as an array, with masks of missing and infinite values."""
    X = np.column_stack([column.to_numpy(dtype=np.float64) for column in columns])
    return X, np.isnan(X), np.isinf(X)


def _make_frame(columns, names):
    """Return columns as a data frame, with masks of missing and infinite values."""
    pandas = import_extra("pandas", "table", "read_table")
    X = pandas.concat(columns, axis=1).set_axis(names, axis=1)
    infinite = np.zeros(X.shape, dtype=bool)
    for index, column in enumerate(columns):
        if column.dtype.kind == "f":
            infinite[:, index] = np.isinf(column.to_numpy(dtype=np.float64))
    return X, X.isna().to_numpy(), infinite


def _check_drop(drop, names, path):
    for name in drop:
        if name not in names:
            raise _unknown_name("drop", name, names, path)


def _find_target(columns, target, path):
    """Return the only column with the name of the target."""
    found = [column for column in columns if target in (column.name, column.title)]
    found = [column for column in found if column.reason != _ASKED]
    if not found:
        raise _unknown_name("target", target, [column.name for column in columns], path)
    if len(found) > 1:
        others = list_names(column.name for column in found if column.name != target)
        raise ValueError(
            f"`target` must be the name of one column. Got {target!r}, the name of {len(found)} "
            f"columns of {str(path)!r}. Leave out the others with drop (on the command line: "
            f"--drop): {others}."
        )
    return found[0]


def _count_rows(columns, y):
    """Return the number of rows, or 1 if no column was read."""
    read = [column.values for column in columns if column.values is not None]
    return len(read[0] if read else [0] if y is None else y)


def _refuse_infinite_target(y, path, target):
    if y is not None and y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError(
            f"The target {target!r} must have no infinite values. Got {np.isinf(y).sum()} of them "
            f"in {str(path)!r}. Replace them, or leave out these rows."
        )


def _take(X, kept):
    if kept.rows.all() and kept.columns.all():
        return X
    if not isinstance(X, np.ndarray):
        return X.loc[kept.rows, kept.columns].reset_index(drop=True)
    return X[kept.rows][:, kept.columns]


def _read_npz(path, target, missing, drop):
    headers = read_headers(path)
    name = _choose_matrix(headers, path)
    if target is None and name == "X" and "y" in headers:
        target = "y"
    if target is not None and target not in headers:
        raise _unknown_name("target", target, headers, path)
    n_samples, n_features = headers[name].shape
    names = np.array([f"{name}{index}" for index in range(n_features)])
    _check_drop(drop, names.tolist(), path)
    _check_matrix(headers[name], name, path)
    _check_shape(n_samples, n_features, path)
    y = None
    if target is not None:
        _check_target_array(headers[target], n_samples, name, target, path)
        y = read_array(path, target, headers[target])
        _refuse_infinite_target(y, path, target)
    X = _convert_matrix(read_array(path, name, headers[name]))
    asked = np.isin(names, drop)
    X, names = (X[:, ~asked], names[~asked]) if asked.any() else (X, names)
    _check_shape(n_samples, len(names), path)
    lacks = np.isnan(y) if y is not None and y.dtype.kind == "f" else np.zeros(n_samples, bool)
    kept = settle_missing(np.isnan(X), np.isinf(X), lacks, names, path, target, missing)
    reasons = dict.fromkeys(drop, _ASKED)
    return Table(
        _take(X, kept),
        None if y is None else y[kept.rows],
        tuple(names[kept.columns].tolist()),
        reasons | dict.fromkeys(names[~kept.columns].tolist(), "no values"),
        kept.remarks,
    )


def _choose_matrix(headers, path):
    if "X" in headers and headers["X"].ndim == 2:
        return "X"
    matrices = [name for name, header in headers.items() if header.ndim == 2]
    if len(matrices) == 1:
        return matrices[0]
    shapes = {name: header.shape for name, header in list(headers.items())[:10]}
    raise ValueError(
        f"`path` must have an array X, or only one array, with two dimensions. Got {str(path)!r} "
        f"with arrays of shapes {shapes}. Write it with numpy.savez(path, X=X, y=y)."
    )


def _check_target_array(header, n_samples, name, target, path):
    if header.shape != (n_samples,):
        raise ValueError(
            f"`target` must be an array of shape ({n_samples},), one value per row of {name}. "
            f"Got {target!r} of shape {header.shape} in {str(path)!r}. Name another array of the "
            "file."
        )


def _check_matrix(header, name, path):
    if header.dtype.hasobject:
        raise ValueError(
            f"Array {name!r} of `path` must be numeric. Got Python objects in {str(path)!r}, which "
            "can run code when they are read. Write it without object arrays."
        )
    if header.dtype.kind not in "biuf":
        raise ValueError(
            f"Array {name!r} of `path` must be numeric. Got the type {header.dtype} in "
            f"{str(path)!r}. Leave out values that are not numbers."
        )


def _convert_matrix(matrix):
    exact_in_single = np.can_cast(matrix.dtype, np.float32)
    return matrix.astype(np.float32 if exact_in_single else np.float64, copy=False)


def _check_shape(n_samples, n_features, path, columns=(), kind="numeric"):
    if n_samples == 0:
        raise ValueError(
            f"`path` must have at least one row. Got {str(path)!r}, which has none. "
            "Check that there are lines below the first."
        )
    if n_features == 0:
        left = list_names(f"{column.name} ({column.reason})" for column in columns)
        raise ValueError(
            f"`path` must have at least one {kind} column. Got {str(path)!r} with the columns "
            f"{left}. {_REMEDIES[kind]}"
        )


def _unknown_name(parameter, name, names, path):
    spelled = {str(known).casefold(): known for known in names}
    close = difflib.get_close_matches(str(name).casefold(), spelled, n=1, cutoff=0.7)
    remedy = (
        f"Did you mean {spelled[close[0]]!r}?"
        if close
        else "Check its spelling, capital letters included."
    )
    return ValueError(
        f"`{parameter}` must be one of {list_names(names)}. Got {name!r}, which {str(path)!r} "
        f"lacks. {remedy}"
    )
