"""Statistics and PCA of padded sequences, in which padding has no weight."""

from dataclasses import dataclass

import numpy as np

from skae._engine.start.incomplete import (
    MaskedPrincipalComponents,
    NormalDistribution,
    describe_observed_cells,
)
from skae._engine.start.principal_components import find_principal_components
from skae._engine.tables.columns import ColumnStatistics
from skae._engine.tables.rows import chunk_slices
from skae._engine.tables.standardization import find_float_type


@dataclass(frozen=True)
class PaddedPrincipalComponents(MaskedPrincipalComponents):
    """PCA of padded sequences."""

    residual: float
    """Variance of the observed cells that PCA does not explain, summed over the columns."""

    def find_unexplained(self, total: float) -> float:
        return self.residual

    def find_residual(self, total: float) -> float:
        """Return `find_unexplained`, because padding need not be learned."""
        return self.residual


def describe_padded(
    X, shares: np.ndarray, n_components, *, precision
) -> tuple[ColumnStatistics, PaddedPrincipalComponents]:
    """Return statistics and principal components of sequences of different lengths.

    Unlike missing cells, cells after the end of a sequence have no true values to estimate. They
    are set to the mean of their column, so that they do not contribute to projections. The
    statistics are those of the observed cells. The parameters are those of `describe_incomplete`.
    """
    observed = describe_observed_cells(X, shares)
    parts = (shares[some] @ ~np.isnan(X[some]) for some in chunk_slices(X.shape))
    there = np.sum(list(parts), axis=0)
    variance = observed.variance * there
    filled = np.where(np.isnan(X), observed.mean.astype(find_float_type(X.dtype)), X)
    found = find_principal_components(
        filled,
        ColumnStatistics(observed.mean, variance, observed.lowest, observed.highest),
        shares,
        n_components,
        precision=precision,
    )
    deviation = np.where(observed.variance > 0, np.sqrt(observed.variance), 1.0)
    left = max(0.0, float(variance.sum() - found.explained_variance.sum()))
    return observed, PaddedPrincipalComponents(
        **vars(found),
        distribution=NormalDistribution(observed.mean, deviation, None),
        # A fold whose only sequence is empty has no observed cells.
        residual=left / (float(there.mean()) or 1.0),
    )
