"""Modules of the user's own, as encoder and decoder of rows."""

import contextlib
import math
import threading

import numpy as np
import torch
from torch import Tensor, nn

# Modules that others have written draw from torch's global generator, of which there is one.
_GLOBAL_GENERATOR = threading.RLock()
# Each step takes one.
_SEEDS_OF_A_RANK = 1 << 32


@contextlib.contextmanager
def global_generator(seed: int, device: torch.device | None = None):
    """Let torch's global generator begin with a seed, and put it back afterwards.

    Parameters
    ----------
    seed : int
        Where it begins.
    device : torch.device, default=None
        Where tensors are; the generator of a CUDA device is seeded as well.

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
        # `torch.manual_seed` would reach for the generators of all devices.
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            torch.cuda.manual_seed(seed)
        yield


class OwnModule(nn.Module):
    """A module of any kind between rows.

    Parameters
    ----------
    module : Module
        Takes samples of `shape`; returns as many numbers for each as `n_outputs` says.
    shape : tuple of int
        Shape of a sample as the module takes it.
    n_outputs : int
        Numbers that it returns for each.
    zero : bool, default=False
        Multiply outputs with a learned scale that starts at zero, so that the module starts as the
        zero function whatever it consists of.
    seed : int, default=0
        Seed of random numbers that the module draws in training, such as dropout's.
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
            Rows; columns beyond those of a sample are left out.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            Rows again.
        """
        # What stands after the features tells which are missing, of which the module is not told.
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
        """Let one of several processes draw what the others do not; rank 0 draws as before."""
        self.seed += rank * _SEEDS_OF_A_RANK

    def pack_draws(self) -> np.ndarray:
        """Return the seed of the latest draws."""
        return np.array([self.seed])

    def unpack_draws_(self, draws: np.ndarray) -> None:
        """Let draws go on after those of a seed."""
        (self.seed,) = map(int, draws)
