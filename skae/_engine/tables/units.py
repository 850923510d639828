"""Units of the network: centring and scaling in the precision of X, and the range of outputs."""

from dataclasses import dataclass

import numpy as np
import torch

from skae._engine.tables.standardization import Standardization


@dataclass(frozen=True)
class Units:
    """Units and range of the rows that a network sees, which do not change in later fits."""

    standardization: Standardization
    bounds: tuple[np.ndarray, np.ndarray] | None
    """Range of the reconstructions in the unit of X, None where there is none."""

    def tensor(self, values) -> torch.Tensor:
        """Return values in the precision of the network, on the CPU."""
        return torch.tensor(np.array(values, order="C"), dtype=self.standardization.dtype)

    def standardised(self, values: np.ndarray) -> torch.Tensor:
        """Return a row in the unit of X, of shape (n_features,), in the units of the network."""
        mean, scale = self.standardization.mean, self.standardization.scale
        return self.tensor((values - mean) / scale)

    @property
    def mean(self) -> torch.Tensor:
        """Mean of X, of shape (n_features,), in the unit of X."""
        return self.tensor(self.standardization.mean)

    @property
    def scale(self) -> torch.Tensor:
        """Divisor of centred rows, of shape ()."""
        return torch.tensor(self.standardization.scale, dtype=self.standardization.dtype)

    @property
    def limits(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Range of the reconstructions in the units of the network, None where there is none."""
        if self.bounds is None:
            return None, None
        lower, upper = self.bounds
        return self.standardised(lower), self.standardised(upper)


def make_blank_units(n_features: int, dtype: torch.dtype, *, bounded: bool) -> Units:
    """Return units of no table in particular, for a network whose numbers come later."""
    zeros = np.zeros(n_features)
    return Units(Standardization(zeros, 1.0, dtype), (zeros, zeros + 1) if bounded else None)
