"""Custom modules of users as encoders and decoders of rows."""

import contextlib
import math
import threading

import numpy as np
import torch
from torch import Tensor, nn

# Custom modules draw from torch's only global generator, so they take turns.
_GLOBAL_GENERATOR = threading.RLock()
# Number of seeds reserved for each rank. Each step takes one.
_SEEDS_OF_A_RANK = 1 << 32


@contextlib.contextmanager
def global_generator(seed: int, device: torch.device | None = None):
    """Context manager that seeds torch's global generator and restores it afterwards.

    Parameters
    ----------
    seed : int
        Seed of the generator.
    device : torch.device, default=None
        Device of the tensors. The generator of a CUDA device is also seeded.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import global_generator
    >>> before = torch.get_rng_state()
    >>> with global_generator(0):
    ...     weights = torch.rand(3)
    >>> bool((torch.get_rng_state() == before).all())
    True
    """
    on_cuda = device is not None and device.type == "cuda"
    with _GLOBAL_GENERATOR, torch.random.fork_rng([device] if on_cuda else []):
        # `torch.manual_seed` would also seed the generators of all other devices.
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            torch.cuda.manual_seed(seed)
        yield


class OwnModule(nn.Module):
    """Wrapper that applies any module to flat rows and returns flat rows.

    Parameters
    ----------
    module : Module
        Module that takes samples of shape `shape` and returns `n_outputs` values for each.
    shape : tuple of int
        Shape of a sample for the module.
    n_outputs : int
        Number of outputs per sample.
    zero : bool, default=False
        Whether to multiply outputs by a learned scale that starts at zero, so that any module
        starts as the zero function.
    seed : int, default=0
        Seed of the random numbers that the module draws in training, such as those of dropout.
    dtype : torch.dtype, default=torch.float32
        Type of the scale.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import OwnModule
    >>> encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    >>> OwnModule(encoder, (3, 4), 2, zero=True)(torch.ones(5, 12)).detach().abs().max()
    tensor(0.)
    """

    def __init__(
        self, module: nn.Module, shape, n_outputs: int, *, zero=False, seed=0, dtype=torch.float32
    ) -> None:
        super().__init__()
        self.module, self.shape, self.n_outputs, self.seed = module, tuple(shape), n_outputs, seed
        self.scale: nn.Parameter | None = None
        if zero:
            self.scale = nn.Parameter(torch.zeros((), dtype=dtype, device="cpu"))

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the module.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_inputs)
            Flat rows. Columns beyond those of a sample are ignored.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            Flat outputs.
        """
        # The features are followed by a mask of missing cells, which the module does not get.
        samples = inputs[:, : math.prod(self.shape)].reshape(len(inputs), *self.shape)
        if self.training:
            self.seed += 1
            with global_generator(self.seed, inputs.device):
                outputs = self.module(samples)
        else:
            outputs = self.module(samples)
        outputs = outputs.reshape(len(inputs), self.n_outputs)
        return outputs if self.scale is None else outputs * self.scale

    def skip_to_(self, rank: int) -> None:
        """Make the draws of one of several processes distinct. Those of rank 0 do not change."""
        self.seed += rank * _SEEDS_OF_A_RANK

    def pack_draws(self) -> np.ndarray:
        """Return the seed of the latest draws."""
        return np.array([self.seed])

    def unpack_draws_(self, draws: np.ndarray) -> None:
        """Continue with the draws after those of a seed."""
        (self.seed,) = map(int, draws)
