"""Autoencoders whose codes keep the nearest neighbours of the rows."""

import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from skae._engine.families.family import Family, share_variance
from skae._engine.families.parts import make_loss, make_parts, start_linear_path_, start_parts_
from skae._engine.settings import AutomaticLoop
from skae._engine.start.noise import find_input_scale
from skae._engine.start.prepared_table import PreparedTable, prepare_table, share_weights
from skae._engine.start.principal_components import find_principal_components
from skae._engine.tables.rows import send
from skae.architectures import Dense
from skae.corruption import Corruption
from skae.modules import NeighborAutoencoder, turn_codes_
from skae.objectives import ColumnUnits, NeighborLoss, NeighborObjective
from skae.objectives._neighbors import find_kept, find_nearest, place_rows

# Linear maps that a network may start from. Of equally good ones, the first is used.
LINEAR_MAPS = ("pca", "svd", "half_whitened_pca")

# Most rows among which neighbours are searched, and most rows whose neighbours are searched.
_MAX_KNOWN_ROWS = 3000
_MAX_KNOWN_CELLS = 2**26
_MAX_JUDGING_ROWS = 2000
# Fewer held-out rows cannot tell which linear map is best.
_MIN_JUDGING_ROWS = 50
# With more codes than this, codes are scaled up, which makes steps smaller: small angles count.
_MANY_CODES = 32
_MANY_FEATURES = 256
_HIDDEN_LAYER_SIZES = (1024,)
_DROPOUT = 0.3


@dataclass(frozen=True)
class LinearMap:
    """Linear map from standardised rows to codes."""

    axes: Tensor
    """Matrix of shape (n_components, n_features)."""

    offset: Tensor
    """Code of the mean row, of shape (n_components,)."""

    def apply(self, rows: Tensor) -> Tensor:
        return rows @ self.axes.T + self.offset


@dataclass(frozen=True)
class NeighborTable(PreparedTable):
    """Table prepared for training, with the linear maps that the network may start from."""

    database: Tensor
    """Standardised training rows, or a sample of them."""

    maps: dict[str, LinearMap]
    """Linear maps by name."""

    kept: dict[str, float]
    """Share of the nearest neighbours that each map keeps, on held-out rows if there are enough."""

    @property
    def verdict(self) -> dict[str, float]:
        return self.kept

    def heed(self, verdict: Any) -> Self:
        return self if verdict is None else replace(self, kept=verdict)

    @property
    def best_map(self) -> LinearMap:
        """Map that keeps the most neighbours."""
        return self.maps[max(self.kept, key=lambda name: self.kept[name])]


@dataclass(frozen=True)
class Neighbors(Family):
    """Autoencoders whose codes keep the nearest neighbours of the rows, judged by how many.

    They start as the best of three linear maps: PCA, PCA with codes divided by the square roots of
    their standard deviations, and the singular value decomposition of the uncentred rows.
    """

    loss: NeighborLoss
    corruption: Corruption | None = None
    cross_validates = False
    fewest_rows = 20_000
    automatic = AutomaticLoop(n_batches=6, batch_sizes=(256, 1024), n_steps=600, n_epochs=(20, 200))

    @property
    def _spherical(self) -> bool:
        """Whether codes have unit length."""
        return self.loss.metric == "cosine"

    def prepare(self, X, weights, in_training, settings, device, units=None) -> NeighborTable:
        """Return a table with a sample of the training rows and the linear maps."""
        table = prepare_table(X, weights, in_training, settings, device, units)
        known = torch.from_numpy(np.flatnonzero(in_training))
        most = max(1, min(_MAX_KNOWN_ROWS, _MAX_KNOWN_CELLS // table.n_features))
        known = known[_sample(len(known), most)]
        database = send(table.rows.take(known), device)
        _, shares = share_weights(weights, in_training)
        maps = self._list_maps(X, shares, table, settings.dtype)
        judging = torch.from_numpy(np.flatnonzero(~in_training))
        judging = judging[_sample(len(judging), _MAX_JUDGING_ROWS)]
        rows = send(table.rows.take(judging), device)
        kept = self._judge(maps, rows, database, table)
        return NeighborTable(**vars(table), database=database, maps=maps, kept=kept)

    def _list_maps(self, X, shares, table: PreparedTable, dtype: str) -> dict[str, LinearMap]:
        units, components = table.units, table.principal_components
        mean, scale = table.standardization.mean.astype(np.float64), table.standardization.scale
        # For uncentred rows, mean squares replace variances.
        statistics = replace(
            table.statistics,
            mean=np.zeros_like(mean),
            variance=table.statistics.variance + table.statistics.mean**2,
        )
        uncentred = find_principal_components(
            X, statistics, shares, table.n_components, precision=np.dtype(dtype)
        ).components
        deviations = np.sqrt(components.explained_variance).clip(np.finfo(float).tiny)
        halves = components.components / np.sqrt(deviations)[:, None]
        zero = np.zeros(len(components.components))
        pairs = [
            (components.components, zero),
            (uncentred, uncentred @ mean / scale if self._spherical else uncentred[:, 0] * 0),
            (halves, zero),
        ]
        maps = (LinearMap(units.tensor(axes), units.tensor(offset)) for axes, offset in pairs)
        return dict(zip(LINEAR_MAPS, maps, strict=True))

    def _judge(self, maps, rows: Tensor, database: Tensor, table) -> dict[str, float]:
        """Return the share of the nearest neighbours of held-out rows that each map keeps."""
        itself = len(rows) < _MIN_JUDGING_ROWS
        if itself:
            rows = database[_sample(len(database), _MAX_JUDGING_ROWS)]
        n_neighbors = min(self.loss.n_neighbors + itself, len(database))
        units = ColumnUnits(table.units.mean, table.units.scale).to(database.device)
        own, known = (place_rows(part, self.loss.metric, units) for part in (rows, database))
        truth = find_nearest(own, known, n_neighbors)
        kept = {
            name: float(self._count_kept(own, rows, database, truth)) for name, own in maps.items()
        }
        # A row is its own nearest neighbour, and so is its code.
        share = 1 / n_neighbors if itself and n_neighbors > 1 else 0.0
        return {name: (value - share) / (1 - share) for name, value in kept.items()}

    def _count_kept(self, own: LinearMap, rows, database, truth) -> Tensor:
        own = LinearMap(own.axes.to(rows.device), own.offset.to(rows.device))
        codes, known = (self._bring_to_length(own.apply(part)) for part in (rows, database))
        return find_kept(truth, find_nearest(codes, known, truth.shape[1])).mean()

    def _bring_to_length(self, codes: Tensor) -> Tensor:
        return torch.nn.functional.normalize(codes, dim=1) if self._spherical else codes

    def plan(self, settings, table):
        """Return the structure of the network.

        Rows with many columns get one wide layer with dropout by default, as deeper networks
        overfit.
        """
        plan = super().plan(settings, table)
        is_default = isinstance(plan.architecture, Dense) and plan.hidden_layer_sizes == "auto"
        if not is_default or plan.n_features < _MANY_FEATURES:
            return plan
        dropout = plan.dropout or _DROPOUT
        return replace(plan, hidden_layer_sizes=_HIDDEN_LAYER_SIZES, dropout=dropout)

    def network_options(self) -> dict[str, Any]:
        return {**super().network_options(), "metric": self.loss.metric}

    def build(self, plan, generator) -> NeighborAutoencoder:
        return NeighborAutoencoder(
            **make_parts(plan, generator),
            code_scale=torch.ones(plan.n_components, dtype=plan.torch_dtype),
            spherical=self._spherical,
            linear_kept=torch.zeros(len(LINEAR_MAPS), dtype=torch.float64),
        )

    @torch.no_grad()
    def start_(self, module, table, components):
        """Initialise the network as the best linear map if it has a linear path."""
        input_scale = find_input_scale(table, self.corruption)
        start_parts_(module, table, components, input_scale, self.loss.link)
        module.linear_kept.copy_(torch.tensor([table.kept[name] for name in LINEAR_MAPS]))
        if module.linear_path is None:
            return
        best, database = table.best_map, table.database.cpu()
        codes = best.apply(database)
        size = codes.square().mean().sqrt().clamp_min(torch.finfo(codes.dtype).tiny)
        size = size / max(1.0, table.n_components / _MANY_CODES)
        codes = self._bring_to_length(codes)
        if self._spherical:
            module.code_scale.fill_(table.n_components**0.5)
        else:
            module.size.copy_(size)
            module.code_scale.fill_(1 / size)
        module.offset[: len(best.offset)] = best.offset / size
        scaled = codes * module.code_scale[: codes.shape[1]]
        back = torch.linalg.lstsq(scaled.double(), database.double(), driver="gelsd").solution
        start_linear_path_(module, best.axes / size, back.to(best.axes.dtype))

    def make_objective(self, table, generator) -> NeighborObjective:
        loss = make_loss(copy.deepcopy(self.loss), table.units, masked=False)
        return NeighborObjective(loss.to(table.device), table.database)

    def order_codes_(self, module, moments, table, *, whiten, rotate, find_rotation=None):
        """Rotate the codes so that they are uncorrelated and ordered. Distances do not change."""
        explained = turn_codes_(
            module.basis,
            *moments.of_codes,
            unit=None if self._spherical else table.standardization.scale,
        )
        return share_variance(explained, moments)

    def describe(self, module, dataset, held_out) -> dict[str, float]:
        return dict(zip(LINEAR_MAPS, module.linear_kept.tolist(), strict=True))


def _sample(n_rows: int, most: int) -> Tensor:
    """Return indices of at most `most` evenly spaced rows."""
    return torch.linspace(0, n_rows - 1, min(n_rows, most)).long()
