"""The losses of an autoencoder and a discriminator that work against each other."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from skae.objectives._objective import Objective
from skae.objectives._reconstruction import PreparedLoss, mean_loss

# Draws n codes of k numbers: prior(n, k, generator).
Prior = Callable[[int, int, torch.Generator], Tensor]


class AdversarialObjective(Objective):
    """A reconstruction loss, plus what it costs if codes are not taken for draws from the prior.

    As an objective it is the loss of the autoencoder; a training step also lets the discriminator
    learn, by `discriminate`. The encoder's loss is the one that does not saturate, ``-log D(z)``.
    Where codes cannot be told from draws both losses are at ``log 2``, the discriminator's for each
    kind.

    Parameters
    ----------
    loss : PreparedLoss
        Compares outputs with the rows.
    prior : callable
        Takes a number of draws, the number of codes and a generator, and returns a tensor of draws
        of shape (n_draws, n_components) on the CPU.
    generator : torch.Generator
        Source of the draws.
    alpha : float, default=0.2
        Factor of the encoder's adversarial loss; at least 0.

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
        self,
        loss: PreparedLoss,
        prior: Prior,
        generator: torch.Generator,
        *,
        alpha: float = 0.2,
    ) -> None:
        super().__init__()
        self.loss, self.prior, self.alpha, self.generator = loss, prior, alpha, generator

    def discriminate(self, module, code: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the discriminator's loss.

        Parameters
        ----------
        module : AdversarialAutoencoder
            The network.
        code : Tensor of shape (n_samples, n_components)
            Codes of rows in the network's own basis, without their history.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            Mean of the cross-entropies of codes and of as many draws.
        """
        n_draws, n_components = code.shape
        draws = self.prior(n_draws, n_components, self.generator).to(code)
        of_draws = F.softplus(-module.discriminate(draws)).mean()
        return (of_draws + mean_loss(F.softplus(module.discriminate(code)), weights)) / 2

    def forward(
        self, module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the autoencoder's loss for a batch, and the output."""
        return self.of_code(module, module.encode_raw(inputs), rows, weights)

    def of_code(
        self, module, code: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the autoencoder's loss for codes that are known already, and the output.

        Parameters
        ----------
        module : AdversarialAutoencoder
            The network.
        code : Tensor of shape (n_samples, n_components)
            Codes of the rows in the network's own basis.
        rows : Tensor of shape (n_samples, n_features)
            Standardised rows that the network is to reconstruct.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            Mean over the rows.
        output : Tensor of shape (n_samples, n_features)
            Output of the decoder.
        """
        output = module.decode_raw(code)
        fooling = mean_loss(F.softplus(-module.discriminate(code)), weights)
        return self.loss(output, rows, weights) + self.alpha * fooling, output

    def judge(self, module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the autoencoder's loss of each row, and the output."""
        code = module.encode_raw(inputs)
        output = module.decode_raw(code)
        fooling = F.softplus(-module.discriminate(code))
        return self.loss.rows(output, rows) + self.alpha * fooling, output
