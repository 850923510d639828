"""Rows on which an exported model is compared with the original."""

import numpy as np

from skae._estimators.mixed_columns import is_frame, name_columns, read_cells, take_column
from skae._shared.extras import import_extra
from skae.exceptions import ExportError
from skae.modules import LinearOutput
from skae.onnx._programs import (
    DetectorProgram,
    ImputerProgram,
    TokenProgram,
    find_program,
)

INPUT = "X"
_N_ROWS = 200
# Share of the known range by which drawn rows exceed it on both sides, where models return to PCA.
_BEYOND = 0.25
_SHARE_MISSING = 0.1
_ROWS_NEEDED = (
    "`check` must be rows, such as some of the training rows, if the model begins with "
    "steps that cannot be inverted. Got None. The rows also determine the types of columns."
)


def read_inputs(X, *, by_column: bool, of_tokens: bool) -> dict[str, np.ndarray]:
    """Return rows as inputs of an exported model, by name.

    Numbers are in double precision, or in single precision if X is such an array; text is in arrays
    of objects, with "nan" for missing values; tokens are integers. With `by_column`, each column of
    a frame is an input.
    """
    if is_frame(X) and by_column:
        names = [str(name) for name in name_columns(X)]
        return {name: _read_column(take_column(X, i)) for i, name in enumerate(names)}
    table = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if table.dtype.kind in "OU" and all(isinstance(cell, str) for cell in table.flat):
        return {INPUT: table.astype(object).reshape(len(table), -1)}
    dtype = np.int64 if of_tokens else np.float32 if table.dtype == np.float32 else np.float64
    return {INPUT: np.ascontiguousarray(table, dtype=dtype)}


def holds_text(X) -> bool:
    """Return whether a frame has non-numeric columns."""
    return is_frame(X) and any(not _is_numeric(take_column(X, i)) for i in range(X.shape[1]))


def _is_numeric(column) -> bool:
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):
        return dtype.is_numeric() or str(dtype) == "Boolean"
    return getattr(dtype, "kind", "O") in "iufb" and not hasattr(dtype, "categories")


def _read_column(column) -> np.ndarray:
    if _is_numeric(column):
        cells, missing = read_cells(column, np.nan)
        return np.where(missing, np.nan, cells).astype(np.float64)[:, None]
    # Missing text becomes "nan" or "None".
    return np.array([str(cell) for cell in np.asarray(column)], dtype=object)[:, None]


def draw_rows(steps):
    """Draw rows within, and slightly beyond, the range of the training rows.

    Steps before the autoencoder that cannot be inverted are refused.
    """
    place = next((i for i, step in enumerate(steps) if find_program(type(step))), len(steps))
    if place == len(steps):
        raise ExportError(_ROWS_NEEDED)
    rows = _draw(steps[place], np.random.RandomState(0))
    for step in reversed(steps[:place]):
        try:
            rows = step.inverse_transform(rows)
        except (AttributeError, ValueError) as error:
            # Some steps, such as SimpleImputer, can be inverted with some parameters only.
            raise ExportError(_ROWS_NEEDED) from error
    names = getattr(steps[0], "feature_names_in_", None)
    if names is None:
        return rows
    return import_extra("pandas", "table", "skae.to_onnx").DataFrame(rows, columns=names)


def _draw(model, source) -> np.ndarray:
    kind = find_program(type(model))
    if kind is TokenProgram:
        tokens = source.randint(0, model.n_tokens_, (_N_ROWS, model.n_features_in_))
        ends = source.randint(0, model.n_features_in_ + 1, (_N_ROWS, 1))
        return np.where(np.arange(model.n_features_in_) < ends, tokens, 0)
    if kind is ImputerProgram:
        return _remove_cells(_draw_for_imputer(model, source), source)
    if kind is DetectorProgram:
        shares = source.uniform(-_BEYOND, 1 + _BEYOND, (_N_ROWS, len(model.data_min_)))
        return shares * model.data_range_ + model.data_min_
    return _draw_for_autoencoder(model, source)


def _draw_for_imputer(model, source) -> np.ndarray:
    rows = np.zeros((_N_ROWS, model.n_features_in_))
    if model._encoding is not None:
        normal = source.standard_normal((_N_ROWS, len(model._encoding.mean)))
        rows[:, model._find_used()] = normal * model._encoding.scale + model._encoding.mean
    return rows


def _draw_for_autoencoder(model, source) -> np.ndarray:
    network, standardization = model.net_.module_, model._standardization
    if network.row_bounds is None:
        rows = source.standard_normal((_N_ROWS, len(standardization.mean)))
        rows = rows * standardization.scale + standardization.mean
    else:
        lower, upper = standardization.invert(network.row_bounds)
        beyond = _BEYOND if isinstance(network.output, LinearOutput) else 0.0
        shares = source.uniform(-beyond, 1 + beyond, (_N_ROWS, len(lower)))
        rows = lower + shares * (upper - lower)
    if network.filling is not None:
        rows = _remove_cells(rows, source)
    return model._sample_form.restore(rows)


def _remove_cells(rows: np.ndarray, source) -> np.ndarray:
    return np.where(source.uniform(size=rows.shape) < _SHARE_MISSING, np.nan, rows)
