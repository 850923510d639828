"""Columns and frames of pandas or polars with missing values filled in."""

from numbers import Integral, Real

import numpy as np

from skae._estimators.mixed_columns import is_sparse, take_column


def fill_frame(X, kept, names, columns):
    """Return a new frame of pandas or polars with the `kept` columns of X, filled and renamed.

    `columns` has, for each of them, its values, the values to fill in, a mask of the places where
    to fill them in, and whether they are categories. The index and attributes of X are kept.
    """
    fill = _fill_series if hasattr(X, "iloc") else _fill_polars
    series = [fill(take_column(X, i), *column) for i, column in zip(kept, columns, strict=True)]
    if not hasattr(X, "iloc"):
        if not series:
            return X.drop(X.columns)
        return type(X)([own.alias(name) for own, name in zip(series, names, strict=True)])
    result = X.iloc[:, kept].copy()
    for position, own in enumerate(series):
        dtype = X.dtypes.iloc[kept[position]]
        # By position, because names may occur twice.
        result.isetitem(position, own.astype(dtype) if is_sparse(dtype) else own)
    if names != list(result.columns):
        title = result.columns.name
        result.columns = names
        result.columns.name = title
    return result


def append_columns(frame, names, table: np.ndarray):
    """Return a frame with the columns of an array appended under new names."""
    if not hasattr(frame, "iloc"):
        return frame.hstack(type(frame)(dict(zip(names, table.T, strict=True))))
    for name, column in zip(names, table.T, strict=True):
        frame.insert(frame.shape[1], name, column)
    return frame


def write_floats(values: np.ndarray, dtype) -> np.ndarray:
    """Return floats in another precision, clipped to its range."""
    greatest = np.finfo(dtype).max
    return np.clip(values, -greatest, greatest).astype(dtype)


def _fill_series(column, values, fills, gaps, is_category):
    """Return a filled pandas column, in its own type if that can hold the fills."""
    dtype = column.dtype
    if not is_category:
        return _fill_series_of_numbers(column, values, fills, gaps)
    if not gaps.any():
        return column
    chosen = fills[gaps].tolist()
    if hasattr(dtype, "categories"):
        new = [one for one in dict.fromkeys(chosen) if one not in dtype.categories]
        column = column.cat.add_categories(new)
        fitting = True
    else:
        fitting = _holds(dtype, chosen)
    cells = column.copy() if fitting else column.astype(object)
    cells.iloc[np.flatnonzero(gaps)] = chosen
    return cells if fitting else cells.infer_objects()


def _holds(dtype, values: list) -> bool:
    """Return whether a type of pandas can hold categories of other columns."""
    kind = getattr(dtype, "kind", "O")
    if getattr(dtype, "type", None) is str or kind == "U":
        return all(isinstance(value, str) for value in values)
    if kind == "b":
        return all(isinstance(value, bool) for value in values)
    if kind not in "iuf":
        return kind == "O"
    numbers = all(isinstance(value, Real) and not isinstance(value, bool) for value in values)
    return numbers and (kind == "f" or all(isinstance(value, Integral) for value in values))


def _fill_series_of_numbers(column, values, fills, gaps):
    dtype = column.dtype
    kind = getattr(dtype, "kind", "O")
    is_number = kind in "iuf" and not hasattr(dtype, "categories")
    if is_number and not gaps.any():
        return column
    if not is_number or isinstance(dtype, np.dtype):
        numbers = np.where(gaps, fills, values)
        dtype = dtype if kind == "f" and is_number else np.float64
        return type(column)(write_floats(numbers, dtype), index=column.index, name=column.name)
    filled = column.astype("Float64") if kind in "iu" else column.copy()
    filled.iloc[np.flatnonzero(gaps)] = fills[gaps]
    return filled


def _fill_polars(column, values, fills, gaps, is_category):
    """Return a filled polars column, in its own type if that can hold the fills."""
    dtype = column.dtype
    make = type(column)
    if not is_category:
        if dtype.is_numeric() and not gaps.any():
            return column
        numbers = write_floats(np.where(gaps, fills, values), np.float64)
        return make(column.name, numbers).cast(dtype if dtype.is_float() else float)
    if not gaps.any():
        return column
    cells = np.where(gaps, fills, values).tolist()
    kept = dtype if _holds_in_polars(dtype, fills[gaps].tolist()) else None
    return make(column.name, cells, dtype=kept, strict=kept is not None)


def _holds_in_polars(dtype, values: list) -> bool:
    kind = str(dtype).partition("(")[0]
    if kind == "Enum":
        return set(values) <= set(dtype.categories.to_list())
    if kind in ("String", "Categorical"):
        return all(isinstance(value, str) for value in values)
    if kind == "Boolean":
        return all(isinstance(value, bool) for value in values)
    return dtype.is_float() and all(isinstance(value, Real) for value in values)
