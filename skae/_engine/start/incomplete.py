"""Statistics and PCA of tables with missing cells, and the distribution that fills these."""

import contextlib
from dataclasses import dataclass

import numpy as np
import torch

from skae._engine.compute.threads import one_thread
from skae._engine.start.principal_components import (
    PrincipalComponents,
    find_principal_components,
    from_covariance,
)
from skae._engine.tables.columns import ColumnStatistics, check_squares, find_ends
from skae._engine.tables.rows import chunk_slices, draw_rows
from skae._engine.tables.standardization import Standardization, find_float_type
from skae.modules import GaussianFilling

# Wider tables are filled with the means of their columns, as a covariance would take too long.
_MAX_FEATURES = 2000
# Up to this width, computed in double precision, beyond it in the precision of the network.
_FEW_FEATURES = 256
# Tables with missing cells are sampled if they need more products of two cells than this.
_MOST_PRODUCTS = 2.5e9
_LEAST_ROWS = 1000
# About the number of draws, or at most of their products, over which the variance is averaged.
# With about as few products, several threads would mostly wait for each other.
_N_DRAWS = 4000
_MOST_DRAWN_PRODUCTS = 2e7
# Few steps, as the likelihood keeps rising for long after fills have begun to get worse.
_N_STEPS = 10
_TOLERANCE = 0.01
# The covariance is shrunk towards independent columns as if by this number of rows per column, and
# by at least this share of the rows, which keeps it invertible in single precision.
_PRIOR_ROWS_PER_COLUMN = 0.25
_LEAST_PRIOR_SHARE = 1e-4
# Products of two such factors must not overflow single precision.
_GREATEST_FACTOR = 1e15


@dataclass(frozen=True)
class NormalDistribution:
    """Normal distribution of rows, in the units of X."""

    mean: np.ndarray
    """Means of the columns, of shape (n_features,)."""

    deviation: np.ndarray
    """Divisors of the columns before `precision` applies, of shape (n_features,)."""

    precision: np.ndarray | None
    """Inverse covariance of the divided columns. None if only means are known."""

    @property
    def fill_variance(self) -> float:
        """Variance of a single missing cell about its fill, summed over the columns."""
        given_others = 1.0 if self.precision is None else 1 / np.diag(self.precision)
        return float(np.sum(self.deviation**2 * given_others))

    def make_filling(
        self, standardization: Standardization, input_scale: torch.Tensor
    ) -> GaussianFilling:
        """Return the module that fills missing cells of standardised and scaled rows.

        It has the data type of the network, and is on the CPU.
        """
        scale = input_scale.double().numpy()
        shift = (self.mean - standardization.mean) / standardization.scale
        mean = torch.from_numpy(shift * scale).to(input_scale)
        if self.precision is None:
            return GaussianFilling(mean)
        factors = standardization.scale / (self.deviation * scale)
        # If one cell is giant, the variance of other columns is zero in the network's precision.
        tiny = factors > _GREATEST_FACTOR
        factors[tiny] = 1.0
        precision = self.precision * np.outer(factors, factors)
        precision[tiny | tiny[:, None]] = 0.0
        precision[tiny, tiny] = 1.0
        return GaussianFilling(mean, torch.from_numpy(precision).to(input_scale))


@dataclass(frozen=True)
class MaskedPrincipalComponents(PrincipalComponents):
    """PCA of rows with missing cells, and the normal distribution on which it is based."""

    distribution: NormalDistribution

    def find_residual(self, total: float) -> float:
        """Return the part of a total variance that a network can learn, summed over the columns.

        This is the variance that PCA leaves or, if larger, that of missing cells about their fills.
        """
        return max(total - float(self.explained_variance.sum()), self.distribution.fill_variance)


def describe_incomplete(
    X, shares: np.ndarray, n_components, *, precision="float64"
) -> tuple[ColumnStatistics, MaskedPrincipalComponents]:
    """Return statistics and principal components of a table with missing cells.

    A normal distribution is fitted by expectation maximisation: missing cells count with their
    expectation given the observed cells, and with the variance about it. The variance is averaged
    over draws, which costs no more than a second fill. The exact variance would take an inverse
    matrix for each row. The range is that of the observed cells. Tables of more than
    `_MAX_FEATURES` columns are filled with means instead.

    `shares` are weights of the rows that sum to 1, `n_components` is a number or the share of
    variance to explain, and `precision` is used for wide tables. Memory maps are read in chunks.

    References
    ----------
    Little, R. J. A. and Rubin, D. B. (2002). Statistical analysis with missing data, chapter 11.
    https://doi.org/10.1002/9781119013563
    """
    observed = describe_observed_cells(X, shares)
    deviation = np.sqrt(observed.variance)
    deviation[deviation == 0] = 1.0
    if X.shape[1] > _MAX_FEATURES:
        filled = np.where(np.isnan(X), observed.mean.astype(find_float_type(X.dtype)), X)
        found = find_principal_components(
            filled, observed, shares, n_components, precision=precision
        )
        distribution = NormalDistribution(observed.mean, deviation, None)
        return observed, MaskedPrincipalComponents(**vars(found), distribution=distribution)
    narrow = X.shape[1] <= _FEW_FEATURES
    dtype = torch.float64 if narrow else getattr(torch, precision)
    mean, covariance, inverse = _fit_normal(
        *_scale_rows(X, shares, observed.mean, deviation, dtype)
    )
    mean = observed.mean + mean * deviation
    covariance *= np.outer(deviation, deviation)
    statistics = ColumnStatistics(
        mean, np.diag(covariance).copy(), observed.lowest, observed.highest
    )
    found = from_covariance(covariance, n_components)
    distribution = NormalDistribution(mean, deviation, inverse)
    return statistics, MaskedPrincipalComponents(**vars(found), distribution=distribution)


# `check_squares` raises an error if values overflow.
@np.errstate(over="ignore", invalid="ignore")
def describe_observed_cells(X, shares: np.ndarray) -> ColumnStatistics:
    """Return mean, variance and range of the observed cells of each column.

    All are zero for columns without observed cells.
    """
    slices = chunk_slices(X.shape)
    lowest, highest = map(np.nan_to_num, find_ends(X))
    # Subtracting a value of the column first keeps the digits of columns far from zero.
    origin = lowest.astype(np.float64)
    mass, total = _sum_cells(X, origin, shares, slices)[:2]
    mass = np.where(mass > 0, mass, 1)
    mean = origin + total / mass
    squares = _sum_cells(X, mean, shares, slices)[2]
    check_squares(squares, np.arange(len(squares)))
    return ColumnStatistics(mean, squares / mass, origin, highest.astype(np.float64))


def _sum_cells(X, origin, shares, slices) -> np.ndarray:
    """Return the weighted count of observed cells, and sums and sums of squares about an origin."""
    sums = np.zeros((3, X.shape[1]))
    for rows in slices:
        centred = np.subtract(X[rows], origin, dtype=np.float64)
        there = ~np.isnan(centred)
        centred[~there] = 0
        with np.errstate(over="ignore"):
            sums += [shares[rows] @ part for part in (there, centred, centred**2)]
    return sums


def _scale_rows(X, shares, mean, deviation, dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scaled rows and their weights, a sample of them for large incomplete tables."""
    rows = np.flatnonzero(shares)
    gaps = any(np.isnan(X[some]).any() for some in chunk_slices(X.shape))
    most = max(_LEAST_ROWS, int(_MOST_PRODUCTS / X.shape[1] ** 2))
    if gaps:
        rows = rows[draw_rows(len(rows), most)]
    scaled = torch.empty(len(rows), X.shape[1], dtype=dtype)
    for some in chunk_slices((len(rows), X.shape[1])):
        scaled[some] = torch.from_numpy((X[rows[some]] - mean) / deviation)
    return scaled, torch.from_numpy(shares[rows] / shares[rows].sum()).to(dtype)


def _fit_normal(
    rows: torch.Tensor, shares: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a normal distribution to rows with missing cells.

    Return its mean, its covariance, and the inverse of the covariance shrunk towards the identity.
    """
    prior = _PRIOR_ROWS_PER_COLUMN * rows.shape[1] / len(rows)
    mean, covariance = fit_normal(
        rows, shares, prior, n_steps=_N_STEPS, tolerance=_TOLERANCE, n_draws=_N_DRAWS
    )
    precision = torch.cholesky_inverse(find_root(covariance, prior))
    return mean.double().numpy(), covariance.double().numpy(), precision.double().numpy()


def fit_normal(
    rows: torch.Tensor,
    shares: torch.Tensor,
    prior: float,
    start: tuple[torch.Tensor, torch.Tensor] | None = None,
    *,
    n_steps: int,
    n_draws: int,
    tolerance: float = 0.0,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and covariance of a normal distribution, by expectation maximisation.

    `rows` are of about unit size, with NaN for missing cells, and `shares` their weights, which sum
    to 1. The identity counts for `prior * n_samples` rows, as in `find_root`. `start` is a mean and
    a covariance; None starts from rows filled with zeros. At most `n_steps` are made, none if no
    cell is missing; they end when the relative change of the covariance is below `tolerance`. The
    variance of missing cells is averaged over about `n_draws` draws.
    """
    gaps, gap_shares = _repeat_gaps(rows, shares, n_draws)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.empty(gaps.shape, dtype=rows.dtype).normal_(generator=generator)
    nothing = rows.new_zeros(rows.shape[1])
    mean, covariance = start or (nothing, _weigh(rows.nan_to_num(0.0), shares))
    n_products = max(len(rows), len(gaps)) * rows.shape[1] ** 2
    with one_thread() if n_products < 2 * _MOST_DRAWN_PRODUCTS else contextlib.nullcontext():
        for _ in range(n_steps if len(gaps) else 0):
            root = find_root(covariance, prior)
            precision = torch.cholesky_inverse(root)
            filled = GaussianFilling(mean, precision)(rows)
            drawn = draws @ root.T
            expected = GaussianFilling(nothing, precision)(drawn.masked_fill(gaps, torch.nan))
            mean, last = shares @ filled, covariance
            covariance = _weigh(filled - mean, shares) + _weigh(drawn - expected, gap_shares)
            if torch.linalg.norm(covariance - last) < tolerance * torch.linalg.norm(last):
                break
    return mean, covariance


def _repeat_gaps(
    rows: torch.Tensor, shares: torch.Tensor, n_draws: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masks of the missing cells, repeated to average over draws, and their weights."""
    missing = rows.isnan()
    incomplete = missing.any(1)
    most = min(n_draws, _MOST_DRAWN_PRODUCTS / rows.shape[1] ** 2)
    n_repeats = max(1, round(most / len(rows)))
    gaps = missing[incomplete].repeat(n_repeats, 1)
    return gaps, shares[incomplete].repeat(n_repeats) / n_repeats


def find_root(covariance: torch.Tensor, prior: float) -> torch.Tensor:
    """Return the Cholesky factor of a covariance shrunk towards the identity.

    The columns are of about unit size. `prior` is the weight of the identity, raised to a minimum
    that keeps the covariance invertible.
    """
    prior = max(prior, _LEAST_PRIOR_SHARE)
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    return torch.linalg.cholesky((covariance + prior * identity) / (1 + prior))


def _weigh(rows: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the outer products of the rows."""
    return rows.T @ (rows * shares[:, None])
