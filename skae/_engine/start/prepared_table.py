"""Table prepared for training: standardised rows, their statistics and their PCA."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch

from skae._engine.compute.ranks import ALONE, RANKS, Alone
from skae._engine.settings import NetworkSettings
from skae._engine.start.incomplete import MaskedPrincipalComponents, describe_incomplete
from skae._engine.start.one_pass import OnePass
from skae._engine.start.padding import describe_padded
from skae._engine.start.principal_components import PrincipalComponents, find_principal_components
from skae._engine.start.spread_table import SpreadTable, describe_spread
from skae._engine.tables.batches import WeightedRows
from skae._engine.tables.columns import ColumnStatistics, describe_columns, find_bounds
from skae._engine.tables.resident import ResidentTable, make_resident
from skae._engine.tables.rows import DenseRows, LazyRows, make_rows
from skae._engine.tables.standardization import Standardization, find_float_type
from skae._engine.tables.stored import StoredTable
from skae._engine.tables.units import Units

# The unit of the network is PCA's error, but at least this share of the standard deviation.
_LEAST_SHARE_OF_DEVIATION = 1e-3
# Squares of smaller deviations vanish in double precision.
_LEAST_SQUARED = 1e-150


@dataclass(frozen=True)
class Prepared:
    """Rows prepared for training, with their weights."""

    rows: DenseRows | LazyRows
    weights: torch.Tensor | None
    """Weights of the rows, 1 on average over the training rows."""

    n_components: int
    device: torch.device
    ranks: Alone = field(default=ALONE, kw_only=True)
    """Processes that train together, each with its own rows or a share of these rows."""

    masked = False
    """Whether cells may be missing."""

    bounded = False
    """Whether reconstructions are bounded."""

    verdict: ClassVar[Any] = None
    """Scores of possible starts of the network on held-out rows. None if there is no choice."""

    def heed(self, verdict: Any) -> Self:
        """Return the table with the verdict of another table."""
        return self

    @property
    def n_features(self) -> int:
        return self.rows.n_features

    def dataset(self, indices: torch.Tensor | None = None) -> WeightedRows:
        """Return rows at given indices with their weights, by default all rows."""
        return WeightedRows(self.rows, self.weights, indices, self.device, self.ranks)


@dataclass(frozen=True)
class PreparedTable(Prepared):
    """Table prepared for training, with the PCA from which its network starts."""

    statistics: ColumnStatistics
    units: Units
    principal_components: PrincipalComponents

    @property
    def standardization(self) -> Standardization:
        """Map from rows of X to rows of the network."""
        return self.units.standardization

    @property
    def masked(self) -> bool:  # type: ignore[override]
        return isinstance(self.principal_components, MaskedPrincipalComponents)

    @property
    def bounded(self) -> bool:  # type: ignore[override]
        return self.units.bounds is not None

    @property
    def pca_error(self) -> float:
        """Mean squared error per cell of PCA on the training rows, in standardised units."""
        variances = self.statistics.variance
        left = self.principal_components.find_unexplained(float(variances.sum()))
        return left / len(variances) / self.standardization.scale**2

    @property
    def deviations(self) -> torch.Tensor:
        """Standard deviations of the columns, of shape (n_features,), standardised."""
        return self.units.tensor(np.sqrt(self.statistics.variance) / self.standardization.scale)


def prepare_table(
    X, weights, in_training, settings: NetworkSettings, device, units: Units | None = None
) -> PreparedTable:
    """Prepare a table for training on a device.

    Statistics and PCA are computed from the training rows, given by a mask. `units` are those of a
    network whose training continues; None computes them as well.
    """
    weights, shares = share_weights(weights, in_training)
    resident = _choose_passes(X, settings, device)
    statistics, components = describe_table(X, shares, settings, resident)
    n_components = settings.n_components
    if isinstance(n_components, float):
        n_components = max(1, len(components.components))
    if units is None:
        standardization = _standardize(X, statistics, components, settings)
        bounds = _choose_bounds(X, statistics, settings.output_range, resident)
        units = Units(standardization, bounds)
    if resident is None:
        rows = make_rows(X, units.standardization).to(device)
    else:
        rows = resident.standardise(units.standardization)
    return PreparedTable(
        rows=rows,
        weights=weights,
        n_components=int(n_components),
        device=device,
        ranks=RANKS.get(),
        statistics=statistics,
        units=units,
        principal_components=components,
    )


def _choose_passes(X, settings, device) -> ResidentTable | OnePass | None:
    """Return the object that makes the passes over a table. None for ordinary arrays."""
    if settings.masked or settings.padded:
        return None
    if isinstance(X, StoredTable):
        return OnePass(X, settings.dtype)
    return make_resident(X, device)


def share_weights(weights, in_training) -> tuple[torch.Tensor | None, np.ndarray]:
    """Return weights with mean 1 over the training rows, and weights that sum to 1 over them.

    The former are None if no weights are given; the latter are 0 for held-out rows.
    """
    ranks = RANKS.get()
    own = ranks.own(len(in_training))
    if weights is not None:
        total = ranks.add(weights[own][in_training[own]].sum())
        weights = weights / (total / ranks.add(in_training[own].sum()))
    shares = in_training.astype(np.float64) if weights is None else weights * in_training
    shares /= ranks.add(shares[own].sum())
    return None if weights is None else torch.from_numpy(weights), shares


def describe_table(
    X,
    shares: np.ndarray,
    settings: NetworkSettings,
    resident: ResidentTable | OnePass | None = None,
) -> tuple[ColumnStatistics, PrincipalComponents]:
    """Return statistics of the columns of a table, and its principal components.

    The statistics have the distribution that fills missing cells if there may be any. `resident`
    makes the passes over a table on a GPU or in a file, in which no cells may be missing.
    """
    if settings.padded:
        return describe_padded(X, shares, settings.n_components, precision=settings.dtype)
    if settings.masked:
        return describe_incomplete(X, shares, settings.n_components, precision=settings.dtype)
    ranks = RANKS.get()
    # If ranks share all rows, the object that makes the passes has all of them.
    if ranks is not ALONE and not (ranks.shared and resident is not None):
        return describe_spread(X, shares, settings, ranks, resident)
    if resident is None:
        statistics = describe_columns(X, shares)
    else:
        statistics = resident.describe_columns(shares)
    components = find_principal_components(
        X,
        statistics,
        shares,
        settings.n_components,
        precision=settings.dtype,
        find_covariance=None if resident is None else resident.find_covariance,
    )
    return statistics, components


def _standardize(X, statistics, components, settings) -> Standardization:
    """Return the standardisation to units of PCA's error, in which residuals have unit size."""
    total = float(statistics.variance.sum())
    _check_magnitude(np.sqrt(total), statistics, settings.dtype)
    residual = components.find_unexplained(total)
    if isinstance(components, MaskedPrincipalComponents):
        residual = components.find_residual(total)
    unit = max(residual, total * _LEAST_SHARE_OF_DEVIATION**2) / len(statistics.mean)
    scale = float(np.sqrt(unit)) if unit > 0 else 1.0
    mean = statistics.mean.astype(find_float_type(X.dtype))
    return Standardization(mean, scale, settings.torch_dtype)


def _check_magnitude(deviation: float, statistics, dtype: str):
    """Raise ValueError if codes in the units of X would overflow or vanish."""
    limits = np.finfo(dtype)
    least = max(float(limits.tiny) * 1e9, _LEAST_SQUARED)
    most = min(float(limits.max) / 1e9, 1 / _LEAST_SQUARED)
    spread = float((statistics.highest - statistics.lowest).max())
    if spread < _LEAST_SQUARED:
        deviation = max(deviation, spread)
    if deviation != 0 and not least < deviation < most:
        raise ValueError(
            f"X must deviate from its mean by between {least:.0e} and {most:.0e}, the range that "
            f"codes in {dtype} can express. Got a standard deviation of {deviation:.3g} over all "
            "features together. Scale X, for instance with StandardScaler."
        )


def _choose_bounds(X, statistics, output_range, resident) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the range of the reconstructions in the units of X. None if there are no bounds."""
    if output_range is None:
        return None
    if output_range == "auto":
        if RANKS.get() is not ALONE:
            X = resident = SpreadTable(X, RANKS.get())
        count_cells = getattr(resident, "count_cells", None)
        lower, upper = find_bounds(X, statistics, count_cells)
    else:
        lower, upper = (np.full(X.shape[1], float(bound)) for bound in output_range)
    return (lower, upper) if np.isfinite([lower, upper]).any() else None
