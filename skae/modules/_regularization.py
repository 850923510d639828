"""Layers between those of a stack: normalisation and dropout."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a batch of one row as it is judged later.

    One row has no variance; torch's own raises an error. Here the running mean and variance stand
    in, and are left as they are.

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
        """Normalise each feature by the batch in training, by the running statistics later."""
        if not self.training or len(inputs) > 1:
            return super().forward(inputs)
        return F.batch_norm(
            inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class Dropout(nn.Module):
    """Dropout from a generator of its own, never from torch's global one.

    Copies and pickles hold where the generator stands, and go on with the same draws.

    Parameters
    ----------
    share : float in [0, 1)
        Probability of each entry to be dropped in training; the others grow to make up for it.
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
        """Drop entries in training, none later."""
        if not self.training:
            return inputs
        # On the CPU: the same draws whatever device trains.
        draws = torch.rand(inputs.shape, generator=self.generator, device="cpu")
        kept = draws.ge_(self.share).to(inputs.device, inputs.dtype)
        return inputs * kept.div_(1 - self.share)

    def skip_to_(self, rank: int) -> None:
        """Let one of several processes draw what the others do not; rank 0 draws as before."""
        if rank > 0:
            self.generator.manual_seed(self.generator.initial_seed() + rank)

    def pack_draws(self) -> np.ndarray:
        """Return where the generator stands, as bytes."""
        return self.generator.get_state().numpy()

    def unpack_draws_(self, draws: np.ndarray) -> None:
        """Let the generator go on from where another one stood."""
        self.generator.set_state(torch.tensor(draws, device="cpu"))

    def __getstate__(self):
        # Bytes, because pickled generators and tensors differ between versions of torch.
        return {**self.__dict__, "generator": self.pack_draws().tobytes()}

    def __setstate__(self, state):
        super().__setstate__({**state, "generator": torch.Generator(device="cpu")})
        self.unpack_draws_(np.frombuffer(state["generator"], dtype=np.uint8))
