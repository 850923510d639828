"""Settings of the network and of the training loop."""

from dataclasses import dataclass
from typing import Any

import torch

from skae.architectures._base import Architecture

# Highest weight decay for few rows, as a multiple of the given one.
_GREATEST_DECAY = 30.0

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of the network that do not depend on the table."""

    n_components: int | float
    """Number of codes, or share of the variance that as many components of PCA explain."""

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
    """Range of the reconstructions in the units of X. "auto" infers it from the table."""

    sample_shape: tuple[int, ...] | None = None
    """Shape of one sample for the architecture. None for plain rows."""

    whiten: bool = False
    """Whether codes are scaled to unit variance."""

    rotation: str = "pca"
    """Rotation of the codes after training, a key of `ROTATIONS`."""

    dtype: str = "float32"

    @property
    def padded(self) -> bool:
        """Whether missing cells are padding after the end of sequences."""
        return self.masked and getattr(self.architecture, "takes_padding", False)

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]


@dataclass(frozen=True)
class AutomaticLoop:
    """Values used for "auto". See docs/defaults.md for the study behind them."""

    n_batches: int = 20
    """Target number of batches per epoch."""

    batch_sizes: tuple[int, int] = (32, 256)
    """Minimum and maximum of the batch size."""

    n_steps: int = 2000
    """Target number of steps."""

    n_epochs: tuple[int, int] = (20, 100)
    """Minimum and maximum of the number of epochs."""

    stopping_factor: float = 1.0
    """Factor of the number of steps and of the maximum of epochs with early stopping."""

    decay_rows: int = 0
    """Rows per column from which weight decay is as given. Half as many get four times that."""


@dataclass(frozen=True)
class LoopSettings:
    """Settings of the training loop."""

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
    """Share of held-out rows, or a splitter that selects them."""

    n_iter_no_change: int = 30
    tol: float = 1e-4

    def resolve_batch_size(self, n_samples: int, automatic: AutomaticLoop) -> int:
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
        factor = automatic.stopping_factor if self.early_stopping else 1.0
        return max(least, int(factor * min(most, automatic.n_steps / n_batches)))
