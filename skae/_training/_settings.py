"""What the training needs to know of an estimator's parameters."""

from dataclasses import dataclass, field
from typing import Any

import torch

from skae.corruption import Corruption
from skae.objectives import Penalty, ReconstructionLoss, SquaredError

DTYPES = {"float32": torch.float32, "float64": torch.float64}

# Rows, codes and epochs for which no number was given; see `docs` for the study behind them.
_BATCHES_PER_EPOCH = 20
_BATCH_SIZES = (32, 256)
_STEPS = 2000
_EPOCHS = (20, 100)


@dataclass(frozen=True)
class TrainingSettings:
    """An estimator's parameters, under their names, as far as they bear on the training."""

    n_components: int | float
    architecture: Any
    """What makes the encoder and the decoder, by a `make_stacks` that takes a `StackPlan`."""

    hidden_layer_sizes: tuple[int, ...] | str
    activation: str
    normalization: str | None
    dropout: float
    init: str
    output_range: Any
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    max_iter: int | str
    weight_decay: float
    dtype: str
    mixed_precision: bool
    device: str
    net_params: dict | None
    verbose: bool | int
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 30
    tol: float = 1e-4
    missing: str | None = None
    loss: ReconstructionLoss = field(default_factory=SquaredError)
    penalty: Penalty | None = None
    alpha: float = 0.0
    """Factor of the penalty."""

    sparsity: Any = None
    """`Sparsity` whose module sets codes to zero, None where none does."""

    corruption: Corruption | None = None
    tied_weights: bool = False
    sample_shape: tuple[int, ...] | None = None
    """Shape of one row as the architecture sees it, None for one that sees rows."""

    whiten: bool = False
    latent: Any = None
    """What is known of the codes: the parameters of `Variational`, None where nothing is."""

    @property
    def aims_at_squared_error(self) -> bool:
        """Whether a network with a greater squared error than PCA's has failed by its own aim."""
        return self.loss.must_beat_pca and not self.shapes_codes and self.latent is None

    @property
    def shapes_codes(self) -> bool:
        """Whether something beside the reconstruction loss acts on the codes."""
        return self.penalty is not None or self.sparsity is not None

    @property
    def masked(self) -> bool:
        """Whether cells may be missing."""
        return self.missing == "mask"

    @property
    def pads(self) -> bool:
        """Whether missing cells are what lies beyond the end of a sequence."""
        return self.masked and getattr(self.architecture, "takes_padding", False)

    @property
    def torch_dtype(self) -> torch.dtype:
        """Precision of the network."""
        return DTYPES[self.dtype]

    def resolve_batch_size(self, n_samples: int) -> int:
        """Return the rows in a batch for so many rows."""
        if self.batch_size != "auto":
            return min(int(self.batch_size), n_samples)
        least, most = _BATCH_SIZES
        return max(least, min(most, n_samples // _BATCHES_PER_EPOCH))

    def resolve_max_iter(self, n_batches: int) -> int:
        """Return the number of epochs for so many batches in each."""
        if self.max_iter != "auto":
            return int(self.max_iter)
        least, most = _EPOCHS
        return max(least, min(most, _STEPS // n_batches))
