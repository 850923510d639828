"""Table from the columns of a text file, a sheet or a Parquet file."""

from dataclasses import replace

import numpy as np

from skae._shared.extras import import_extra
from skae._shared.names import list_names
from skae.io._columns import convert_kinds, convert_numbers, leave_out_row_numbers
from skae.io._doubts import describe_doubts
from skae.io._missing import settle_missing
from skae.io._request import ASKED
from skae.io._table import Table


def convert_columns(columns, remarks, request, *, numeric_only):
    """Return the table of columns, as an array of those with numbers if `numeric_only`.

    Names that do not exist, missing or infinite values, and tables without rows or columns are
    refused.
    """
    names = [column.name for column in columns]
    columns, target = _take_target(columns, request)
    y = None if target is None else target.values
    convert = convert_numbers if numeric_only else convert_kinds
    columns, counting = leave_out_row_numbers([convert(column) for column in columns])
    used = [column for column in columns if not column.reason]
    n_samples = _count_rows(columns, y)
    request.check_shape(n_samples, len(used), columns, "numeric" if numeric_only else "usable")
    X, kept = _make_rows(used, y, n_samples, request, numeric_only)
    reasons = {column.name: column.reason for column in columns if column.reason}
    reasons |= {
        column.name: "no values"
        for column, keeps in zip(used, kept.columns, strict=True)
        if not keeps
    }
    return Table(
        X,
        # Through a list, nullable numbers become plain numbers instead of objects.
        None if y is None else np.asarray(y[kept.rows].tolist()),
        tuple(column.name for column in used if column.name not in reasons),
        {name: reasons[name] for name in names if name in reasons},
        (*remarks, *counting, *describe_doubts(used, target), *kept.remarks),
    )


def _take_target(columns, request):
    """Return the other columns, and the target, if any."""
    request.check_drop([column.name for column in columns])
    columns = [
        replace(column, reason=ASKED, words=None) if column.name in request.drop else column
        for column in columns
    ]
    if request.target is None:
        return columns, None
    target = _find_target(columns, request)
    return [column for column in columns if column is not target], target


def _make_rows(used, y, n_samples, request, numeric_only):
    """Return the table without missing values as asked for, and the parts that are kept."""
    names = [column.name for column in used]
    make = _make_array if numeric_only else _make_frame
    X, gaps, infinite = make([column.values for column in used], names)
    target_gaps = np.zeros(n_samples, dtype=bool) if y is None else y.isna().to_numpy()
    request.check_target(y)
    kept = settle_missing(gaps, infinite, target_gaps, names, request)
    return kept.take(X), kept


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


def _find_target(columns, request):
    """Return the only column with the name of the target."""
    target = request.target
    found = [column for column in columns if target in (column.name, column.title)]
    found = [column for column in found if column.reason != ASKED]
    if not found:
        raise request.make_name_error("target", target, [column.name for column in columns])
    if len(found) > 1:
        others = list_names(column.name for column in found if column.name != target)
        raise ValueError(
            f"`target` must be the name of one column. Got {target!r}, the name of {len(found)} "
            f"columns of {str(request.path)!r}. Leave out the others with drop (on the command "
            f"line: --drop): {others}."
        )
    return found[0]


def _count_rows(columns, y):
    """Return the number of rows, or 1 if no column was read."""
    read = [column.values for column in columns if column.values is not None]
    return len(read[0] if read else [0] if y is None else y)
