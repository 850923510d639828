"""Methods applied lazily, block by block, to Dask arrays and data frames."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from scipy import sparse

from skae._estimators.stored_tables import is_dask
from skae._shared.extras import import_extra
from skae._shared.scikit_learn import returns_frames

_Method = TypeVar("_Method", bound=Callable[..., Any])


def maps_dask(method: _Method) -> _Method:
    """Let a method of rows return a lazy result for a Dask array or data frame.

    The method returns an array with one result per row. A Dask array gives an array with the same
    blocks of rows, and a Dask data frame one with the same partitions and index, and columns named
    after the results.
    """

    @functools.wraps(method)
    def map_or_call(self, X, **options):
        if not is_dask(X):
            return method(self, X, **options)
        for name, option in options.items():
            if option is not None:
                raise ValueError(
                    f"`{name}` must be None for X of Dask. Got {option!r}. Pass blocks in memory."
                )
        if returns_frames(self):
            raise ValueError(
                "Output must not be set to a frame if X is lazy. Got X of Dask with "
                "`set_output` or `set_config`. Frames of Dask give frames of Dask without that."
            )
        map_blocks = _map_partitions if hasattr(X, "columns") else _map_array
        return map_blocks(self, method.__name__, X)

    return cast(_Method, map_or_call)


def apply_to_block(estimator, name: str, example, block):
    """Apply a method to a block of rows; an empty one gives `example`, the result for no rows.

    The result is a data frame or a series if the block is a data frame.
    """
    result = getattr(estimator, name)(block) if len(block) else example
    if not hasattr(block, "columns") or hasattr(result, "iloc"):
        return result
    pandas = import_extra("pandas", "table", name)
    if result.ndim == 1:
        return pandas.Series(result, index=block.index, name=name)
    return pandas.DataFrame(result, index=block.index, columns=_name_results(estimator, name))


def _name_results(estimator, name: str):
    if name == "transform":
        return estimator.get_feature_names_out()
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else names


def _find_example(estimator, name: str, rows):
    """Return the result for no rows, derived from that for a single row."""
    return getattr(estimator, name)(rows)[:0]


def _map_array(estimator, name: str, X):
    X = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    row = np.zeros((1, *map(int, X.shape[1:])), X.dtype)
    example = _find_example(estimator, name, row)
    axes = range(min(X.ndim, example.ndim), max(X.ndim, example.ndim))
    change = {"new_axis": list(axes)} if example.ndim > X.ndim else {"drop_axis": list(axes)}
    return X.map_blocks(
        functools.partial(apply_to_block, estimator, name, example),
        dtype=example.dtype,
        meta=example,
        chunks=(X.chunks[0], *((size,) for size in example.shape[1:])),
        **change,
    )


def _map_partitions(estimator, name: str, X):
    row = X._meta_nonempty.iloc[:1]
    example = _find_example(estimator, name, row)
    if sparse.issparse(example):
        raise ValueError(
            "`sparse_output` must be False for frames of Dask. Got True. Frames would store "
            "all zeros; set sparse_output=False, or pass an array of Dask."
        )
    apply = functools.partial(apply_to_block, estimator, name, example)
    return X.map_partitions(apply, meta=apply(row).iloc[:0])
