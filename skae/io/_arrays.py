"""Table from the arrays of an NPZ file."""

from dataclasses import replace

import numpy as np

from skae.io._missing import settle_missing
from skae.io._npz import read_array, read_headers
from skae.io._request import ASKED
from skae.io._table import Table


def read_npz(request):
    """Return the table in an NPZ file, without the columns left out."""
    headers = read_headers(request.path)
    name = _choose_matrix(headers, request.path)
    if request.target is None and name == "X" and "y" in headers:
        request = replace(request, target="y")
    if request.target is not None and request.target not in headers:
        raise request.make_name_error("target", request.target, headers)
    X, names = _read_matrix(name, headers[name], request)
    y = _read_target(headers, len(X), name, request)
    target_gaps = np.zeros(len(X), bool) if y is None or y.dtype.kind != "f" else np.isnan(y)
    kept = settle_missing(np.isnan(X), np.isinf(X), target_gaps, names, request)
    reasons = dict.fromkeys(request.drop, ASKED)
    return Table(
        kept.take(X),
        None if y is None else y[kept.rows],
        tuple(names[kept.columns].tolist()),
        reasons | dict.fromkeys(names[~kept.columns].tolist(), "no values"),
        kept.remarks,
    )


def _read_matrix(name, header, request):
    """Return the rows without the columns to leave out, and the names of the columns."""
    n_samples, n_features = header.shape
    names = np.array([f"{name}{index}" for index in range(n_features)])
    request.check_drop(names.tolist())
    _check_matrix(header, name, request.path)
    request.check_shape(n_samples, n_features)
    X = _convert_matrix(read_array(request.path, name, header))
    asked = np.isin(names, request.drop)
    X, names = (X[:, ~asked], names[~asked]) if asked.any() else (X, names)
    request.check_shape(n_samples, len(names))
    return X, names


def _read_target(headers, n_samples, name, request):
    if request.target is None:
        return None
    _check_target_array(headers[request.target], n_samples, name, request)
    y = read_array(request.path, request.target, headers[request.target])
    request.check_target(y)
    return y


def _choose_matrix(headers, path):
    if "X" in headers and headers["X"].ndim == 2:
        return "X"
    matrices = [name for name, header in headers.items() if header.ndim == 2]
    if len(matrices) == 1:
        return matrices[0]
    shapes = {name: header.shape for name, header in list(headers.items())[:10]}
    raise ValueError(
        f"`path` must have an array X, or only one array, with two dimensions. Got {str(path)!r} "
        f"with arrays of shapes {shapes}. Write it with numpy.savez(path, X=X, y=y)."
    )


def _check_target_array(header, n_samples, name, request):
    if header.shape != (n_samples,):
        raise ValueError(
            f"`target` must be an array of shape ({n_samples},), one value per row of {name}. "
            f"Got {request.target!r} of shape {header.shape} in {str(request.path)!r}. Name "
            "another array of the file."
        )


def _check_matrix(header, name, path):
    if header.dtype.hasobject:
        raise ValueError(
            f"Array {name!r} of `path` must be numeric. Got Python objects in {str(path)!r}, which "
            "can run code when they are read. Write it without object arrays."
        )
    if header.dtype.kind not in "biuf":
        raise ValueError(
            f"Array {name!r} of `path` must be numeric. Got the type {header.dtype} in "
            f"{str(path)!r}. Leave out values that are not numbers."
        )


def _convert_matrix(matrix):
    exact_in_single = np.can_cast(matrix.dtype, np.float32)
    return matrix.astype(np.float32 if exact_in_single else np.float64, copy=False)
