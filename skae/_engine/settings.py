"""Settings of the network and of the loop that trains it: objects and numbers, no names."""

from dataclasses import dataclass
from typing import Any

import torch

from skae.architectures._base import Architecture

# Weight decay of few rows, as a multiple of what is given.
_GREATEST_DECAY = 30.0

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class NetworkSettings:
    """The network that is asked for, as far as it does not depend on the table."""

    n_components: int | float
    """Number of codes, or the share of variance that PCA needs as many components for."""

    architecture: Architecture
    hidden_layer_sizes: tuple[int, ...] | str = "auto"
    activation: str = "silu"
    normalization: str | None = None
    dropout: float = 0.0
    tied_weights: bool = False
    linear_path: bool = True
    """Whether the network starts as PCA."""

    masked: bool = False
    """Whether cells may be missing."""

    output_range: str | tuple[float, float] | None = None
    """Range of the reconstructions in the unit of X; "auto" looks for one in the table."""

    sample_shape: tuple[int, ...] | None = None
    """Shape of one row as the architecture sees it, None for one that sees rows."""

    whiten: bool = False
    """Whether codes are shown with unit variance."""

    rotation: str = "pca"
    """Rotation of the codes after training, a key of `ROTATIONS`."""

    dtype: str = "float32"

    @property
    def padded(self) -> bool:
        """Whether missing cells lie beyond the end of a sequence."""
        return self.masked and getattr(self.architecture, "takes_padding", False)

    @property
    def torch_dtype(self) -> torch.dtype:
        """Precision of the network."""
        return DTYPES[self.dtype]


@dataclass(frozen=True)
class AutomaticLoop:
    """Values that "auto" stands for; see `docs` for the study behind the defaults."""

    n_batches: int = 20
    """Batches of an epoch to aim at."""

    batch_sizes: tuple[int, int] = (32, 256)
    """Least and greatest batch size."""

    n_steps: int = 2000
    """Steps to aim at."""

    n_epochs: tuple[int, int] = (20, 100)
    """Least and greatest number of epochs."""

    decay_rows: int = 0
    """Rows per column for which weight decay is as given; half of them have four times as much."""


@dataclass(frozen=True)
class LoopSettings:
    """The loop that trains a network."""

    batch_size: int | str
    learning_rate: str
    """Schedule of the learning rate, a key of `SCHEDULES`."""

    learning_rate_init: float
    max_iter: int | str
    weight_decay: float
    device: str
    mixed_precision: bool = False
    net_params: dict | None = None
    verbose: bool | int = False
    early_stopping: bool = False
    validation_fraction: Any = 0.1
    """Share of the rows to hold out, or a splitter that says which."""

    n_iter_no_change: int = 30
    tol: float = 1e-4

    def resolve_batch_size(self, n_samples: int, automatic: AutomaticLoop) -> int:
        """Return the batch size for `n_samples` rows."""
        if self.batch_size != "auto":
            return min(int(self.batch_size), n_samples)
        least, most = automatic.batch_sizes
        return max(least, min(most, n_samples // automatic.n_batches))

    def resolve_weight_decay(self, shape, automatic: AutomaticLoop) -> float:
        """Return the weight decay for a table of shape (n_samples, n_features)."""
        n_samples, n_features = shape
        factor = (automatic.decay_rows * n_features / max(1, n_samples)) ** 2
        return self.weight_decay * min(max(1.0, factor), _GREATEST_DECAY)

    def resolve_max_iter(self, n_batches: int, automatic: AutomaticLoop) -> int:
        """Return the number of epochs of `n_batches` batches each."""
        if self.max_iter != "auto":
            return int(self.max_iter)
        least, most = automatic.n_epochs
        return max(least, min(most, automatic.n_steps // n_batches))
