"""Tables of numbers and categories as numbers, and back: arrays, and frames of pandas or polars."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_array

_REMEDY = "Convert it, or leave it out."


def is_frame(X) -> bool:
    """Tell whether X is a data frame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "with_columns"))


def take_column(X, index: int):
    """Return a column of a frame."""
    return X.iloc[:, index] if hasattr(X, "iloc") else X[:, int(index)]


def holds_categories(X) -> bool:
    """Tell whether X is a frame that an array of numbers cannot stand for."""
    return is_frame(X) and bool(find_categorical(X, None, None).any())


def find_categorical(X, categorical_features, names) -> np.ndarray:
    """Tell which columns hold categories.

    Parameters
    ----------
    X : frame or array of shape (n_samples, n_features)
        The table.
    categorical_features : "from_dtype", None or array-like
        As the user gave it: booleans, indices or names.
    names : ndarray of shape (n_features,) or None
        What the columns are called, None where they have no names.

    Returns
    -------
    is_categorical : ndarray of bool of shape (n_features,)
        True for categories.

    Raises
    ------
    ValueError
        If a column is named that does not exist, or has a type that is neither.
    """
    n_features = X.shape[1]
    from_dtype = isinstance(categorical_features, str)
    if is_frame(X):
        kinds = [_find_kind(take_column(X, index), X.columns[index]) for index in range(n_features)]
        is_text = np.array([kind == "category" for kind in kinds], dtype=bool)
    else:
        is_text = np.zeros(n_features, dtype=bool)
    if from_dtype:
        return is_text
    chosen = np.asarray([] if categorical_features is None else categorical_features)
    if chosen.dtype == bool and len(chosen) == n_features:
        return chosen | is_text
    if chosen.dtype.kind in "OU" and names is not None:
        positions = {name: index for index, name in enumerate(names)}
        chosen = np.array([positions.get(name, n_features) for name in chosen], dtype=int)
    is_listed = chosen.dtype.kind in "iuf" and chosen.ndim == 1
    if not is_listed or (len(chosen) and not (0 <= chosen.min() <= chosen.max() < n_features)):
        raise ValueError(
            "`categorical_features` must be 'from_dtype', None, or a list of names or indices of "
            f"columns, or a boolean for each. Got {categorical_features!r} for {n_features} "
            "columns. Leave it at 'from_dtype' where a data frame knows the types."
        )
    is_text[chosen.astype(int)] = True
    return is_text


def _find_kind(column, name) -> str:
    """Return "number" or "category" for a column of a frame."""
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # polars
        if dtype.is_numeric():
            return "number"
        is_category = not (dtype.is_temporal() or dtype.is_nested())
    else:
        kind = getattr(dtype, "kind", "O")
        if kind in "iuf" and not hasattr(dtype, "categories"):
            return "number"
        is_category = kind in "ObUT" or hasattr(dtype, "categories")
    if is_category:
        return "category"
    raise ValueError(
        f"X must hold numbers and categories. Got column {name!r} of type {dtype}. {_REMEDY}"
    )


def read_table(X, missing_values, is_categorical) -> tuple[list, np.ndarray]:
    """Return the columns of a frame or an array of floats, and which values are missing."""
    if not is_frame(X):
        missing = np.isnan(X) if is_not_a_number(missing_values) else missing_values == X
        return list(np.where(missing, np.nan, X).T), missing
    read = [
        read_column(take_column(X, index), missing_values, categorical=is_category)
        for index, is_category in enumerate(is_categorical)
    ]
    return [values for values, _ in read], np.column_stack([gaps for _, gaps in read])


def read_column(column, missing_values, *, categorical: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column of a frame, and where they are missing.

    Numbers are in double precision, categories are objects. What the frame calls missing is so
    whatever the placeholder.
    """
    is_null = column.is_null() if hasattr(column, "is_null") else column.isna()
    is_null = np.asarray(is_null, dtype=bool)
    values = np.asarray(column, dtype=object)
    missing = is_null.copy()
    if not is_not_a_number(missing_values):
        missing[~is_null] = values[~is_null] == missing_values
    if categorical:
        return values, missing
    numbers = np.full(len(values), np.nan)
    numbers[~is_null] = values[~is_null].astype(np.float64)
    # A frame of polars tells missing cells from cells that are no number.
    missing |= np.isnan(numbers)
    numbers[missing] = np.nan
    check_array(numbers[:, None], ensure_all_finite="allow-nan", input_name="X")
    return numbers, missing


def is_not_a_number(value) -> bool:
    """Tell whether a placeholder is one of those that stand for nothing: NaN, None, NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def write_column(column, values: np.ndarray, missing: np.ndarray, *, categorical: bool):
    """Return a column of a frame with other values where it is missing.

    The other cells stay as they are; integers become floats where something is filled in.
    """
    if not missing.any():
        return column
    if hasattr(column, "is_null"):
        if not categorical:
            column = column.cast(float) if not column.dtype.is_float() else column
            values = np.where(missing, values, column.to_numpy())
            return type(column)(column.name, values, dtype=column.dtype)
        cells = np.asarray(column, dtype=object)
        cells[missing] = values[missing]
        return type(column)(column.name, cells.tolist(), dtype=column.dtype)
    if not categorical and getattr(column.dtype, "kind", "f") in "iu":
        column = column.astype("Float64" if hasattr(column.dtype, "na_value") else np.float64)
    column, fills = column.copy(), values[missing]
    if not categorical and isinstance(column.dtype, np.dtype):
        fills = fills.astype(column.dtype)
    column.iloc[np.flatnonzero(missing)] = fills
    return column


@dataclass(frozen=True)
class ColumnEncoding:
    """How columns of numbers and categories become columns of about unit size, and back.

    A category becomes a column of its own, 1 where it is and 0 elsewhere; those of one feature
    are divided by one number, so that together they vary as much as a number does.
    """

    categories: list
    """For each column an array of its categories, None for numbers."""

    mean: np.ndarray
    """What is subtracted from the encoded columns."""

    scale: np.ndarray
    """What they are then divided by."""

    groups: np.ndarray
    """Column that each encoded one belongs to."""

    @classmethod
    def fit(cls, columns, categories, *, standardize: bool = True) -> "ColumnEncoding":
        """Describe columns: floats, or numbers of categories, with NaN where a cell is missing."""
        blocks = [_expand(own, known) for own, known in zip(columns, categories, strict=True)]
        means = [np.nanmean(block, axis=0) for block in blocks]
        variances = [np.nanvar(block, axis=0) for block in blocks]
        of_numbers = [
            own for own, known in zip(variances, categories, strict=True) if known is None
        ]
        for index, known in enumerate(categories):
            if known is not None:
                variances[index][:] = variances[index].sum()
            elif not standardize:
                variances[index] = np.mean(of_numbers, axis=0)
        variance = np.concatenate(variances)
        groups = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
        scale = np.sqrt(np.where(variance > 0, variance, 1.0))
        return cls(list(categories), np.concatenate(means), scale, groups)

    def encode(self, columns) -> np.ndarray:
        """Return a table of about unit size, (n_samples, n_encoded)."""
        blocks = [_expand(own, known) for own, known in zip(columns, self.categories, strict=True)]
        return (np.hstack(blocks) - self.mean) / self.scale

    def decode(self, encoded: np.ndarray) -> list[np.ndarray]:
        """Return columns: floats, or the likeliest categories."""
        encoded = encoded * self.scale + self.mean
        columns = []
        for index, known in enumerate(self.categories):
            block = encoded[:, self.groups == index]
            columns.append(block[:, 0] if known is None else known[block.argmax(axis=1)])
        return columns


def _expand(column: np.ndarray, categories) -> np.ndarray:
    """Return a column of its own for each category, NaN in all of them where it is missing."""
    if categories is None:
        return column[:, None]
    block = (column[:, None] == np.arange(len(categories))).astype(np.float64)
    block[np.isnan(column)] = np.nan
    return block


def find_categories(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the categories that occur, in order, of the type of the values."""
    found = sorted(set(values[~missing].tolist()), key=lambda value: (type(value).__name__, value))
    categories = np.empty(len(found), dtype=values.dtype)
    categories[:] = found
    return categories


def number_categories(values: np.ndarray, missing: np.ndarray, categories) -> np.ndarray:
    """Return the number of each value's category, NaN where it is missing or was never seen."""
    numbers = {category: number for number, category in enumerate(categories.tolist())}
    found = [
        np.nan if gap else numbers.get(value, np.nan)
        for value, gap in zip(values.tolist(), missing, strict=True)
    ]
    return np.array(found, dtype=np.float64)
