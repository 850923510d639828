"""Missing values filled by a normal distribution and by the network's correction."""

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
    """Errors of filled values that had been hidden, in units of X squared."""

    share: float
    """Share of the network's correction that does best, 0 where none is clearly better."""

    linear_error: float
    """Mean squared error of the expected values; NaN if no value was hidden."""

    error: float
    """Errors with that share of the correction."""


@torch.no_grad()
def judge_fills(
    module, X, standardization: Standardization, corruption: Corruption, seed: int
) -> FillJudgement:
    """Hide values of held-out rows, fill them, and find the best share of the correction.

    X has original units, and NaN for missing values. The corruption hides values a few times in
    each row.
    """
    sums, n_hidden = _sum_errors(module, X, standardization, corruption, seed)
    return _judge_sums(sums, n_hidden, standardization.scale)


@torch.no_grad()
def measure_fills(
    module, X, standardization: Standardization, corruption: Corruption, seed: int, share: float
) -> tuple[float, float]:
    """Return the errors of the values that `judge_fills` hides, NaN if no value was hidden.

    The first is the mean squared error of the expected values, the second that with `share` of the
    network's correction.
    """
    sums, n_hidden = _sum_errors(module, X, standardization, corruption, seed)
    before, product, square = sums.sum(1).tolist()
    unit = standardization.scale**2 / n_hidden if n_hidden else float("nan")
    return before * unit, (before - 2 * share * product + share**2 * square) * unit


def _sum_errors(module, X, standardization, corruption, seed) -> tuple[torch.Tensor, int]:
    """Return sums over the hidden values of each row, and their number.

    The sums are those of the squared errors of the distribution, of the products of errors and
    corrections, and of the squared corrections.
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
    """Yield, a few times, a mask of hidden values and the rows without these values."""
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
    """Hide values as in `judge_fills`, and find the best weight of changes of their fills.

    `fill` maps rows with missing values to their fills and the changes of the fills. The judgement
    has the errors at weight 0 and at the best weight.
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
    """Find the best weight from the sums that `_sum_errors` returns."""
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
    """Return the fills of standardised rows by the distribution and by the network."""
    return module.output(module.fill(rows)), module.reconstruct(rows)


@torch.no_grad()
def fill_table(module, X: np.ndarray, standardization: Standardization, share: float) -> np.ndarray:
    """Return a table with its missing values filled, with `share` of the network's correction."""

    def fill(net, rows):
        linear, learned = fill_rows(net, rows)
        return torch.lerp(linear, learned, share)

    fills = torch.from_numpy(apply_to_rows(module, X, standardization, fill))
    return np.where(np.isnan(X), standardization.invert(fills), X)


@torch.no_grad()
def find_corrections(
    module, X: np.ndarray, standardization: Standardization, share: float
) -> np.ndarray:
    """Return `share` of the corrections to the fills of the distribution, in units of X."""
    if share == 0:
        return np.zeros(X.shape)

    def correct(net, rows):
        linear, learned = fill_rows(net, rows)
        return learned - linear

    changes = apply_to_rows(module, X, standardization, correct)
    return changes.astype(np.float64) * (share * standardization.scale)
