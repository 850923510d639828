"""Units of the network: centring, scaling, and the range of outputs."""

from dataclasses import dataclass

import numpy as np
import torch

from skae._engine.tables.standardization import Standardization


@dataclass(frozen=True)
class Units:
    """Units and range of the rows of a network, which do not change in later fits."""

    standardization: Standardization
    bounds: tuple[np.ndarray, np.ndarray] | None
    """Range of the reconstructions in the units of X. None if they are not bounded."""

    def tensor(self, values) -> torch.Tensor:
        """Return values as a tensor with the data type of the network, on the CPU."""
        return torch.tensor(np.array(values, order="C"), dtype=self.standardization.dtype)

    def standardised(self, values: np.ndarray) -> torch.Tensor:
        """Convert a row in the units of X, of shape (n_features,), to those of the network."""
        mean, scale = self.standardization.mean, self.standardization.scale
        return self.tensor((values - mean) / scale)

    @property
    def mean(self) -> torch.Tensor:
        """Mean of X, of shape (n_features,), in the units of X."""
        return self.tensor(self.standardization.mean)

    @property
    def scale(self) -> torch.Tensor:
        """Divisor of centred rows, of shape ()."""
        return torch.tensor(self.standardization.scale, dtype=self.standardization.dtype)

    @property
    def limits(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Range of the reconstructions in the units of the network. None if not bounded."""
        if self.bounds is None:
            return None, None
        lower, upper = self.bounds
        return self.standardised(lower), self.standardised(upper)


def make_blank_units(n_features: int, dtype: torch.dtype, *, bounded: bool) -> Units:
    """Return placeholder units, for a network whose values are set later."""
    zeros = np.zeros(n_features)
    return Units(Standardization(zeros, 1.0, dtype), (zeros, zeros + 1) if bounded else None)
