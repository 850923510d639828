"""Tables from CSV, Parquet and NPZ files, as arrays that an estimator takes."""

import difflib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skae.io._missing import MISSING, list_names, settle_missing
from skae.io._text import TEXT_SUFFIXES, read_text_frame

_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".npz")
_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")


@dataclass(frozen=True, eq=False)
class Table:
    """The numeric columns of a file, and its target.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64
        The numeric columns, all finite. float32 where that holds every value exactly by its type.
    y : ndarray of shape (n_samples,) or None
        The target, None where there is none.
    feature_names : tuple of str, of length n_features
        Names of the columns of `X`.
    dropped_columns : tuple of str
        Names of the columns left out: those that are not numeric, and a column of row numbers
        without a name, as pandas writes it. Empty columns, too, where rows with missing values
        were dropped.
    remarks : tuple of str
        What was found out about the file or done to it, in sentences: other separators than its
        name says, decimal commas, rows dropped.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.io import Table
    >>> table = Table(np.eye(2), None, ("height", "width"), ("name",))
    >>> table.X.shape, table.dropped_columns
    ((2, 2), ('name',))
    """

    X: np.ndarray
    y: np.ndarray | None
    feature_names: tuple[str, ...]
    dropped_columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def read_table(path, target=None, *, missing="error"):
    r"""Read the numeric columns of a table from a file.

    Parameters
    ----------
    path : str or path-like
        File ending in .csv, .csv.gz, .tsv, .tsv.gz, .parquet (these need pandas: the extra
        ``table``) or .npz. The first line of a text file names the columns; semicolons, tabs or
        bars between them and decimal commas are recognised. An NPZ file holds an array ``X`` and,
        if it likes, ``y``; or just one array with two dimensions, of any name.
    target : str, default=None
        Name of the column (of the array, in an NPZ file) to return as `y`, which then is no part
        of `X`. None means ``y`` of an NPZ file, and no target otherwise.
    missing : {"error", "drop", "keep"}, default="error"
        What to do where values are missing: refuse the file, leave out these rows, or keep them as
        NaN in `X`, as an imputer wants them. Rows without a target are left out by "keep", too.

    Returns
    -------
    Table
        With the attributes `X`, `y`, `feature_names`, `dropped_columns` and `remarks`.

    Raises
    ------
    FileNotFoundError
        If there is no file at `path`.
    ImportError
        If pandas or pyarrow is needed and not installed.
    ValueError
        If the file is of another kind, cannot be read as what its name says, has no rows or no
        numeric columns, lacks `target`, holds infinite values, or missing ones where these are
        refused or are in every row.

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
    >>> table.y.tolist(), table.feature_names, table.dropped_columns
    (['a', 'b'], ('length', 'width'), ('colour',))
    """
    if missing not in MISSING:
        raise ValueError(f"`missing` must be one of {MISSING}. Got {missing!r}. Try 'drop'.")
    path = Path(path)
    suffix = _find_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing file. Got {str(path)!r}. Check its spelling and folder."
        )
    if suffix == ".npz":
        return _read_npz(path, target, missing)
    frame, remarks = _read_frame(path, suffix)
    return _convert_frame(frame, remarks, path, target, missing)


def _find_suffix(path):
    name = path.name.lower()
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    is_spreadsheet = name.endswith(_SPREADSHEETS)
    remedy = "Save the sheet as CSV." if is_spreadsheet else "Convert it to one of these."
    raise ValueError(
        f"`path` must be a file ending in one of {', '.join(_SUFFIXES)}. Got {str(path)!r}. "
        f"{remedy}"
    )


def _read_frame(path, suffix):
    pandas = _import_pandas()
    try:
        if suffix == ".parquet":
            return pandas.read_parquet(path), []
        return read_text_frame(pandas, path, suffix)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        message = " ".join(str(error).split())
        raise ValueError(
            f"`path` must be a readable {suffix} file. Got {str(path)!r}, where pandas says: "
            f"{message}. Check that its name says what it holds."
        ) from error


def _import_pandas():
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            'Reading CSV and Parquet files needs pandas. Install it with: pip install "skae[table]"'
        ) from error
    return pandas


def _convert_frame(frame, remarks, path, target, missing):
    frame = frame.rename(columns=str)
    column = None if target is None else _get_target_column(frame, path, target)
    features = frame if target is None else frame.drop(columns=target)
    used = [name for name in features.columns if _is_feature(features[name])]
    _check_shape(len(frame), len(used), path, features.columns)
    columns = [features[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in used]
    X = np.column_stack(columns)
    lacks = np.zeros(len(frame), dtype=bool) if column is None else column.isna().to_numpy()
    kept = settle_missing(X, lacks, used, path, target, missing)
    names = [name for name, keeps in zip(used, kept.columns, strict=True) if keeps]
    return Table(
        X[kept.rows][:, kept.columns],
        # By way of a list, nullable numbers become plain ones, not objects.
        None if column is None else np.asarray(column[kept.rows].tolist()),
        tuple(names),
        tuple(name for name in features.columns if name not in set(names)),
        (*remarks, *kept.remarks),
    )


def _get_target_column(frame, path, target):
    if target not in frame.columns:
        raise _unknown_target(target, frame.columns, path)
    return frame[target]


def _is_feature(column):
    kind = column.dtype.kind
    return kind in "biuf" and not _is_row_number(column)


def _is_row_number(column):
    # pandas names a column without a name so; written by `to_csv`, it is the index.
    unnamed = column.name in ("Unnamed: 0", "__index_level_0__")
    return unnamed and np.array_equal(column.to_numpy(), np.arange(len(column)))


def _read_npz(path, target, missing):
    arrays = _load_arrays(path)
    name = _choose_matrix(arrays, path)
    if target is None and name == "X" and "y" in arrays:
        target = "y"
    if target is not None and target not in arrays:
        raise _unknown_target(target, arrays, path)
    X = _convert_matrix(arrays[name], name, path)
    n_samples, n_features = X.shape
    _check_shape(n_samples, n_features, path)
    y = None if target is None else _check_target_array(arrays, name, target, path)
    lacks = np.zeros(n_samples, dtype=bool)
    if y is not None and y.dtype.kind == "f":
        lacks = ~np.isfinite(y)
    names = np.array([f"{name}{index}" for index in range(n_features)])
    kept = settle_missing(X, lacks, names, path, target, missing)
    return Table(
        X[kept.rows][:, kept.columns],
        None if y is None else y[kept.rows],
        tuple(names[kept.columns].tolist()),
        tuple(names[~kept.columns].tolist()),
        kept.remarks,
    )


def _load_arrays(path):
    try:
        if not zipfile.is_zipfile(path):
            # NumPy would take it for a pickle, and speak of trust.
            raise ValueError("it is not an archive of arrays.")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (
        ValueError,
        OSError,
        EOFError,
        AttributeError,
        TypeError,
        KeyError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"`path` must be an NPZ file of plain arrays. Got {str(path)!r}, where NumPy says: "
            f"{error} Write it with numpy.savez(path, X=X, y=y), without object arrays."
        ) from error


def _choose_matrix(arrays, path):
    if "X" in arrays and arrays["X"].ndim == 2:
        return "X"
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    if len(matrices) == 1:
        return matrices[0]
    shapes = {name: array.shape for name, array in arrays.items()}
    raise ValueError(
        f"`path` must hold an array X, or only one array, with two dimensions. Got {str(path)!r} "
        f"with arrays of shapes {shapes}. Write it with numpy.savez(path, X=X, y=y)."
    )


def _check_target_array(arrays, name, target, path):
    y = arrays[target]
    n_samples = len(arrays[name])
    if y.shape != (n_samples,):
        raise ValueError(
            f"`target` must be an array of shape ({n_samples},), one value per row of {name}. "
            f"Got {target!r} of shape {y.shape} in {str(path)!r}. Name another array of the file."
        )
    return y


def _convert_matrix(matrix, name, path):
    if matrix.dtype.kind not in "biuf":
        raise ValueError(
            f"Array {name!r} of `path` must be numeric. Got the type {matrix.dtype} in "
            f"{str(path)!r}. Leave out what is no number."
        )
    exact_in_single = np.can_cast(matrix.dtype, np.float32)
    return matrix.astype(np.float32 if exact_in_single else np.float64, copy=False)


def _check_shape(n_samples, n_features, path, dropped=()):
    if n_samples == 0:
        raise ValueError(
            f"`path` must hold at least one row. Got {str(path)!r}, which holds none. "
            "Check that its first line is not all there is."
        )
    if n_features == 0:
        raise ValueError(
            f"`path` must hold at least one numeric column. Got {str(path)!r} with the columns "
            f"{list_names(dropped)}. Encode them as numbers, and check that the separator is "
            "what the file's name says."
        )


def _unknown_target(target, names, path):
    spelled = {str(name).casefold(): name for name in names}
    close = difflib.get_close_matches(str(target).casefold(), spelled, n=1, cutoff=0.7)
    remedy = (
        f"Did you mean {spelled[close[0]]!r}?"
        if close
        else "Check its spelling, capital letters included."
    )
    return ValueError(
        f"`target` must be one of {list_names(names)}. Got {target!r}, which {str(path)!r} "
        f"lacks. {remedy}"
    )
