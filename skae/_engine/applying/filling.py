"""Missing cells filled by a network's normal distribution, and by what it has learnt beyond."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from skae._engine.applying.rows import apply_to_rows, device_of
from skae._engine.judgement import is_clear_improvement
from skae._engine.tables.standardization import Standardization
from skae.corruption import Columns, Corruption

_N_DRAWS = 5


@dataclass(frozen=True)
class FillJudgement:
    """How well cells were filled that had been hidden; errors are in units of X squared."""

    share: float
    """Share of the network's correction that does best, 0 where none is clearly better."""

    linear_error: float
    """Mean squared error of what the distribution expects; NaN where no cell was hidden."""

    error: float
    """Errors with that share of the correction."""


@torch.no_grad()
def judge_fills(
    module, X, standardization: Standardization, corruption: Corruption, seed: int
) -> FillJudgement:
    """Hide cells of rows that the network has not seen, fill them, and compare.

    Parameters
    ----------
    module : Autoencoder
        A network with a filling.
    X : ndarray of shape (n_samples, n_features)
        Rows, in their own unit, with NaN where a cell is missing.
    standardization : Standardization
        Centring and scaling of the network's rows.
    corruption : Corruption
        Hides cells, a few times each row.
    seed : int
        Seed of the draws.

    Returns
    -------
    judgement : FillJudgement
        Best share of the correction, and the errors.
    """
    sums, n_hidden = _sum_errors(module, X, standardization, corruption, seed)
    return _judge_sums(sums, n_hidden, standardization.scale)


@torch.no_grad()
def measure_fills(
    module, X, standardization: Standardization, corruption: Corruption, seed: int, share: float
) -> tuple[float, float]:
    """Return the errors of cells that `judge_fills` hides.

    Parameters
    ----------
    module : Autoencoder
        A network with a filling.
    X : ndarray of shape (n_samples, n_features)
        Rows, in their own unit, with NaN where a cell is missing.
    standardization : Standardization
        Centring and scaling of the network's rows.
    corruption : Corruption
        Hides cells, a few times each row.
    seed : int
        Seed of the draws.
    share : float in [0, 1]
        How much of the network's correction counts.

    Returns
    -------
    linear_error : float
        Mean squared error of what the distribution expects; NaN where no cell was hidden.
    error : float
        Mean squared error with that share of the correction.
    """
    sums, n_hidden = _sum_errors(module, X, standardization, corruption, seed)
    before, product, square = sums.sum(1).tolist()
    unit = standardization.scale**2 / n_hidden if n_hidden else float("nan")
    return before * unit, (before - 2 * share * product + share**2 * square) * unit


def _sum_errors(module, X, standardization, corruption, seed) -> tuple[torch.Tensor, int]:
    """Return sums over hidden cells of each row, and the number of these cells.

    The sums are those of squared errors of the distribution, of their products with what the
    network changes, and of squared changes.
    """
    rows = standardization.apply(X)
    sums = torch.zeros(3, len(rows), dtype=torch.float64)
    n_hidden = 0
    for hidden, inputs in _hide(rows, standardization.scale, corruption, seed):
        linear, learned = (part.cpu() for part in fill_rows(module, inputs.to(device_of(module))))
        error, change = (part.masked_fill(~hidden, 0) for part in (rows - linear, learned - linear))
        parts = error.square(), error * change, change.square()
        sums += torch.stack([part.sum(1).double() for part in parts])
        n_hidden += int(hidden.sum())
    return sums, n_hidden


def _hide(rows: torch.Tensor, scale: float, corruption: Corruption, seed: int):
    """Yield a few times which cells are hidden, and the rows without them."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    nothing = torch.zeros(rows.shape[1], dtype=rows.dtype)
    columns = Columns(scale, nothing, nothing)
    for _ in range(_N_DRAWS):
        inputs = corruption(rows, columns, generator)
        yield inputs.isnan() & ~rows.isnan(), inputs


@torch.no_grad()
def judge_changes(
    X: np.ndarray,
    standardization: Standardization,
    corruption: Corruption,
    seed: int,
    fill: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> FillJudgement:
    """Hide cells of rows as `judge_fills` does, and judge changes of their fills.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in their own unit, with NaN where a cell is missing.
    standardization : Standardization
        Centring and scaling of the network's rows.
    corruption : Corruption
        Hides cells, a few times each row.
    seed : int
        Seed of the draws.
    fill : callable
        Returns fills of rows with missing cells, and changes of the fills.

    Returns
    -------
    judgement : FillJudgement
        Best share of the changes; the errors are those without the changes and with that share.
    """
    rows = standardization.apply(X)
    sums, n_hidden = torch.zeros(3, len(X), dtype=torch.float64), 0
    for hidden, _ in _hide(rows, standardization.scale, corruption, seed):
        filled, changes = fill(np.where(hidden.numpy(), np.nan, X))
        there = hidden.numpy()
        error, change = np.where(there, X - filled, 0), np.where(there, changes, 0)
        parts = np.square(error), error * change, np.square(change)
        sums += torch.from_numpy(np.stack([part.sum(axis=1) for part in parts]))
        n_hidden += int(there.sum())
    return _judge_sums(sums, n_hidden, 1.0)


def _judge_sums(sums: torch.Tensor, n_hidden: int, scale: float) -> FillJudgement:
    """Judge by sums over the hidden cells of each row of squared errors, products and changes."""
    if n_hidden == 0:
        return FillJudgement(0.0, float("nan"), float("nan"))
    before, product, square = sums
    share = float((product.sum() / square.sum().clamp_min(1e-300)).clamp(0, 1))
    after = before - 2 * share * product + share**2 * square
    if not is_clear_improvement(before, after):
        share, after = 0.0, before
    errors = (float(part.sum()) / n_hidden * scale**2 for part in (before, after))
    return FillJudgement(share, *errors)


def fill_rows(module, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the distribution and what the network makes of standardised rows."""
    return module.output(module.fill(rows)), module.reconstruct(rows)


@torch.no_grad()
def fill_table(module, X: np.ndarray, standardization: Standardization, share: float) -> np.ndarray:
    """Return a table without missing cells.

    Parameters
    ----------
    module : Autoencoder
        A network with a filling.
    X : ndarray of shape (n_samples, n_features)
        Rows, with NaN where a cell is missing.
    standardization : Standardization
        Centring and scaling of the network's rows.
    share : float in [0, 1]
        How much of the network's correction counts.

    Returns
    -------
    filled : ndarray of shape (n_samples, n_features)
        X, its observed cells as they are.
    """

    def fill(net, rows):
        linear, learned = fill_rows(net, rows)
        return torch.lerp(linear, learned, share)

    fills = torch.from_numpy(apply_to_rows(module, X, standardization, fill))
    return np.where(np.isnan(X), standardization.invert(fills), X)


@torch.no_grad()
def find_corrections(
    module, X: np.ndarray, standardization: Standardization, share: float
) -> np.ndarray:
    """Return what the network adds to the fills of the distribution.

    Parameters
    ----------
    module : Autoencoder
        A network with a filling.
    X : ndarray of shape (n_samples, n_features)
        Rows, in their own unit, with NaN where a cell is missing.
    standardization : Standardization
        Centring and scaling of the network's rows.
    share : float in [0, 1]
        How much of the network's correction counts.

    Returns
    -------
    corrections : ndarray of shape (n_samples, n_features)
        In the unit of X.
    """
    if share == 0:
        return np.zeros(X.shape)

    def correct(net, rows):
        linear, learned = fill_rows(net, rows)
        return learned - linear

    changes = apply_to_rows(module, X, standardization, correct)
    return changes.astype(np.float64) * (share * standardization.scale)
