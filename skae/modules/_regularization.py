"""Normalisation and dropout between the layers of a stack."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that accepts batches of one row in training.

    One row has no variance, and torch's layer raises an error. Here, the row is normalised by the
    running mean and variance, which do not change.

    Parameters
    ----------
    n_units : int
        Number of features.
    dtype : torch.dtype, default=torch.float32
        Type of the parameters and of the running statistics.

    References
    ----------
    Ioffe, S., Szegedy, C. (2015). Batch normalization: accelerating deep network training by
    reducing internal covariate shift. Proceedings of the 32nd International Conference on Machine
    Learning, 448-456. https://doi.org/10.48550/arXiv.1502.03167
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n_units: int, *, dtype=torch.float32) -> None:
        super().__init__(n_units, dtype=dtype, device="cpu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise each feature by the batch in training, and by running statistics otherwise."""
        if not self.training or len(inputs) > 1:
            return super().forward(inputs)
        return F.batch_norm(
            inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class Dropout(nn.Module):
    """Dropout with its own generator instead of torch's global one.

    Copies and pickles include the state of the generator, and continue with the same draws.

    Parameters
    ----------
    share : float in [0, 1)
        Probability that an entry is dropped in training. The others are scaled up to compensate.
    seed : int
        Seed of the generator.

    References
    ----------
    Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I., Salakhutdinov, R. (2014). Dropout: a
    simple way to prevent neural networks from overfitting. Journal of Machine Learning Research 15,
    1929-1958. https://jmlr.org/papers/v15/srivastava14a.html
    """

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.share = share
        self.generator = torch.Generator(device="cpu").manual_seed(seed)

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop entries in training, and none otherwise."""
        if not self.training:
            return inputs
        # On the CPU, so that draws do not depend on the device.
        draws = torch.rand(inputs.shape, generator=self.generator, device="cpu")
        kept = draws.ge_(self.share).to(inputs.device, inputs.dtype)
        return inputs * kept.div_(1 - self.share)

    def skip_to_(self, rank: int) -> None:
        """Make the draws of one of several processes distinct. Those of rank 0 do not change."""
        if rank > 0:
            self.generator.manual_seed(self.generator.initial_seed() + rank)

    def pack_draws(self) -> np.ndarray:
        """Return the state of the generator as bytes."""
        return self.generator.get_state().numpy()

    def unpack_draws_(self, draws: np.ndarray) -> None:
        """Load a state returned by `pack_draws`."""
        self.generator.set_state(torch.tensor(draws, device="cpu"))

    def __getstate__(self):
        # As bytes, because pickled generators and tensors differ between versions of torch.
        return {**self.__dict__, "generator": self.pack_draws().tobytes()}

    def __setstate__(self, state):
        super().__setstate__({**state, "generator": torch.Generator(device="cpu")})
        self.unpack_draws_(np.frombuffer(state["generator"], dtype=np.uint8))


def make_dropout(share: float, generator: torch.Generator | None) -> Dropout | None:
    """Return dropout with a seed drawn from a generator. None, without a draw, for a share of 0."""
    if share == 0:
        return None
    return Dropout(share, int(torch.randint(2**62, (), generator=generator, device="cpu")))
