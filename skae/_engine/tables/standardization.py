"""Centring and scaling, in the precision of X."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Standardization:
    """Map of rows to the units of the network and back.

    All features have the same scale, so squared errors in both units differ only by a factor.
    """

    mean: np.ndarray
    """Mean of each feature, of shape (n_features,), in the precision of X."""

    scale: float
    """Divisor of centred rows, the square root of PCA's error. 1 if nothing varies."""

    dtype: torch.dtype
    """Data type of the network."""

    def apply(self, X: np.ndarray) -> torch.Tensor:
        """Return rows in the units of the network, on the CPU.

        Rows are centred in the precision of the mean before they are rounded. The result is
        C-contiguous even if X is stored by columns, as data frames are.
        """
        plain = X.flags.c_contiguous and X.flags.writeable and self.mean.flags.writeable
        if plain and X.dtype == self.mean.dtype:
            # torch takes less time than NumPy, and refuses arrays that must not be written to.
            centred = torch.from_numpy(X) - torch.from_numpy(self.mean)
            return centred.div_(float(X.dtype.type(self.scale))).to(self.dtype)
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
    """Return single precision if it represents all numbers of a type, else double precision."""
    fits = dtype.kind in "biuf" and np.can_cast(dtype, np.float32)
    return np.dtype(np.float32 if fits else np.float64)
