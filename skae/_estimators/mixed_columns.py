"""Tables of numbers and categories by column: arrays, and frames of pandas or polars."""

import datetime
from decimal import Decimal
from numbers import Real

import numpy as np

from skae._estimators.samples import stack_samples

_REMEDY = "Convert it, or leave it out."
_TEMPORAL = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def is_frame(X) -> bool:
    """Return whether X is a data frame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "with_columns"))


def as_table(X):
    """Return a list with text or None as an array of objects; other tables are unchanged.

    Samples in other containers are stacked. Lazy frames and other unsupported containers are
    refused.
    """
    X = stack_samples(X)
    if not isinstance(X, list | tuple):
        return X
    kind = np.asarray(X).dtype.kind
    return np.asarray(X, dtype=object) if kind in "OUS" else X


def holds_objects(X) -> bool:
    """Return whether columns of X have individual types: a frame, or an array of objects."""
    return is_frame(X) or getattr(getattr(X, "dtype", None), "kind", None) == "O"


def take_column(X, index: int):
    """Return a column of a frame or an array; sparse pandas columns become dense."""
    if not is_frame(X):
        return X[:, index]
    if not hasattr(X, "iloc"):
        return X[:, int(index)]
    column = X.iloc[:, index]
    return column.sparse.to_dense() if is_sparse(column.dtype) else column


def is_sparse(dtype) -> bool:
    """Return whether a type is that of a sparse column of pandas."""
    return hasattr(dtype, "fill_value") and hasattr(dtype, "subtype")


def name_columns(X) -> list:
    """Return the names of the columns of a frame, or integers from 0."""
    return list(X.columns) if is_frame(X) else list(range(X.shape[1]))


def find_text(X, missing_values) -> np.ndarray:
    """Return the mask of columns that hold categories, judging by their types.

    Columns of objects are numbers if all of their values are, or if they have none. Columns of
    dates, lists or other unsupported values are refused.
    """
    if not holds_objects(X):
        return np.zeros(X.shape[1], dtype=bool)
    return np.array(
        [
            _is_text(take_column(X, index), name, missing_values)
            for index, name in enumerate(name_columns(X))
        ],
        dtype=bool,
    )


def choose_categorical(is_text: np.ndarray, categorical_features, names) -> np.ndarray:
    """Return the mask of columns that hold categories, by their types and the user's choice.

    `categorical_features` are booleans, indices or names, "from_dtype" or None. Columns that do not
    exist are refused.
    """
    if isinstance(categorical_features, str):
        return is_text
    n_features = len(is_text)
    chosen = np.asarray([] if categorical_features is None else categorical_features)
    if chosen.dtype == bool and len(chosen) == n_features:
        return chosen | is_text
    if chosen.dtype.kind in "OU" and chosen.ndim == 1 and names is not None:
        positions = {name: index for index, name in enumerate(names)}
        chosen = np.array([positions.get(name, n_features) for name in chosen], dtype=int)
    is_listed = chosen.dtype.kind in "iuf" and chosen.ndim == 1
    if not is_listed or (len(chosen) and not (0 <= chosen.min() <= chosen.max() < n_features)):
        raise ValueError(
            "`categorical_features` must be 'from_dtype', None, or a list of names or indices of "
            f"columns, or a boolean for each. Got {categorical_features!r} for {n_features} "
            "columns. Leave it at 'from_dtype' if a data frame has columns of the right types."
        )
    is_categorical = is_text.copy()
    is_categorical[chosen.astype(int)] = True
    return is_categorical


def find_kind(column, name, missing_values) -> str:
    """Return "number", "category" or "time", the kind of a column.

    Text and booleans are categories, and dates and durations times. Columns of objects are numbers
    if all of their values are, or if they have none. Lists, complex numbers, dates as objects, and
    objects other than numbers, text and booleans are refused.
    """
    dtype = column.dtype
    if is_numeric(dtype):
        return "number"
    if _declares_text(dtype):
        return "category"
    if getattr(dtype, "kind", "O") in "mM" or _has(dtype, "is_temporal"):
        return "time"
    if _has(dtype, "is_nested") or getattr(dtype, "kind", "O") == "c":
        raise ValueError(_describe_unknown(name, dtype))
    cells, missing = read_cells(column, missing_values)
    is_text = _holds_text({type(cell) for cell in cells[~missing]}, name)
    return "category" if is_text else "number"


def _is_text(column, name, missing_values) -> bool:
    kind = find_kind(column, name, missing_values)
    if kind == "time":
        raise ValueError(_describe_unknown(name, column.dtype))
    return kind == "category"


def _describe_unknown(name, dtype) -> str:
    return f"X must hold numbers and categories. Got column {name!r} of type {dtype}. {_REMEDY}"


def is_numeric(dtype) -> bool:
    """Return whether a type is numeric, including the booleans 0 and 1 of sparse columns."""
    if is_sparse(dtype):
        return dtype.subtype.kind in "biuf"
    if hasattr(dtype, "is_numeric"):  # polars
        return dtype.is_numeric()
    return getattr(dtype, "kind", "O") in "iuf" and not hasattr(dtype, "categories")


def is_boolean(dtype) -> bool:
    return str(dtype) == "Boolean" or getattr(dtype, "kind", "O") == "b"


def _declares_text(dtype) -> bool:
    """Return whether a type is one of text, booleans or categories, regardless of the values."""
    if hasattr(dtype, "is_numeric"):  # polars
        return str(dtype).partition("(")[0] in ("String", "Boolean", "Categorical", "Enum")
    is_string = getattr(dtype, "type", None) is str or getattr(dtype, "kind", "O") in "UTS"
    return is_string or getattr(dtype, "kind", "O") == "b" or hasattr(dtype, "categories")


def _has(dtype, question: str) -> bool:
    return hasattr(dtype, question) and getattr(dtype, question)()


def _holds_text(kinds: set, name) -> bool:
    """Return whether a column of objects is not numeric, by the types of its values."""
    for kind in kinds:
        if issubclass(kind, (*_TEMPORAL, complex)):
            raise ValueError(
                f"X must hold numbers and categories. Got {kind.__name__} in column {name!r}. "
                f"{_REMEDY}"
            )
        if kind.__hash__ is None:
            raise TypeError(
                f"X must hold numbers and categories. Got {kind.__name__} in column {name!r}, "
                f"where an argument must be a string, a boolean or a number. {_REMEDY}"
            )
    is_number = [issubclass(k, Real | Decimal) and not issubclass(k, bool) for k in kinds]
    return not all(is_number)


def check_categories(values: np.ndarray, known: np.ndarray, name):
    """Raise an error if all observed values are text and no known category is, or vice versa."""
    found_text, known_text = (
        {issubclass(own, str) for own in set(map(type, cells.tolist()))}
        for cells in (values, known)
    )
    if found_text and found_text.isdisjoint(known_text):
        words = {True: "text", False: "numbers or booleans"}
        raise ValueError(
            f"X must hold {words[known_text.pop()]} in column {name!r}, as in fit. Got "
            f"{words[found_text.pop()]}. Convert the column, as with its method astype."
        )


def read_table(X, missing_values, is_categorical) -> tuple[list, np.ndarray]:
    """Return the columns of a table, as floats or objects, and a mask of missing values.

    NaN and None are missing in addition to `missing_values`.
    """
    if not holds_objects(X):
        missing = np.isnan(X) | _equals(X, missing_values)
        return list(np.where(missing, np.nan, X).T), missing
    read = [
        read_cells(take_column(X, index), missing_values)
        if is_category
        else read_finite_numbers(take_column(X, index), name, missing_values)
        for index, (is_category, name) in enumerate(
            zip(is_categorical, name_columns(X), strict=True)
        )
    ]
    return [values for values, _ in read], np.column_stack([gaps for _, gaps in read])


def read_numeric_table(X, missing_values) -> np.ndarray:
    """Return a table of numbers as an array of floats, with NaN for missing values.

    It has single precision if all columns have. Infinite values and text are refused.
    """
    columns = [
        read_finite_numbers(take_column(X, index), name, missing_values)[0]
        for index, name in enumerate(name_columns(X))
    ]
    return np.column_stack(columns)


def read_finite_numbers(column, name, missing_values) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as floats with NaN for missing values, and a mask of these.

    Single precision is kept. Infinite values and text are refused.
    """
    numbers, missing = _read_numbers(column, name, missing_values)
    numbers[missing] = np.nan
    if np.isinf(numbers).any():
        raise ValueError(
            f"X must be finite where it is not missing. Got infinity in column {name!r}. "
            "Replace it, or mark it as missing."
        )
    return numbers, missing


def _read_numbers(column, name, missing_values) -> tuple[np.ndarray, np.ndarray]:
    dtype = column.dtype
    if is_numeric(dtype):
        single = str(dtype) in ("float32", "Float32", "float[pyarrow]")
        numbers = _to_floats(column).astype(np.float32 if single else np.float64)
        return numbers, np.isnan(numbers) | _equals(numbers, missing_values)
    cells, missing = read_cells(column, missing_values)
    numbers = np.full(len(cells), np.nan)
    try:
        numbers[~missing] = [float(cell) for cell in cells[~missing]]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"X must hold numbers in column {name!r}, as in fit. Got another value: {error}."
            " Convert the column, or mark the value as missing."
        ) from None
    return numbers, missing | np.isnan(numbers)


def _to_floats(column) -> np.ndarray:
    """Return a numeric column of a frame as floats."""
    if hasattr(column, "is_null"):  # polars
        return (column if column.dtype.is_float() else column.cast(float)).to_numpy()
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def read_cells(column, missing_values) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column as objects, and a mask of missing values."""
    cells = np.asarray(column, dtype=object)
    if hasattr(column, "isna"):
        missing = np.array(column.isna(), dtype=bool)
    else:
        missing = np.array([is_not_a_number(cell) for cell in cells], dtype=bool)
    if not is_not_a_number(missing_values):
        there = np.flatnonzero(~missing)
        missing[there] = [bool(cell == missing_values) for cell in cells[there]]
    return cells, missing


def _equals(numbers: np.ndarray, missing_values) -> np.ndarray:
    if not isinstance(missing_values, Real):
        return np.zeros(numbers.shape, dtype=bool)
    return numbers == missing_values


def is_not_a_number(value) -> bool:
    """Return whether a value denotes a missing value: NaN, None, NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real | Decimal) and bool(value != value)
