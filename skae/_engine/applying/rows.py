"""Application of a network to many rows with little memory."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import sparse

from skae._engine.judgement import find_column_losses
from skae._engine.tables.rows import chunk_slices, densify
from skae._engine.tables.standardization import Standardization
from skae._shared.progress import show_progress
from skae.modules import put_off_far_rows
from skae.objectives import MixedLoss

_CELLS_OF_DRAWS = 2**17
# To avoid overflow of sums, values stay this many digits below the largest number.
_ROOM = 1e9


def device_of(module: torch.nn.Module) -> torch.device:
    # For a single row, a search of all submodules takes as long as a layer.
    own = next(module.buffers(recurse=False), None)
    return next(module.parameters()).device if own is None else own.device


def apply_to_rows(
    module,
    X,
    standardization: Standardization,
    compute: Callable[[Any, torch.Tensor], torch.Tensor],
    *,
    slices: list[slice] | None = None,
    farthest: float | None = None,
) -> np.ndarray:
    """Apply a function of a network to each row of a table.

    `compute` is a function of the network and standardised rows that returns one result per row.
    `slices` are the rows computed together; if None, the number of values decides. Rows with a
    standardised value beyond `farthest`, by default one with which sums over the values might
    overflow, are computed in double precision. Rows that overflow even there are refused.
    """
    farthest = _find_limit(standardization) if farthest is None else farthest
    slices = chunk_slices(X.shape) if slices is None else slices
    function = _RowFunction(module, X, standardization, compute, farthest)
    if len(slices) == 1:
        return np.ascontiguousarray(function.apply(slices[0]))
    results = _collect(slices, function.apply_to_known)
    if function.left_out:
        left_out = np.unique(np.concatenate(function.left_out))
        for rows in np.array_split(left_out, math.ceil(len(left_out) / slices[0].stop)):
            results[rows] = function.apply(rows)
    return results


class _RowFunction:
    """Function of a network for some rows of a table, with the parameters of `apply_to_rows`."""

    def __init__(self, module, X, standardization: Standardization, compute, farthest: float):
        self.module, self.X, self.standardization = module, X, standardization
        self.compute, self.farthest = compute, farthest
        self.device = device_of(module)
        self.left_out: list[np.ndarray] = []
        self.wide: _Wide | None = None

    def apply(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return the results for rows, given as a slice or by their indices."""
        table, inputs, beyond = self._read(rows)
        results = self.compute(self.module, inputs).cpu()
        if beyond is not None:
            self.wide = self.wide or _Wide(self.module, self.standardization)
            mask = beyond.numpy()
            wide = self.wide.apply(table[mask], _list_rows(rows)[mask], self.compute)
            results[beyond] = wide.to(results.dtype)
        _check_results(results, table, rows)
        return results.numpy()

    def apply_to_known(self, rows: slice) -> np.ndarray:
        """Return the results for a slice, and add the rows that are left out to `left_out`."""
        table, inputs, beyond = self._read(rows)
        with put_off_far_rows() as far:
            results = self.compute(self.module, inputs).cpu()
        if beyond is not None:
            far.append(beyond.nonzero()[:, 0])
        self.left_out += [rows.start + numbers.cpu().numpy() for numbers in far]
        _check_results(results, table, rows)
        return results.numpy()

    def _read(self, rows) -> tuple[np.ndarray, torch.Tensor, torch.Tensor | None]:
        """Return rows, their standardised values, and the mask of those set to zero, or None."""
        table = densify(self.X[rows])
        inputs = self.standardization.apply(table)
        beyond = _find_rows_beyond(self.farthest, inputs)
        if beyond is not None:
            inputs[beyond] = 0
        return table, inputs.to(self.device), beyond


def _list_rows(rows: slice | np.ndarray) -> np.ndarray:
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


class _Wide:
    """A network in double precision."""

    def __init__(self, module, standardization: Standardization):
        # Some accelerators lack double precision.
        self.module: Any = copy.deepcopy(module).to("cpu", torch.float64)
        mean = standardization.mean.astype(np.float64)
        self.standardization = Standardization(mean, standardization.scale, torch.float64)

    def apply(self, X: np.ndarray, numbers: np.ndarray, compute) -> torch.Tensor:
        """Return results for the rows with these indices."""
        inputs = self.standardization.apply(X)
        beyond = torch.nonzero(inputs.abs() > _find_limit(self.standardization))
        if len(beyond):
            row, column = beyond[0].tolist()
            _refuse(X[row, column], numbers[row], column, "double precision")
        return compute(self.module, inputs)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the reconstructions of codes in units of X."""
        rows = self.module.decode(torch.from_numpy(codes.astype(np.float64)))
        return self.standardization.invert(rows)


def _find_limit(standardization: Standardization) -> float:
    """Return the largest standardised value whose sums do not overflow."""
    return torch.finfo(standardization.dtype).max / _ROOM / max(1.0, standardization.scale)


def _find_rows_beyond(limit: float, inputs: torch.Tensor) -> torch.Tensor | None:
    """Return the mask of the rows with a value beyond a limit, or None."""
    if _lies_within(limit, inputs):
        return None
    far = (inputs.abs() > limit).any(1)
    return far if far.any() else None


def _lies_within(limit: float, values: torch.Tensor) -> bool:
    """Check cheaply whether all values are within a limit. May be False if they are."""
    values = values.reshape(-1)
    # A sum of squares takes a third of the time of a maximum, and its rounding is within the 4. It
    # is not a number if a value is missing.
    return float(torch.dot(values, values)) < limit * limit / 4


def _check_results(results: torch.Tensor, table: np.ndarray, rows: slice | np.ndarray):
    """Raise an error for rows whose results overflow."""
    if _lies_within(math.inf, results):
        return
    beyond = results.reshape(len(results), -1).isinf().any(1).nonzero()
    if len(beyond):
        row = int(beyond[0])
        column = int(np.nanargmax(np.abs(table[row])))
        name = str(results.dtype).removeprefix("torch.")
        _refuse(table[row, column], _list_rows(rows)[row], column, f"{name} for its result")


def _refuse(value: float, row: int, column: int, precision: str):
    raise ValueError(
        f"X must not lie farther from the training mean than {precision} can express. Got "
        f"{value:.3g} in row {row}, column {column}. Leave out such cells, which may stand for "
        "missing ones, or set dtype='float64'."
    )


@torch.no_grad()
def encode_table(module, X, standardization: Standardization) -> np.ndarray:
    """Return the codes of the rows of X, of shape (n_samples, n_components)."""
    return apply_to_rows(module, X, standardization, lambda net, rows: net.encode(rows))


@torch.no_grad()
def encode_sparsely(module, X, standardization: Standardization) -> sparse.csr_matrix:
    """Return sparse codes of the rows of X, in units of X and the precision of the network."""

    def encode(net, rows):
        return net.encode(rows) * standardization.scale

    # Dense codes are held for a few rows at a time.
    slices = chunk_slices((X.shape[0], len(module.directions)))
    parts = (apply_to_rows(module, X[rows], standardization, encode) for rows in slices)
    return sparse.vstack([sparse.csr_matrix(part) for part in parts], format="csr")


@torch.no_grad()
def encode_deviations(module, X, standardization: Standardization) -> np.ndarray:
    """Return standard deviations of the codes of the rows of X, (n_samples, n_components)."""
    return apply_to_rows(module, X, standardization, lambda net, rows: net.encode_deviation(rows))


@torch.no_grad()
def bound_log_densities(module, X, standardization: Standardization, noise) -> np.ndarray:
    """Return importance-weighted lower bounds of the log-density of the rows of X.

    They are in nats and double precision, for densities of standardised rows. `noise` has standard
    normal draws of shape (n_draws, n_components), shared by all rows, so that rows do not affect
    each other.
    """
    draws = torch.tensor(noise, dtype=standardization.dtype)
    # Outputs have rows times draws; a few of both are decoded at a time.
    draw_slices = chunk_slices((len(draws), X.shape[1]), _CELLS_OF_DRAWS)

    def bound(net, rows):
        parts = [net.find_log_ratios(rows, draws[some].to(rows)) for some in draw_slices]
        return torch.logsumexp(torch.cat(parts, dim=1).double(), 1) - math.log(len(draws))

    slices = chunk_slices((X.shape[0], draw_slices[0].stop * X.shape[1]))
    farthest = _find_limit(standardization) ** 0.5
    return apply_to_rows(module, X, standardization, bound, slices=slices, farthest=farthest)


@torch.no_grad()
def decode_table(module, codes: np.ndarray, standardization: Standardization) -> np.ndarray:
    """Return the reconstructions of codes, (n_samples, n_features), in units of X."""
    device, n_features = device_of(module), len(standardization.mean)
    # In double precision, which single precision is compared with after conversion.
    farthest = np.float64(_find_limit(standardization))

    def decode(chunk):
        far = (np.abs(chunk) > farthest).any(axis=1)
        code = torch.from_numpy(np.where(far[:, None], 0, chunk))
        rows = standardization.invert(module.decode(code.to(device, standardization.dtype)))
        if far.any():
            with np.errstate(over="ignore"):
                rows[far] = _Wide(module, standardization).decode(chunk[far])
        if np.isinf(rows).any():
            raise ValueError(
                "X must hold codes whose reconstructions are numbers. Got codes up to "
                f"{np.abs(chunk).max():.3g}, whose rows {rows.dtype} cannot express. Pass codes "
                "that are closer to those of `transform`."
            )
        return rows

    slices = chunk_slices((len(codes), n_features))
    return _collect(slices, lambda rows: decode(codes[rows]))


@torch.no_grad()
def cell_errors(module, X, standardization: Standardization) -> np.ndarray:
    """Return the squared error of every value, in units of X squared and double precision."""
    unit = standardization.scale**2

    def square(net, rows):
        return (net.reconstruct(rows) - rows).double().square_().mul_(unit)

    return apply_to_rows(module, X, standardization, square)


@torch.no_grad()
def column_losses(module, X, standardization: Standardization, loss: MixedLoss) -> np.ndarray:
    """Return the losses of the columns of a frame, under a network and under baselines.

    They have shape (n_samples, n_columns, 2), with NaN for missing values. The network need not be
    able to fill these.
    """

    def measure(net, rows):
        return find_column_losses(net, rows, loss)

    return apply_to_rows(module, X, standardization, measure)


@torch.no_grad()
def row_errors_and_deviations(module, X, standardization: Standardization):
    """Return squared distances of rows from their reconstruction and from the training mean.

    They are sums over the columns, in units of X squared.
    """
    unit = standardization.scale**2
    return apply_to_rows(module, X, standardization, lambda *own: _sum_rows(*own) * unit).T


def _sum_rows(module, rows: torch.Tensor) -> torch.Tensor:
    """Return sums of squares over the observed values of each row, in double precision.

    The first sum is that of the reconstruction errors, the second that of the values.
    """
    missing = rows.isnan()
    parts = [module.reconstruct(rows) - rows, rows]
    # Squares of distant values overflow in single precision.
    sums = [part.double().square_().masked_fill_(missing, 0).sum(1) for part in parts]
    return torch.stack(sums, 1)


def _collect(slices: list[slice], apply: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Return the results of a function for all slices, in one array."""
    first, *others = slices
    if not others:
        return np.ascontiguousarray(apply(first))
    n_rows = slices[-1].stop
    with show_progress(n_rows) as progress:
        part = apply(first)
        result = np.empty((n_rows, *part.shape[1:]), dtype=part.dtype)
        result[first] = part
        for rows in others:
            result[rows] = part = apply(rows)
            progress.add(len(part))
    return result
