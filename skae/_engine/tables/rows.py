"""Rows of X as standardised tensors, all at once if they fit in memory, else in batches."""

import numpy as np
import torch
from scipy import sparse

from skae._engine.tables.standardization import Standardization
from skae._engine.tables.stored import StoredTable


class DenseRows:
    """Standardised rows in memory.

    `n_cells` is the number of cells that a network needs per row, by which batches are kept small.
    None means the number of columns.
    """

    def __init__(self, tensor: torch.Tensor, n_cells: int | None = None):
        self.tensor = tensor
        self.n_features = tensor.shape[1]
        self.n_cells = self.n_features if n_cells is None else n_cells

    def __len__(self) -> int:
        return len(self.tensor)

    def take(self, indices: torch.Tensor) -> torch.Tensor:
        """Return the rows at `indices`, in their order."""
        return self.tensor.index_select(0, send(indices, self.tensor.device))

    def draw_order(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a random permutation of the positions in `indices`."""
        return torch.randperm(len(indices), generator=generator)

    def to(self, device: torch.device) -> "DenseRows":
        """Return the rows on a device if they fit into half of its free memory."""
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.tensor.nbytes > free / 2:
                return self
        return DenseRows(self.tensor.to(device), self.n_cells)


class LazyRows:
    """Rows of a sparse matrix or a stored table, standardised on access."""

    def __init__(self, X, standardization: Standardization):
        self.X = X
        self.n_features = self.n_cells = X.shape[1]
        self.standardization = standardization

    def __len__(self) -> int:
        return self.X.shape[0]

    def take(self, indices: torch.Tensor) -> torch.Tensor:
        return self.standardization.apply(densify(self.X[indices.numpy()]))

    def draw_order(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a random permutation of the positions in `indices` that reads few blocks."""
        if isinstance(self.X, StoredTable):
            return self.X.draw_order(indices, generator)
        return torch.randperm(len(indices), generator=generator)

    def to(self, device: torch.device) -> "LazyRows":
        """Return the same object, as lazy rows are moved batch by batch."""
        return self


def make_rows(X, standardization: Standardization) -> DenseRows | LazyRows:
    """Return the rows of X, lazily if X is sparse or not in memory."""
    if sparse.issparse(X) or isinstance(X, StoredTable):
        return LazyRows(X, standardization)
    # In chunks, to avoid another copy of X.
    rows = torch.empty(X.shape, dtype=standardization.dtype)
    for some in chunk_slices(X.shape, cells=2**22):
        rows[some] = standardization.apply(X[some])
    return DenseRows(rows)


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device, without waiting for the transfer to a GPU."""
    if device.type == "cuda" and not tensor.is_cuda:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def densify(X) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


def chunk_slices(shape: tuple[int, int], cells: int = 2**18) -> list[slice]:
    """Return slices of rows with about `cells` cells each.

    With the default, intermediate results stay in the processor's cache, and their memory is
    reused. Larger blocks of memory would be returned to the system and mapped again.

    No slice is a single row unless there is only one, as matrix-vector products round differently.
    """
    n_rows, n_columns = shape
    size = max(2, cells // max(1, n_columns))
    starts = list(range(0, n_rows, size))
    if len(starts) > 1 and n_rows - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], n_rows], strict=True)]


def sample_evenly(n_samples: int, n_drawn: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Return indices of at most `n_drawn` rows, at even steps of the cumulative weights."""
    n_drawn = min(n_samples, n_drawn)
    ends = np.arange(1.0, n_samples + 1) if weights is None else np.cumsum(weights)
    places = (np.arange(n_drawn) + 0.5) / n_drawn * ends[-1]
    return np.searchsorted(ends, places).clip(max=n_samples - 1)


def draw_rows(n_samples: int, most: int) -> np.ndarray:
    """Return ascending indices of all rows, or of at most `most` drawn at random."""
    if n_samples <= most:
        return np.arange(n_samples)
    return np.sort(np.random.default_rng(0).choice(n_samples, most, replace=False))
