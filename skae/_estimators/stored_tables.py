"""Tables in files and of other libraries: HDF5, Zarr, Parquet, Arrow, Dask, memory maps."""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from skae._engine import StoredTable, find_float_type, holds_many_bytes
from skae._shared.arrow_schemas import list_index
from skae._shared.extras import import_extra
from skae._shared.unreadable import explain_unreadable

# Rows of arrays are read in blocks of at least this number of bytes.
_BLOCK_BYTES = 2**18
# Objects with one of these attributes are in memory or on a device, or have no rows to slice.
_NOT_STORED = ("__array_interface__", "__cuda_array_interface__", "__dlpack__", "iloc", "nnz")
_DASK = ("dask", "dask_expr")
# Size in bytes of rows that may be stored in a smaller share of it than zeros are by deflation.
_SMALL = 2**29
_MOST_RATIO = 2000
_REMEDY = "Check that it is complete and that its ending matches its content, or write it again."


def read_stored(X, *, lazily: bool):
    """Return stored rows as a table that is read in blocks, or read them into memory.

    Stored rows are a path, a memory map, an Arrow table or data set, a Dask array or frame, or an
    array of another library with `shape`, `dtype` and slices of rows. Other objects are returned
    unchanged. With `lazily`, tables that are large or have names become a `StoredTable`.
    """
    if is_path(X):
        X = open_path(Path(X))
    table = open_stored(X)
    if table is None or not lazily:
        return X if table is None else _read_whole(X)
    is_named_or_large = table.names is not None or table.is_large
    return table if is_named_or_large else table[:]


def _read_whole(X):
    """Return an array or a frame in memory."""
    for method in ("compute", "to_table"):
        if hasattr(X, method):
            return getattr(X, method)()
    return X if is_arrow_table(X) else np.asarray(X[:])


def open_stored(X, *, maps: bool = False) -> StoredTable | None:
    """Return stored rows as a table that is read in blocks; None for arrays, frames and lists.

    With `maps`, small memory maps are included.
    """
    if isinstance(X, StoredTable):
        return X
    if isinstance(X, np.ndarray):
        is_large = X.dtype.kind in "biuf" and (maps or holds_many_bytes(X.shape, X.dtype))
        return _open_array(X) if is_large and _is_memory_map(X) else None
    if is_dask(X):
        return _open_dask_frame(X) if hasattr(X, "columns") else _open_dask_array(X)
    if is_arrow_table(X):
        return _open_arrow_table(X)
    if hasattr(X, "get_fragments") and hasattr(X, "schema"):
        return _open_data_set(X)
    return _open_array(X) if _has_row_slices(X) else None


def is_dask(X) -> bool:
    """Return whether X is a Dask array or frame, without importing Dask."""
    return type(X).__module__.partition(".")[0] in _DASK and hasattr(X, "to_delayed")


def is_arrow_table(X) -> bool:
    """Return whether X is an Arrow table, without importing Arrow."""
    # The schema last: a lazy frame of polars warns when asked for it.
    return hasattr(X, "slice") and hasattr(X, "column") and hasattr(X, "schema")


def _is_memory_map(X) -> bool:
    base = X
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    return base is not None


def _has_row_slices(X) -> bool:
    return (
        not any(hasattr(X, name) for name in _NOT_STORED)
        and len(getattr(X, "shape", ())) > 1
        and isinstance(getattr(X, "dtype", None), np.dtype)
        and hasattr(X, "__getitem__")
    )


def is_path(X) -> bool:
    """Return whether X is the path of a file or folder of rows."""
    return isinstance(X, Path) or (isinstance(X, str) and Path(X).suffix in _OPENERS)


def open_path(path: Path):
    """Open a file or folder without reading its rows, as an object of the library that reads it.

    Known are Parquet files or folders of them, Zarr arrays, files of `numpy.save`, and HDF5 files
    with a single data set.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"X must be a path to rows. Got {str(path)!r}, which does not exist. "
            "Check its spelling and the working directory."
        )
    suffix = path.suffix if path.suffix in _OPENERS or path.is_file() else ".parquet"
    if suffix not in _OPENERS:
        raise ValueError(
            f"X must be a file of one of the kinds {', '.join(_OPENERS)}, or a folder of Parquet "
            f"files. Got {str(path)!r}. Pass the rows themselves."
        )
    if not path.is_file() and not path.is_dir():
        raise ValueError(
            f"X must be a file or a folder. Got {str(path)!r}, which is a pipe or a device. Write "
            "the rows to a file first."
        )
    with explain_unreadable(path, f"a readable {suffix} file", _REMEDY, "X"):
        opened = _OPENERS[suffix](path)
        n_bytes = _count_bytes(opened)
    _check_content(opened, path)
    _check_size(path, n_bytes)
    return opened


def _count_bytes(X) -> int:
    """Return the number of bytes of the rows that a file declares, or 0 if others hold them."""
    if hasattr(X, "count_rows"):
        return X.count_rows() * len(X.schema) * 8
    lie_elsewhere = getattr(X, "is_virtual", False) or getattr(X, "external", None)
    shape = getattr(X, "shape", None)
    return 0 if lie_elsewhere or shape is None else math.prod(shape) * X.dtype.itemsize


def _check_size(path: Path, n_bytes: int):
    """Raise an error for rows that were declared, but hardly written."""
    files = [path] if path.is_file() else filter(Path.is_file, path.rglob("*"))
    packed = sum(own.stat().st_size for own in files)
    if n_bytes > max(_SMALL, _MOST_RATIO * packed):
        raise ValueError(
            f"X must be a file that holds its rows. Got {str(path)!r}, {packed:,} bytes that "
            f"declare {n_bytes:,} bytes of rows. Write it again, or pass the rows themselves."
        )


def _open_parquet(path: Path):
    return import_extra("pyarrow.dataset", "table", "fit").dataset(path, format="parquet")


def _open_zarr(path: Path):
    return import_extra("zarr", "large", "fit").open_array(str(path), mode="r")


def _open_hdf5(path: Path):
    file = import_extra("h5py", "large", "fit").File(path, mode="r")
    sets: list = []
    file.visititems(lambda name, item: sets.append(item) if hasattr(item, "dtype") else None)
    return sets[0] if len(sets) == 1 else sets


def _open_npy(path: Path):
    # Unlike `numpy.load`, it takes neither archives nor pickles.
    return np.lib.format.open_memmap(path, mode="r")


def _check_content(X, path: Path):
    """Raise an error for files of several data sets, or of arrays that are not rows of numbers."""
    if isinstance(X, list):
        raise ValueError(
            f"X must be a path to an HDF5 file with one data set. Got {len(X)} in "
            f"{path.name!r}. Pass the data set itself, as in h5py.File({path.name!r})['rows']."
        )
    if hasattr(X, "dtype") and (not X.shape or X.dtype.kind not in "biuf"):
        raise ValueError(
            f"X must be a file that holds rows of numbers. Got {str(path)!r}, an array of "
            f"{X.dtype} with the shape {X.shape}. Write one of another type."
        )


_OPENERS: dict[str, Callable[[Path], object]] = {
    ".parquet": _open_parquet,
    ".pq": _open_parquet,
    ".npy": _open_npy,
    ".zarr": _open_zarr,
    ".h5": _open_hdf5,
    ".hdf5": _open_hdf5,
}


def _open_array(X) -> StoredTable:
    """Open an array by slices of rows, aligned with its chunks if it has any."""
    _check_kinds([X.dtype], ["of X"])
    chunks = getattr(X, "shards", None) or getattr(X, "chunks", None)
    chunk = int(chunks[0]) if chunks else 1
    row_bytes = max(1, int(np.prod(X.shape[1:])) * X.dtype.itemsize)
    size = chunk * max(1, _BLOCK_BYTES // (chunk * row_bytes))
    bounds = [*range(0, X.shape[0], size), X.shape[0]]
    return StoredTable(lambda i: X[bounds[i] : bounds[i + 1]], bounds, X.shape[1:], X.dtype)


def _open_dask_array(X) -> StoredTable:
    _check_kinds([X.dtype], ["of X"])
    if np.isnan(X.shape[0]):
        # In place, because this is a copy.
        X = copy.copy(X).compute_chunk_sizes()
    blocks = X.rechunk(dict.fromkeys(range(1, X.ndim), -1)).to_delayed().ravel()
    bounds = _add_up(X.chunks[0])
    return StoredTable(lambda i: blocks[i].compute(), bounds, X.shape[1:], X.dtype)


def _open_dask_frame(X) -> StoredTable:
    names, dtype = list(X.columns), _find_type(list(X.dtypes), list(X.columns))
    blocks, lengths = X.to_delayed(), X.map_partitions(len).compute()

    def read(i: int) -> np.ndarray:
        return blocks[i].compute().to_numpy(dtype, na_value=np.nan)

    return StoredTable(read, _add_up(lengths), (len(names),), dtype, names)


def _open_arrow_table(X) -> StoredTable:
    names, dtype = _read_schema(X.schema)
    X = X.select(names)
    size = max(1, _BLOCK_BYTES // (len(names) * dtype.itemsize))
    bounds = [*range(0, X.num_rows, size), X.num_rows]

    def read(i: int) -> np.ndarray:
        return _as_array(X.slice(bounds[i], bounds[i + 1] - bounds[i]), dtype)

    return StoredTable(read, bounds, (len(names),), dtype, names)


def _open_data_set(X) -> StoredTable:
    """Open an Arrow data set by the row groups of its files, or by its files."""
    names, dtype = _read_schema(X.schema)
    blocks, lengths = list_fragments(X)

    def read(i: int) -> np.ndarray:
        return _as_array(blocks[i].to_table(schema=X.schema, columns=names), dtype)

    return StoredTable(read, _add_up(lengths), (len(names),), dtype, names)


def list_fragments(X) -> tuple[list, list[int]]:
    """Return the row groups of the files of an Arrow data set, or its files, and their lengths."""
    blocks, lengths = [], []
    for fragment in X.get_fragments():
        if hasattr(fragment, "split_by_row_group"):
            # Their `count_rows` would count the rows of the whole file.
            groups = fragment.split_by_row_group()
            lengths += [group.row_groups[0].num_rows for group in groups]
        else:
            groups = [fragment]
            lengths.append(fragment.count_rows())
        blocks += groups
    return blocks, lengths


def _read_schema(schema) -> tuple[list[str], np.dtype]:
    """Return the names of the columns, without a pandas index, and their common type."""
    index = list_index(schema)
    fields = [field for field in schema if field.name not in index]
    names = [field.name for field in fields]
    return names, _find_type([_find_numpy_type(field.type) for field in fields], names)


def _find_numpy_type(arrow_type):
    if _is_decimal(arrow_type):
        return np.dtype(np.float64)
    try:
        return np.dtype(arrow_type.to_pandas_dtype())
    except (NotImplementedError, TypeError):  # dates with a time zone have no type of NumPy
        return np.dtype(object)


def _as_array(table, dtype) -> np.ndarray:
    rows = np.empty((table.num_rows, table.num_columns), dtype)
    for i, column in enumerate(table.columns):
        rows[:, i] = column.cast("float64") if _is_decimal(column.type) else column
    return rows


def _is_decimal(arrow_type) -> bool:
    return str(arrow_type).startswith("decimal")


def _find_type(dtypes: Sequence, names: Sequence) -> np.dtype:
    """Return the floating type that holds all columns, with NaN for missing values."""
    _check_kinds(dtypes, [repr(name) for name in names])
    own = [np.dtype(getattr(dtype, "numpy_dtype", dtype)) for dtype in dtypes]
    return np.result_type(*map(find_float_type, own))


def _check_kinds(dtypes: Sequence, names: Sequence[str]):
    """Raise an error for columns that do not hold numbers."""
    others = [i for i, dtype in enumerate(dtypes) if getattr(dtype, "kind", "O") not in "biuf"]
    if others or not len(dtypes):
        kind = f"{dtypes[others[0]]} in column {names[others[0]]}" if others else "no columns"
        raise ValueError(
            f"X must hold numbers in all columns. Got {kind}, and {len(others)} such columns in "
            "all. Select the columns of numbers, encode the others, or pass a data frame "
            "of pandas or polars."
        )


def _add_up(lengths) -> list[int]:
    return list(accumulate(map(int, lengths), initial=0))


def make_nameplate(table: StoredTable):
    """Return an object with the column names of a table, for scikit-learn's validation."""
    if table.names is None:
        return table
    pyarrow = import_extra("pyarrow", "table", "fit")
    return pyarrow.table([[]] * len(table.names), names=list(map(str, table.names)))
