"""Inputs of a training run."""

from dataclasses import dataclass, replace
from typing import Any

from skae._engine.families.family import Family
from skae._engine.families.plan import NetworkPlan
from skae._engine.settings import LoopSettings, NetworkSettings
from skae._engine.start.prepared_table import PreparedTable
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
