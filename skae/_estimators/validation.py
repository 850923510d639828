"""Validation of tables with missing values, and of codes."""

import contextlib

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import check_is_fitted

from skae._engine import StoredTable, find_ends, find_float_type
from skae._estimators.containers import read_container
from skae._estimators.samples import flatten_samples
from skae._estimators.sparse_tables import find_dtypes, tidy_numbers
from skae._estimators.stored_tables import make_nameplate
from skae._shared.scikit_learn import refuse_masked, validate_data


def is_masked(estimator) -> bool:
    """Return whether an estimator accepts NaN as missing values: its network, if it has one."""
    if hasattr(estimator, "net_"):
        return estimator.net_.plan.filling is not None
    return getattr(estimator, "missing", None) == "mask"


def read_codes(estimator, X, *, accept_sparse=False):
    """Return codes for a fitted autoencoder as a finite table in single or double precision.

    Another number of columns than `n_components_` is refused, except fewer columns if nested.
    `accept_sparse` is that of scikit-learn's `check_array`.
    """
    check_is_fitted(estimator)
    refuse_masked(X)
    rows = read_container(X)
    with config_context(array_api_dispatch=False):
        codes = check_array(
            rows,
            accept_sparse=accept_sparse,
            dtype=(np.float64, np.float32),
            input_name="X",
            estimator=estimator,
        )
    n_codes, first = estimator.n_components_, estimator.net_.family.is_nested
    most = "at most " if first else ""
    if codes.shape[1] > n_codes or (codes.shape[1] < n_codes and not first):
        raise ValueError(
            f"X must have {most}{n_codes} columns, one for each code. Got a table of "
            f"shape {codes.shape}. Pass what `transform` returned."
        )
    return codes


def validate_table(estimator, X, **params):
    """Return X as an array or CSR matrix, with NaN only if the estimator accepts it.

    All axes except the first are flattened. The result has single or double precision; stored
    tables keep their type. Further parameters are those of scikit-learn's `validate_data`. Errors
    about missing values suggest the parameter `missing`.
    """
    masked = is_masked(estimator)
    if isinstance(X, StoredTable):
        return _validate_stored(estimator, X.flatten(), **params)
    X = tidy_numbers(flatten_samples(X), dense=masked)
    params |= {"accept_sparse": not masked and ("csr",)}
    finite = "allow-nan" if masked else True
    with _tell_of_missing(estimator), _without_dispatch():
        return validate_data(estimator, X, dtype=find_dtypes(X), ensure_all_finite=finite, **params)


def _validate_stored(estimator, X: StoredTable, *, reset: bool, ensure_min_samples: int = 1):
    """Return a stored table, read if it is small, whose values are checked on reading."""
    validate_data(estimator, make_nameplate(X), reset=reset, skip_check_array=True)
    if len(X) < ensure_min_samples:
        raise ValueError(
            f"X must have at least {ensure_min_samples} rows. Got n_samples={len(X)}. Pass more."
        )
    name, masked = type(estimator).__name__, is_masked(estimator)

    def check(block: np.ndarray):
        if block.dtype.kind != "f":
            return
        block = block.astype(find_float_type(block.dtype), copy=False)
        with _tell_of_missing(estimator):
            assert_all_finite(block, allow_nan=masked, estimator_name=name, input_name="X")

    table = X.checked(check)
    return table if table.is_large else table[:]


def _without_dispatch() -> contextlib.AbstractContextManager:
    """Return a context in which scikit-learn converts all arrays to NumPy."""
    if get_config()["array_api_dispatch"]:
        return config_context(array_api_dispatch=False)
    return contextlib.nullcontext()


@contextlib.contextmanager
def _tell_of_missing(estimator):
    """Extend scikit-learn's error about NaN by a remedy with the estimator's parameter."""
    try:
        yield
    except ValueError as error:
        if "contains NaN" not in str(error) or not hasattr(estimator, "missing"):
            raise
        raise ValueError(
            f"{error}\nSet missing='mask' to fit {type(estimator).__name__} to the observed cells."
        ) from None


def check_missing(family, network):
    """Raise an error for parameters that require missing values or exclude them."""
    corruption, penalty = family.corruption, family.penalty
    if not network.masked:
        if corruption is not None and corruption.hides:
            raise ValueError(
                "`corruption` must be noise that hides no cells with missing=None. Got "
                f"{corruption!r}. Set missing='mask', or corruption='masking'."
            )
        return
    if network.tied_weights:
        raise ValueError(
            "`tied_weights` must be False with missing='mask'. Got True. The encoder has two "
            "inputs for each feature then, and the decoder one output; leave one of them out."
        )
    if penalty is not None and penalty.needs_complete_rows:
        raise ValueError(
            "`penalty` must be defined for rows with missing cells if missing='mask'. "
            f"Got {penalty!r}. Use corruption='hiding', which also makes codes stable."
        )


def check_columns_are_observed(X, names, *, padded: bool):
    """Raise an error for columns without any observed value, or if all sequences are padding."""
    empty = np.flatnonzero(np.isnan(find_ends(X)[0]))
    if padded and len(empty) == X.shape[1]:
        raise ValueError(
            "X must have an observed cell. Got NaN only, which marks the end of sequences. Pass "
            "sequences with values."
        )
    if len(empty) and not padded:
        raise ValueError(
            "X must have an observed cell in every column. Got NaN only in column "
            f"{names[empty[0]]!r}, and {len(empty)} such columns in all. Leave them out."
        )
