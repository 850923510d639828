"""Objective of variational autoencoders: the negative evidence lower bound."""

import torch
from torch import Tensor

from skae.objectives._divergences import gaussian_divergence
from skae.objectives._draws import fresh_generator
from skae.objectives._objective import Objective
from skae.objectives._reconstruction import PreparedLoss, mean_loss


class NegativeELBO(Objective):
    """Negative evidence lower bound with a weight on the divergence, in nats per cell.

    In each training step, one code per row is drawn from the posterior. In validation, the same
    draws are used in each epoch, so that epochs can be compared, and `beta` has its full value.

    Parameters
    ----------
    beta : float, default=1.0
        Factor of the divergence of the posterior from the prior, at least 0.
    warm_up : float in [0, 1], default=0.0
        Share of the training during which `beta` rises linearly from 0.
    generator : torch.Generator, default=None
        Generator of the draws in training.
    error : PreparedLoss, default=None
        Loss by which models are compared with their start. None means the squared error.

    References
    ----------
    Higgins, I. et al. (2017). beta-VAE: learning basic visual concepts with a constrained
    variational framework. ICLR. https://openreview.net/forum?id=Sy2fzU9gl

    Sønderby, C. K. et al. (2016). Ladder variational autoencoders, with warm-up of the divergence.
    https://doi.org/10.48550/arXiv.1602.02282

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, DenseStack, VariationalAutoencoder
    >>> from skae.objectives import GaussianLikelihood, NegativeELBO, SquaredError
    >>> stacks = DenseStack([4, 4], zero_last=True), DenseStack([2, 4], zero_last=True)
    >>> likelihood = GaussianLikelihood(SquaredError().prepare())
    >>> model = VariationalAutoencoder(
    ...     *stacks, CodeBasis(2), torch.ones(4), torch.zeros(2), likelihood
    ... )
    >>> losses, _ = NegativeELBO().judge(model, torch.zeros(3, 4), torch.zeros(3, 4))
    >>> losses
    tensor([0.9189, 0.9189, 0.9189], grad_fn=<DivBackward0>)
    """

    rotates = False

    def __init__(
        self,
        beta: float = 1.0,
        *,
        warm_up: float = 0.0,
        generator: torch.Generator | None = None,
        error: PreparedLoss | None = None,
    ) -> None:
        super().__init__()
        self.beta, self.warm_up, self.generator = beta, warm_up, generator
        self.present_beta, self._error = beta, error

    @property
    def error(self) -> PreparedLoss | None:  # type: ignore[override]
        return self._error

    def set_progress(self, share: float):
        """Update `present_beta`, the current factor of the divergence in training."""
        is_warm = share >= self.warm_up
        self.present_beta = self.beta if is_warm else self.beta * share / self.warm_up

    def forward(
        self, module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and the output for the drawn codes; `inputs` equal `rows`."""
        generator = fresh_generator() if self.generator is None else self.generator
        losses, output, _ = self._bound(module, rows, self.present_beta, generator)
        return mean_loss(losses, weights), output

    def judge(self, module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row, and the output for the mean of the posterior."""
        losses, _, mean = self._bound(module, rows, self.beta, fresh_generator())
        return losses, module.decode_raw(mean)

    def _bound(self, module, rows: Tensor, beta: float, generator: torch.Generator):
        """Return losses of rows, the output for drawn codes, and the mean of the codes."""
        rows = module.likelihood.observe(rows, generator)
        mean, log_variance = module.find_posterior(rows)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device="cpu")
        output = module.decode_raw(mean + torch.exp(log_variance / 2) * noise.to(mean.device))
        divergence = gaussian_divergence(mean, log_variance).sum(-1)
        losses = beta * divergence - module.likelihood.log_density(output, rows)
        return losses / rows.shape[-1], output, mean
