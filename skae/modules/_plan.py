"""Requirements for the encoder and the decoder that an architecture makes."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StackPlan:
    """Requirements for the encoder and the decoder of an autoencoder.

    Attributes
    ----------
    sample_shape : tuple of int
        Shape of one sample, whose cells in C order are the features of a row.
    n_components : int
        Number of codes, the inputs of the decoder.
    n_encoder_outputs : int
        Number of outputs of the encoder: one per code, or two if it returns a mean and a variance
        for each code.
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Units of the hidden layers of the encoder. "auto" leaves them to the architecture.
    activation : str, default="silu"
        Name of the activation function, one of `skae.modules.ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default=None
        Normalisation before each activation.
    dropout : float in [0, 1), default=0.0
        Share of the hidden units dropped in each training step.
    tied_weights : bool, default=False
        Whether the decoder must use the transposed weights of the encoder.
    masked : bool, default=False
        Whether cells may be missing. The encoder then has twice as many inputs: the features,
        followed by 1 for each missing cell and 0 for each observed cell.
    zero_last : bool, default=False
        Whether encoder and decoder must start as zero functions, as with a linear path.
    dtype : torch.dtype, default=torch.float32
        Data type of the parameters.
    generator : torch.Generator, default=None
        Generator of the weights. None is PyTorch's global generator.

    Examples
    --------
    >>> from skae.modules import StackPlan
    >>> StackPlan((1, 28, 28), n_components=16, n_encoder_outputs=16).n_features
    784
    """

    sample_shape: tuple[int, ...]
    n_components: int
    n_encoder_outputs: int
    hidden_layer_sizes: tuple[int, ...] | str = "auto"
    activation: str = "silu"
    normalization: str | None = None
    dropout: float = 0.0
    tied_weights: bool = False
    masked: bool = False
    zero_last: bool = False
    dtype: torch.dtype = torch.float32
    generator: torch.Generator | None = None

    @property
    def n_features(self) -> int:
        """Number of cells of a sample, which is the number of outputs of the decoder."""
        return math.prod(self.sample_shape)

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the encoder."""
        return self.n_features * (2 if self.masked else 1)
