"""Names of scikit-learn that are private or differ between versions."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from sklearn import config_context
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import _check_sample_weight
from sklearn.utils.validation import validate_data as _validate_data

from skae._shared.labels import unmask

__all__ = [
    "CallbackSupportMixin",
    "check_weights",
    "fit_context",
    "keep_weighted_rows",
    "refuse_masked",
    "returns_frames",
    "validate_data",
    "wrap_rows",
]

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Placeholder for scikit-learn's mixin in versions without it."""


_Method = TypeVar("_Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Method], _Method]:
    """Return scikit-learn's decorator of `fit`, with types for type checkers."""
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def validate_data(estimator, X, **params):
    """Call scikit-learn's `validate_data`, with errors that name the column of a text.

    NumPy's warnings about sums of large numbers are ignored.
    """
    with np.errstate(over="ignore", invalid="ignore"), _name_columns(X):
        return _validate_data(estimator, X, **params)


@contextlib.contextmanager
def _name_columns(X):
    """Extend errors about a cell that is not a number by its column."""
    try:
        yield
    except (TypeError, ValueError) as error:
        reason = str(error)
        is_text = reason.startswith("could not convert string")
        if not (is_text or reason.startswith("float() argument must be")):
            raise
        for name, column in _list_columns(X):
            for cell in column:
                # Missing cells are not to blame for a text.
                if isinstance(cell, str | bytes if is_text else object) and not _is_number(cell):
                    raise type(error)(
                        f"X must hold numbers. Got {cell!r} in column {name!r}: {reason}. Convert "
                        "the column, or leave it out."
                    ) from None
        raise


def _list_columns(X) -> Iterator[tuple[Any, Any]]:
    """Yield the names and cells of the columns of a frame, an array or a list of rows."""
    if hasattr(X, "iloc") and getattr(X, "ndim", 0) == 2:
        yield from ((name, X.iloc[:, place]) for place, name in enumerate(X.columns))
    elif hasattr(X, "columns") and hasattr(X, "to_dict"):
        yield from X.to_dict(as_series=False).items()
    else:
        cells = np.asarray(X, dtype=object)
        yield from enumerate(cells.T if cells.ndim == 2 else ())


def _is_number(cell) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def refuse_masked(X):
    """Raise an error for masked cells, whose mask scikit-learn would drop."""
    if np.ma.is_masked(X):
        raise ValueError(
            "X must have no masked cells. Got a masked array with some. Fill them in, as with "
            "X.filled(0)."
        )


def check_weights(sample_weight, X) -> np.ndarray | None:
    """Return weights of the rows in double precision, or None if none are given.

    Weights too small for single precision, relative to the largest, become zero. Negative or
    infinite weights, wrong shapes, sums that overflow, and weights that are all zero are refused.
    """
    if sample_weight is None:
        return None
    with config_context(array_api_dispatch=False):
        weights = _check_sample_weight(
            unmask(sample_weight), X, dtype=np.float64, ensure_non_negative=True
        )
    if not weights.any():
        raise ValueError(
            "`sample_weight` must have a positive entry. Got zeros only. "
            "Rows of weight zero are left out of the fit, so give some rows weight."
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            "`sample_weight` must have a sum within double precision. "
            f"Got weights up to {weights.max():.3g}. Divide them by their maximum."
        )
    return np.where(weights < weights.max() * np.finfo(np.float32).tiny, 0, weights)


def keep_weighted_rows(X, weights: np.ndarray | None, fewest: int):
    """Return the rows of positive weight, and their weights or None if all are equal.

    Raises an error if fewer than `fewest` rows remain.
    """
    if weights is not None and not weights.all():
        kept = weights > 0
        X, weights = X[kept] if hasattr(X, "dtype") else _safe_indexing(X, kept), weights[kept]
        if X.shape[0] < fewest:
            raise ValueError(
                "`sample_weight` must be positive for at least two rows. Got n_samples=1 row "
                "of positive weight, relative to which others may be negligible. Give more rows "
                "weight, or pass sample_weight=None."
            )
    if weights is not None and (weights == weights[0]).all():
        weights = None
    return X, weights


def wrap_rows(estimator, rows):
    """Return new rows in the container of `set_output`, with the feature names of fit.

    The estimator may be a pipeline. Objects other than tables are returned unchanged.
    """
    adapter = _find_adapter(estimator)
    if adapter is None or not isinstance(rows, np.ndarray) or rows.ndim != 2:
        return rows
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or len(names) != rows.shape[1]:
        names = np.array([f"x{i}" for i in range(rows.shape[1])], dtype=object)
    return adapter.create_container(rows, rows, columns=names)


def returns_frames(estimator) -> bool:
    """Return whether `set_output` of an estimator, or `set_config`, selects data frames."""
    return _find_adapter(estimator) is not None


def _find_adapter(estimator):
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return _get_container_adapter("transform", last)
