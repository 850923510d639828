"""Table in the memory of a GPU, for the passes over it before training."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skae._engine.tables.columns import ColumnStatistics
from skae._engine.tables.rows import DenseRows, chunk_slices
from skae._engine.tables.standardization import Standardization

# Smaller tables are processed faster on the CPU than they are sent to a GPU.
_LEAST_CELLS = 2**22
# Memory must also hold the standardised rows, which may be in double precision.
_LARGEST_SHARE_OF_MEMORY = 1 / 4
_CELLS_AT_ONCE = 2**24


class ResidentTable:
    """Table on a GPU, or any other device with double precision, which all sums have."""

    def __init__(self, X: np.ndarray, device: torch.device):
        # torch warns about read-only arrays.
        writable = np.require(X, requirements=["C", "W"])
        self.X = torch.from_numpy(writable).to(device)

    def describe_columns(self, shares: np.ndarray) -> ColumnStatistics:
        """Return mean, variance and range of the columns, for weights of the rows that sum to 1."""
        lowest, highest = self.X.aminmax(dim=0)
        # Summing about the first row keeps the digits of columns far from zero.
        first, mean = self.X[0].double(), self._zeros()
        for rows, own in self._chunks(shares):
            mean += own @ (rows - first)
        mean += first
        variance = self._zeros()
        for rows, own in self._chunks(shares):
            variance += own @ (rows - mean).square_()
        values = (mean, variance, lowest.double(), highest.double())
        return ColumnStatistics(*(own.cpu().numpy() for own in values))

    def find_covariance(self, mean: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Return the weighted covariance about a mean, of shape (n_features, n_features)."""
        centre = torch.from_numpy(mean).to(self.X.device)
        covariance = self._zeros(len(mean))
        for rows, own in self._chunks(shares):
            centred = rows.sub_(centre).mul_(own.sqrt()[:, None])
            covariance.addmm_(centred.T, centred)
        return covariance.cpu().numpy()

    def count_cells(self, values: np.ndarray) -> np.ndarray:
        """Return the number of cells of each column that equal a given value."""
        sought = torch.from_numpy(values).to(self.X)
        return (sought == self.X).sum(0).cpu().numpy()

    def standardise(self, standardization: Standardization) -> DenseRows:
        """Return the rows in the units of the network, as `Standardization.apply` does."""
        centred = self.X - torch.from_numpy(standardization.mean).to(self.X.device)
        # torch multiplies by the reciprocal of a Python number, which rounds twice.
        centred /= torch.tensor(standardization.scale, dtype=centred.dtype, device=centred.device)
        return DenseRows(centred.to(standardization.dtype))

    def _zeros(self, *shape: int) -> Tensor:
        size = *shape, self.X.shape[1]
        return torch.zeros(size, dtype=torch.float64, device=self.X.device)

    def _chunks(self, shares: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield copies of some rows and their shares, in double precision."""
        weights = torch.from_numpy(shares).to(self.X.device)
        n_rows, n_columns = self.X.shape
        for rows in chunk_slices((n_rows, n_columns), cells=_CELLS_AT_ONCE):
            yield self.X[rows].to(torch.float64, copy=True), weights[rows]


def make_resident(X, device: torch.device) -> ResidentTable | None:
    """Return a table on a GPU if it fits and is large enough to be worth it, else None."""
    if device.type != "cuda" or not isinstance(X, np.ndarray):
        return None
    if X.size < _LEAST_CELLS or X.dtype not in (np.float32, np.float64):
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return ResidentTable(X, device) if X.nbytes <= free * _LARGEST_SHARE_OF_MEMORY else None
