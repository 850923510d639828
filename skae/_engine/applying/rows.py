"""Applying a network to many rows with little memory."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from skae._engine.tables.rows import chunk_slices, densify
from skae._engine.tables.standardization import Standardization

_CELLS_OF_DRAWS = 2**17
# Sums of products must not overflow: cells lie within the greatest number less so many digits.
_ROOM = 1e9


def device_of(module: torch.nn.Module) -> torch.device:
    """Return where a module's parameters are."""
    return next(module.parameters()).device


def standardised_chunks(
    X, standardization: Standardization, device: torch.device
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield slices over the rows of X with those rows in the units of the network."""
    for rows in chunk_slices(X.shape):
        yield rows, _standardise(X[rows], rows.start, standardization).to(device)


def _standardise(X, start: int, standardization: Standardization) -> torch.Tensor:
    """Return rows in the units of the network; refuse those beyond its precision.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows, in their own unit.
    start : int
        Number of the first of them in the table that they are taken from.
    standardization : Standardization
        Centring and scaling of the network's rows.

    Returns
    -------
    standardised : Tensor of shape (n_rows, n_features)
        On the CPU.

    Raises
    ------
    ValueError
        If a cell lies so far from the training mean that sums over it would overflow.
    """
    X = densify(X)
    standardised = standardization.apply(X)
    most = torch.finfo(standardised.dtype).max / _ROOM / max(1.0, standardization.scale)
    beyond = torch.nonzero(standardised.abs() > most)
    if len(beyond):
        row, column = beyond[0].tolist()
        raise ValueError(
            f"X must lie within {most * standardization.scale:.0e} of the training mean, what "
            f"{str(standardised.dtype).removeprefix('torch.')} can express. Got "
            f"{X[row, column]:.3g} in row {start + row}, column {column}. Leave out such cells, "
            "which may stand for missing ones, or set dtype='float64'."
        )
    return standardised


@torch.no_grad()
def encode_table(module, X, standardization: Standardization) -> np.ndarray:
    """Return the codes of the rows of X, of shape (n_samples, n_components)."""
    chunks = standardised_chunks(X, standardization, device_of(module))
    return _collect(X.shape[0], ((rows, module.encode(s).cpu().numpy()) for rows, s in chunks))


@torch.no_grad()
def encode_deviations(module, X, standardization: Standardization) -> np.ndarray:
    """Return standard deviations of the codes of the rows of X, (n_samples, n_components)."""
    chunks = standardised_chunks(X, standardization, device_of(module))
    parts = ((rows, module.encode_deviation(s).cpu().numpy()) for rows, s in chunks)
    return _collect(X.shape[0], parts)


@torch.no_grad()
def bound_log_densities(module, X, standardization: Standardization, noise) -> np.ndarray:
    """Return importance-weighted lower bounds of the log-density of the rows of X.

    Parameters
    ----------
    module : VariationalAutoencoder
        The network.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows, in their own unit.
    standardization : Standardization
        Centring and scaling of the network's rows.
    noise : ndarray of shape (n_draws, n_components)
        Standard normal draws, the same for all rows, so that a row's bound is its own.

    Returns
    -------
    bounds : ndarray of shape (n_samples,)
        In nats and double precision; densities are those of standardised rows.
    """
    device = device_of(module)
    draws = torch.tensor(noise, dtype=standardization.dtype).to(device)
    # Outputs are for rows times draws; a few of both are decoded at a time.
    draw_slices = chunk_slices((len(draws), X.shape[1]), _CELLS_OF_DRAWS)
    n_draws = draw_slices[0].stop
    bounds = np.empty(X.shape[0])
    for rows in chunk_slices((X.shape[0], n_draws * X.shape[1])):
        inputs = _standardise(X[rows], rows.start, standardization).to(device)
        ratios = torch.cat(
            [module.find_log_ratios(inputs, draws[some]) for some in draw_slices], dim=1
        )
        bounds[rows] = (torch.logsumexp(ratios.double(), 1) - math.log(len(draws))).cpu()
    return bounds


@torch.no_grad()
def decode_table(module, codes: np.ndarray, standardization: Standardization) -> np.ndarray:
    """Return the reconstructions of codes, of shape (n_samples, n_features) in the unit of X."""
    device, n_features = device_of(module), len(standardization.mean)

    def decode(chunk):
        code = torch.from_numpy(chunk.copy()).to(device, standardization.dtype)
        return standardization.invert(module.decode(code))

    slices = chunk_slices((len(codes), n_features))
    return _collect(len(codes), ((rows, decode(codes[rows])) for rows in slices))


@torch.no_grad()
def cell_errors(module, X, standardization: Standardization) -> np.ndarray:
    """Return the squared error of every cell of X, in units of X squared and double precision."""
    chunks = standardised_chunks(X, standardization, device_of(module))
    unit = standardization.scale**2
    return _collect(
        X.shape[0],
        (
            (rows, (module.reconstruct(s) - s).cpu().double().square_().mul_(unit).numpy())
            for rows, s in chunks
        ),
    )


@torch.no_grad()
def row_errors_and_deviations(module, X, standardization: Standardization):
    """Return sums over the features of each row, in units of X squared.

    Parameters
    ----------
    module : Autoencoder
        The network.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows, in their own unit.
    standardization : Standardization
        Centring and scaling of the network's rows.

    Returns
    -------
    errors, deviations : ndarray of shape (n_samples,)
        Squared differences of the row from its reconstruction and from the training mean.
    """
    chunks = standardised_chunks(X, standardization, device_of(module))
    sums = _collect(X.shape[0], ((rows, _sum_rows(module, s)) for rows, s in chunks))
    return (sums * standardization.scale**2).T


def _sum_rows(module, rows: torch.Tensor) -> np.ndarray:
    """Return sums of squares, in double precision, over the cells of each row that are there.

    Those of the differences from the reconstruction come first, then those of the cells.
    """
    missing = rows.isnan()
    parts = [module.reconstruct(rows) - rows, rows]
    # Single precision has no squares of what lies far off.
    sums = [part.double().square_().masked_fill_(missing, 0).sum(1).cpu() for part in parts]
    return torch.stack(sums, 1).numpy()


def _collect(n_rows: int, parts) -> np.ndarray:
    """Put parts of a result into one array, made when the first part shows its shape and type."""
    parts = iter(parts)
    rows, part = next(parts)
    result = np.empty((n_rows, *part.shape[1:]), dtype=part.dtype)
    result[rows] = part
    for rows, part in parts:
        result[rows] = part
    return result
