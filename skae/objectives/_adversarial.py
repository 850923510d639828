"""Losses of an autoencoder and its discriminator."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from skae.objectives._objective import Objective
from skae.objectives._reconstruction import PreparedLoss, mean_loss

# Function that draws n codes of k numbers: prior(n, k, generator).
Prior = Callable[[int, int, torch.Generator], Tensor]


class AdversarialObjective(Objective):
    """Reconstruction loss plus the adversarial loss of the encoder.

    The objective is the loss of the autoencoder; the training step also trains the discriminator,
    with the loss `discriminate`. The encoder uses the non-saturating loss ``-log D(z)``. If the
    discriminator cannot distinguish codes from draws, the encoder's loss and both cross-entropies
    of the discriminator are ``log 2``.

    Parameters
    ----------
    loss : PreparedLoss
        Loss of outputs and rows.
    prior : callable
        Function of the number of draws, the number of codes and a generator, which returns draws of
        shape (n_draws, n_components) on the CPU.
    generator : torch.Generator
        Generator of the draws.
    alpha : float, default=0.2
        Factor of the adversarial loss of the encoder, at least 0.

    References
    ----------
    Goodfellow, I. et al. (2014). Generative adversarial nets.
    https://doi.org/10.48550/arXiv.1406.2661

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import AdversarialObjective, SquaredError
    >>> draw = lambda n, k, generator: torch.randn(n, k, generator=generator)
    >>> objective = AdversarialObjective(SquaredError().prepare(), draw, torch.Generator())
    >>> objective.alpha
    0.2
    """

    rotates = False

    def __init__(
        self, loss: PreparedLoss, prior: Prior, generator: torch.Generator, *, alpha: float = 0.2
    ) -> None:
        super().__init__()
        self.loss, self.prior, self.alpha, self.generator = loss, prior, alpha, generator

    def discriminate(self, module, code: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the loss of the discriminator.

        Parameters
        ----------
        module : AdversarialAutoencoder
            The network.
        code : Tensor of shape (n_samples, n_components)
            Codes of rows in the basis of the network, detached from the graph.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows. None gives all rows equal weight.

        Returns
        -------
        loss : Tensor of shape ()
            Mean of the cross-entropies of codes and of the same number of draws.
        """
        n_draws, n_components = code.shape
        draws = self.prior(n_draws, n_components, self.generator).to(code)
        of_draws = F.softplus(-module.discriminate(draws)).mean()
        return (of_draws + mean_loss(F.softplus(module.discriminate(code)), weights)) / 2

    def forward(
        self, module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.of_code(module, module.encode_raw(inputs), rows, weights)

    def of_code(
        self, module, code: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and the output, as `forward`, given raw codes of the rows."""
        output = module.decode_raw(code)
        fooling = mean_loss(F.softplus(-module.discriminate(code)), weights)
        return self.loss(output, rows, weights) + self.alpha * fooling, output

    def judge(self, module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        code = module.encode_raw(inputs)
        output = module.decode_raw(code)
        fooling = F.softplus(-module.discriminate(code))
        return self.loss.rows(output, rows) + self.alpha * fooling, output
