"""Tables of padded sequences: their columns and their PCA, in which padding counts for nothing."""

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
    """Variance of the observed cells that the PCA leaves, summed over the columns."""

    def find_unexplained(self, total: float) -> float:
        """Return what PCA leaves over of the cells that are there."""
        return self.residual

    def find_residual(self, total: float) -> float:
        """Return the same: missing cells are nothing to be learnt."""
        return self.residual


def describe_padded(
    X, shares: np.ndarray, n_components, *, precision="float64"
) -> tuple[ColumnStatistics, PaddedPrincipalComponents]:
    """Return statistics and principal components of sequences of different lengths.

    What would follow a sequence's end is nobody's guess, unlike a cell that got lost: missing cells
    are set to the mean of their column, so that they add nothing to a projection.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, with NaN where a cell is missing.
    shares : ndarray of shape (n_samples,)
        Weights of the rows, summing to 1.
    n_components : int or float in (0, 1)
        How many components, or the share of variance that they are to explain.
    precision : {"float32", "float64"}, default="float64"
        In which wide tables are described.

    Returns
    -------
    statistics : ColumnStatistics
        Mean, variance and range of the cells that are there.
    components : PaddedPrincipalComponents
        Principal components of the rows, their missing cells set to the mean.
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
        # No cell may be there in a fold whose only sequence is empty.
        residual=left / (float(there.mean()) or 1.0),
    )
