"""Normal distribution of rows with missing values, and of bootstrap samples of the rows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from skae._engine.compute.threads import one_thread
from skae._engine.start.incomplete import find_root, fit_normal
from skae._engine.tables.rows import chunk_slices
from skae.modules import GaussianFilling

# The weight of the identity, in rows, grows with the squared number of columns per row.
_PRIOR = 0.25
# Steps of expectation maximisation on all rows. A bootstrap takes few, fewer if they are slow, and
# is then extrapolated as a geometric series with this ratio.
_N_STEPS, _N_BOOTSTRAP_STEPS, _N_LONG_STEPS, _GREATEST_RATIO = 40, 8, 2, 0.9
_TOLERANCE = 1e-4
# Above this number of products, a matrix per pattern takes too long. The variance of missing values
# is then averaged over this number of draws per row, with one deviation per column.
_MOST_PRODUCTS = 3e7
_DRAWS_PER_ROW = 4
_CELLS_AT_ONCE = 2**22


@dataclass(frozen=True)
class RowDistribution:
    """A normal distribution of roughly standardised rows."""

    mean: torch.Tensor
    """Mean, of shape (n_columns,)."""

    covariance: torch.Tensor
    """Covariance, of shape (n_columns, n_columns)."""

    prior: float
    """Weight of the identity, to which the covariance is drawn before it is inverted."""

    @cached_property
    def root(self) -> torch.Tensor:
        """Cholesky root of the covariance."""
        return find_root(self.covariance, self.prior)

    @cached_property
    def precision(self) -> torch.Tensor:
        """Inverse of the covariance."""
        return torch.cholesky_inverse(self.root)

    def expect(self, rows: np.ndarray) -> np.ndarray:
        """Return rows in which missing values are replaced by their expectations."""
        return _fill_in_chunks(GaussianFilling(self.mean, self.precision), rows)

    def draw_residuals(self, missing: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return random deviations of missing values from their expectations; 0 elsewhere."""
        drawn = generator.standard_normal(missing.shape) @ self.root.numpy().T
        filling = GaussianFilling(torch.zeros_like(self.mean), self.precision)
        return drawn - _fill_in_chunks(filling, np.where(missing, np.nan, drawn))

    def find_deviations(self, missing: np.ndarray) -> np.ndarray:
        """Return conditional standard deviations of missing values, given the rest of their row.

        The results for observed values have no meaning.
        """
        patterns, place = np.unique(missing, axis=0, return_inverse=True)
        if _is_much(patterns):
            return self._average_deviations(missing)
        inverses = _invert_patterns(self.precision, torch.from_numpy(patterns))
        deviations = torch.cat([own.diagonal(dim1=1, dim2=2).sqrt() for own in inverses])
        return deviations.numpy()[place.ravel()]

    def _average_deviations(self, missing: np.ndarray) -> np.ndarray:
        residuals = self.draw_residuals(missing, np.random.default_rng(0))
        squares = np.square(residuals).sum(axis=0) / np.maximum(missing.sum(axis=0), 1)
        squares = np.maximum(squares, 1 / self.precision.diagonal().numpy())
        return np.broadcast_to(np.sqrt(squares), missing.shape)

    def move(self, other: "RowDistribution", share: float) -> "RowDistribution":
        """Return a distribution on the line to another one, beyond it for shares above 1."""
        mean = torch.lerp(self.mean, other.mean, share)
        return RowDistribution(
            mean, torch.lerp(self.covariance, other.covariance, share), self.prior
        )

    def is_proper(self) -> bool:
        """Whether the covariance has a Cholesky root."""
        return bool(torch.linalg.cholesky_ex(self.covariance).info == 0)

    def find_distance(self, other: "RowDistribution") -> float:
        """Return the norm of the difference between two covariances."""
        return float(torch.linalg.norm(self.covariance - other.covariance))


class IncompleteRows:
    """Training rows, to which distributions are fitted by bootstrap.

    They are roughly standardised, with NaN for missing values.
    """

    def __init__(self, rows: np.ndarray):
        patterns, place = np.unique(np.isnan(rows), axis=0, return_inverse=True)
        self.is_much = _is_much(patterns)
        self.rows, self.place = torch.from_numpy(rows), torch.from_numpy(place.ravel())
        self.patterns = torch.from_numpy(patterns)

    def fit(self) -> RowDistribution:
        """Return the distribution of the rows, shrunk towards the identity if rows are few."""
        n_rows, n_columns = self.rows.shape
        identity = torch.eye(n_columns, dtype=self.rows.dtype)
        prior = _PRIOR * (n_columns / n_rows) ** 2
        start = RowDistribution(identity.new_zeros(n_columns), identity, prior)
        return self._improve(start, np.full(n_rows, 1 / n_rows), _N_STEPS, 0, _TOLERANCE)

    def draw(
        self, origin: RowDistribution, n_all: int, generator: np.random.Generator
    ) -> RowDistribution:
        """Return the distribution of a bootstrap sample of the rows.

        If only some of `n_all` rows are available, bootstrap samples of them vary more, and the
        difference from the distribution of all rows is reduced accordingly.
        """
        n_rows = len(self.rows)
        shares = generator.multinomial(n_rows, np.full(n_rows, 1 / n_rows)) / n_rows
        seed = int(generator.integers(2**31))
        n_steps = _N_LONG_STEPS if self.is_much else _N_BOOTSTRAP_STEPS
        first = self._improve(origin, shares, n_steps, seed)
        second = self._improve(first, shares, 1, seed)
        third = self._improve(second, shares, 1, seed)
        ratio = third.find_distance(second) / max(second.find_distance(first), 1e-300)
        ratio = min(ratio, _GREATEST_RATIO)
        last = second.move(third, 1 / (1 - ratio))
        last = last if last.is_proper() else third
        return origin.move(last, min(1.0, float(np.sqrt(n_rows / n_all))))

    def _improve(
        self, start: RowDistribution, shares, n_steps: int, seed: int, tolerance: float = 0.0
    ) -> RowDistribution:
        """Apply steps of expectation maximisation to weighted rows."""
        weights = torch.from_numpy(shares)
        if not self.is_much:
            return self._take_exact_steps(start, weights, n_steps, tolerance)
        there = weights > 0
        moments = fit_normal(
            self.rows[there],
            weights[there],
            start.prior,
            (start.mean, start.covariance),
            n_steps=n_steps,
            tolerance=tolerance,
            n_draws=_DRAWS_PER_ROW * len(weights),
            seed=seed,
        )
        return RowDistribution(*moments, start.prior)

    @one_thread()
    def _take_exact_steps(self, start, weights, n_steps: int, tolerance: float):
        for _ in range(n_steps):
            last, start = start, self._take_exact_step(start, weights)
            if start.find_distance(last) < tolerance * float(torch.linalg.norm(last.covariance)):
                break
        return start

    def _take_exact_step(self, start: RowDistribution, weights) -> RowDistribution:
        """Apply a step with the exact covariance of the missing values of each pattern."""
        centred = (self.rows - start.mean).nan_to_num(0.0)
        of_patterns = weights.new_zeros(len(self.patterns)).index_add_(0, self.place, weights)
        spread = torch.zeros_like(start.covariance)
        change = torch.zeros_like(centred)
        pulled = -(centred @ start.precision)
        first = 0
        for inverses in _invert_patterns(start.precision, self.patterns):
            last = first + len(inverses)
            missing = self.patterns[first:last].to(inverses.dtype)
            inverses = inverses * missing[:, :, None] * missing[:, None, :]
            spread += torch.einsum("p,pij->ij", of_patterns[first:last], inverses)
            own = torch.nonzero((self.place >= first) & (self.place < last)).ravel()
            local = inverses[self.place[own] - first]
            change[own] = torch.bmm(local, pulled[own][:, :, None])[:, :, 0]
            first = last
        filled = centred + change
        shift = weights @ filled
        filled = filled - shift
        covariance = filled.T @ (filled * weights[:, None]) + spread
        return RowDistribution(start.mean + shift, covariance, start.prior)


def _is_much(patterns: np.ndarray) -> bool:
    return len(patterns) * float(patterns.shape[1]) ** 3 > _MOST_PRODUCTS


def _invert_patterns(precision: torch.Tensor, patterns: torch.Tensor):
    """Yield conditional covariances of missing values, for a few patterns at a time.

    Observed values have the rows and columns of the identity.
    """
    n_columns = patterns.shape[1]
    identity = torch.eye(n_columns, dtype=precision.dtype)
    for some in patterns.split(max(1, _CELLS_AT_ONCE // n_columns**2)):
        both = some[:, :, None] & some[:, None, :]
        yield torch.cholesky_inverse(torch.linalg.cholesky(torch.where(both, precision, identity)))


def _fill_in_chunks(filling: GaussianFilling, rows: np.ndarray) -> np.ndarray:
    filled = np.empty(rows.shape)
    for some in chunk_slices(rows.shape):
        filled[some] = filling(torch.from_numpy(rows[some])).numpy()
    return filled
