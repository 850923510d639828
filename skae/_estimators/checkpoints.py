"""Checkpoints of fits: identification of the fit, and storage of its checkpoints."""

import hashlib
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skae._engine import ALONE, RANKS, Checkpoints, Separation, chunk_slices
from skae._shared.names import get_class_path
from skae._shared.versions import current_versions

# The digest of a larger table uses this number of evenly spaced parts.
_MOST_BYTES = 2**26
_N_PARTS = 16
# Parameters that do not affect the model.
_WITHOUT_EFFECT = ("verbose",)


class CheckpointFolder(Protocol):
    """A checkpoint folder given by the user."""

    def open(self, fit: dict[str, Any]) -> Any:
        """Return the store of a fit, given its description."""


# A thread starts with its own context, so a folder serves the fits of one thread.
FOLDER: ContextVar[CheckpointFolder | None] = ContextVar("skae_checkpoints", default=None)


def find_checkpoints(
    estimator, rows, weights, separation: Separation | None, *, start=None
) -> Checkpoints | None:
    """Return the checkpoints of a fit, or None if none are requested.

    A fit that continues an earlier one, from the network `start`, and callbacks with an unknown
    state are refused.
    """
    folder = FOLDER.get()
    if folder is None:
        return None
    if start is not None:
        raise ValueError(
            "Fits with checkpoints must start from the beginning. Got one that continues an "
            "earlier fit, by `warm_start` or `partial_fit`. Leave the `with` block for such fits, "
            "and save the estimator after each of them."
        )
    if (getattr(estimator, "net_params", None) or {}).get("callbacks"):
        raise ValueError(
            "`net_params['callbacks']` must not be set for fits with checkpoints, which cannot "
            "store the state of such callbacks. Got some. Leave them out, or fit without "
            "checkpoints."
        )
    fit, ranks = describe_fit(estimator, rows, weights, separation), RANKS.get()
    if ranks is not ALONE:
        fit["processes"] = {"rank": ranks.rank, "number": ranks.size, "shared": ranks.shared}
    return Checkpoints(folder.open(fit))


def describe_fit(estimator, rows, weights, separation) -> dict[str, Any]:
    """Return the JSON description that identifies a fit; see `find_checkpoints`."""
    given = {"weights": weights}
    if separation is not None:
        given["groups"] = separation.groups
        given["held_out"] = None if separation.split is None else separation.split.held_out
    parameters = estimator.get_params(deep=False)
    return {
        "estimator": get_class_path(type(estimator)),
        "parameters": {
            name: _describe(value)
            for name, value in sorted(parameters.items())
            if name not in _WITHOUT_EFFECT
        },
        "table": {
            "shape": list(rows.shape),
            "type": str(rows.dtype),
            "digest": _digest_table(rows),
        },
        "given": {name: _describe(value) for name, value in given.items()},
        "versions": {**current_versions(), "numpy": np.__version__},
    }


def _describe(value: Any) -> Any:
    """Return a JSON description of a value, equal in all processes for equal values."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): _describe(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_describe(own) for own in value]
    if isinstance(value, BaseEstimator):
        return {get_class_path(type(value)): _describe(value.get_params(deep=False))}
    if isinstance(value, np.generic):
        return _describe(value.item())
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return {"shape": list(array.shape), "digest": _digest([array])}
    return get_class_path(value if hasattr(value, "__qualname__") else type(value))


def _digest_table(rows) -> str:
    """Return a digest of a table, or of parts of it if it is large."""
    if sparse.issparse(rows):
        return _digest([rows.data, rows.indices, rows.indptr])
    n_rows, n_columns = rows.shape
    slices = chunk_slices(rows.shape)
    if n_rows * n_columns * rows.dtype.itemsize > _MOST_BYTES:
        slices = slices[:: max(1, len(slices) // _N_PARTS)]
    return _digest(np.asarray(rows[own]) for own in slices)


def _digest(arrays) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        content = array if array.dtype.kind in "biuf" else array.astype(str)
        digest.update(np.ascontiguousarray(content).data)
    return digest.hexdigest()
