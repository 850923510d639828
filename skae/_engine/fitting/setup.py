"""Inputs of a training run."""

from dataclasses import dataclass, replace
from typing import Any

from skae._engine.families.family import Family
from skae._engine.families.plan import NetworkPlan
from skae._engine.settings import LoopSettings, NetworkSettings
from skae._engine.start.prepared_table import PreparedTable
from skae._engine.steps.optimizer import adamw_groups
from skae._engine.tables.standardization import Standardization
from skae._engine.tables.units import Units
from skae.modules import Autoencoder, LinearOutput


@dataclass(frozen=True)
class TrainingSetup:
    """Settings of the network and of the loop, and the table."""

    family: Family
    network: NetworkSettings
    loop: LoopSettings
    table: PreparedTable
    plan: NetworkPlan

    @property
    def must_beat_pca(self) -> bool:
        """Whether a squared error above PCA's means that training has failed."""
        return self.network.linear_path and self.family.aims_at_squared_error

    def list_adamw_groups(self, n_train: int) -> list[dict]:
        """Return AdamW's settings for training on a number of rows."""
        family, n_features = self.family, self.table.n_features
        decay = self.loop.resolve_weight_decay((n_train, n_features), family.automatic)
        return adamw_groups(
            replace(self.loop, weight_decay=decay),
            n_features,
            linear_path=self.network.linear_path,
            path_rate=family.linear_path_rate,
        )

    def heed(self, verdict) -> "TrainingSetup":
        """Return the setup with a table that takes over a verdict on an earlier one."""
        return replace(self, table=self.table.heed(verdict))


@dataclass(frozen=True)
class StartingPoint:
    """A network from which training continues."""

    module: Autoencoder
    plan: NetworkPlan
    standardization: Standardization
    n_fits: int
    """Number of fits of the network so far."""

    moments: Any
    """State of the optimiser. None if it is not known."""

    @property
    def units(self) -> Units:
        """Units and range of the network, which are fixed."""
        output = self.module.output
        if not isinstance(output, LinearOutput) or output.lower is None or output.upper is None:
            return Units(self.standardization, None)
        invert = self.standardization.invert
        return Units(self.standardization, (invert(output.lower), invert(output.upper)))
