"""Centring and scaling, in the precision of X."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Standardization:
    """Map of rows to the units of the network and back.

    One scale serves all features, so the squared error in both units differs by a factor alone.
    """

    mean: np.ndarray
    """Mean of each feature, of shape (n_features,), in the precision of X."""

    scale: float
    """Divisor of centred rows, the root of PCA's error; 1 where nothing varies."""

    dtype: torch.dtype
    """Precision of the network."""

    def apply(self, X: np.ndarray) -> torch.Tensor:
        """Return rows in the units of the network, on the CPU.

        The difference is taken in the precision of the mean before it is rounded. Rows are
        contiguous, whatever the order of X in memory: data frames hold columns.
        """
        with np.errstate(over="ignore"):
            centred = np.subtract(X, self.mean, dtype=np.result_type(X, self.mean), order="C")
            centred /= centred.dtype.type(self.scale)
        return torch.from_numpy(centred).to(self.dtype)

    def invert(self, standardised: torch.Tensor) -> np.ndarray:
        """Return rows in the units and the precision of X."""
        rows = standardised.cpu().numpy().astype(self.mean.dtype)
        rows *= self.mean.dtype.type(self.scale)
        rows += self.mean
        return rows


def find_float_type(dtype: np.dtype) -> np.dtype:
    """Return single precision where that holds every number of a type, else double precision."""
    fits = dtype.kind in "biuf" and np.can_cast(dtype, np.float32)
    return np.dtype(np.float32 if fits else np.float64)
