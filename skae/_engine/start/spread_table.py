"""Statistics and principal components of a table spread over several processes."""

import numpy as np
import torch

from skae._engine.compute.ranks import Alone
from skae._engine.settings import NetworkSettings
from skae._engine.start.one_pass import OnePass
from skae._engine.start.principal_components import (
    PrincipalComponents,
    find_principal_components,
    find_triangle,
    from_covariance,
    from_triangle,
    is_cheap,
    is_narrow,
    loses_digits,
    sum_covariance,
)
from skae._engine.tables.columns import ColumnStatistics, count_equal, describe_columns
from skae._engine.tables.resident import ResidentTable


class SpreadTable:
    """Table of which each of several ranks processes some rows.

    X has the rows in this process. If it has only rows of this rank, `resident` makes the passes
    over it.
    """

    def __init__(self, X, ranks: Alone, resident: ResidentTable | OnePass | None = None):
        self.X, self.ranks, self.resident = X, ranks, resident
        self.own = ranks.own(X.shape[0])
        self.shape = ranks.count(X.shape[0]), X.shape[1]

    def describe_columns(self, shares: np.ndarray) -> ColumnStatistics:
        """Return mean, variance and range of the columns of the rows of all ranks.

        The weights of the rows sum to 1 over all ranks.
        """
        ranks = self.ranks
        self.share = float(shares[self.own].sum())
        self.shares = shares[self.own] / (self.share or 1.0)
        if self.resident is None:
            self.part = part = describe_columns(self.X[self.own], self.shares)
        else:
            self.part = part = self.resident.describe_columns(self.shares)
        mean = ranks.add(self.share * part.mean)
        variance = ranks.add(self.share * (part.variance + (part.mean - mean) ** 2))
        lowest, highest = ranks.least(part.lowest), ranks.greatest(part.highest)
        return ColumnStatistics(
            mean,
            variance,
            lowest,
            highest,
            n_lowest=self._add_counts(part.n_lowest, part.lowest == lowest),
            n_highest=self._add_counts(part.n_highest, part.highest == highest),
        )

    def _add_counts(self, counts: np.ndarray | None, is_end: np.ndarray) -> np.ndarray | None:
        return None if counts is None else self.ranks.add(counts * is_end)

    def find_components(
        self, statistics: ColumnStatistics, shares: np.ndarray, settings: NetworkSettings
    ) -> PrincipalComponents:
        """Return the leading principal components. Call `describe_columns` first."""
        mean, n_components = statistics.mean, settings.n_components
        if not is_narrow(*self.shape):
            # All ranks have all rows.
            found = find_principal_components(
                self.X, statistics, shares, n_components, precision=settings.dtype
            )
        elif loses_digits(statistics.variance, np.min, np.float64):
            triangle = find_triangle(self.X[self.own], mean, shares[self.own])
            triangles = self.ranks.gather(torch.from_numpy(triangle))
            found = from_triangle(triangles.numpy(), n_components)
        else:
            found = from_covariance(self._add_covariances(statistics, settings), n_components)
        # Different processors may have rounded differently.
        return self.ranks.from_first(found)

    def _add_covariances(self, statistics: ColumnStatistics, settings) -> np.ndarray:
        """Combine the covariances of the ranks about their own means to that of all rows."""
        step = self.part.mean - statistics.mean
        if self.resident is None:
            is_exact = is_cheap(*self.shape)
            if loses_digits(statistics.variance, np.median, settings.dtype):
                is_exact = True
            precision = np.float64 if is_exact else settings.dtype
            own = sum_covariance(self.X[self.own], self.part.mean, self.shares, precision)
        else:
            own = self.resident.find_covariance(self.part.mean, self.shares)
        return self.ranks.add(self.share * (own + np.outer(step, step)))

    def count_cells(self, values: np.ndarray) -> np.ndarray:
        """Return the number of cells of each column that equal a given value."""
        return self.ranks.add(count_equal(self.X[self.own], values))


def describe_spread(
    X, shares: np.ndarray, settings: NetworkSettings, ranks: Alone, resident
) -> tuple[ColumnStatistics, PrincipalComponents]:
    """Return statistics and components of the rows of all ranks, as in `describe_table`."""
    table = SpreadTable(X, ranks, resident)
    statistics = table.describe_columns(shares)
    return statistics, table.find_components(statistics, shares, settings)
