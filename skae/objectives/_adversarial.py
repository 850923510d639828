"""What autoencoder and discriminator minimise, one against the other."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae.objectives._reconstruction import ReconstructionLoss

# Draws n codes of k numbers: prior(n, k, generator).
Prior = Callable[[int, int, torch.Generator], Tensor]


class AdversarialObjective(nn.Module):
    """A reconstruction loss, plus what it costs if codes are not taken for draws from the prior.

    It stands in the place of an `Objective`. The encoder's loss is the one that does not saturate,
    ``-log D(z)``; where codes cannot be told from draws both losses are at ``log 2``, the
    discriminator's for each kind.

    Parameters
    ----------
    loss : ReconstructionLoss
        Compares reconstructions with the rows.
    prior : callable
        Takes a number of draws, the number of codes and a generator, and returns a tensor of draws
        of shape (n_draws, n_components) on the CPU.
    generator : torch.Generator
        Source of the draws.
    alpha : float, default=0.2
        What the encoder's adversarial loss is multiplied with; at least 0.

    Attributes
    ----------
    progress : float, default=1.0
        As of an `Objective`; of no consequence here.

    References
    ----------
    Goodfellow, I. et al. (2014). Generative adversarial nets.
    https://doi.org/10.48550/arXiv.1406.2661

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import AdversarialObjective, SquaredError
    >>> draw = lambda n, k, generator: torch.randn(n, k, generator=generator)
    >>> objective = AdversarialObjective(SquaredError(), draw, torch.Generator())
    >>> objective.alpha
    0.2
    """

    rotates = False
    progress = 1.0

    def __init__(
        self,
        loss: ReconstructionLoss,
        prior: Prior,
        generator: torch.Generator,
        *,
        alpha: float = 0.2,
    ):
        super().__init__()
        self.loss, self.prior, self.alpha, self.generator = loss, prior, alpha, generator

    def discriminate(self, module, code: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the discriminator's loss.

        Parameters
        ----------
        module : AdversarialAutoencoder
            The network.
        code : Tensor of shape (n_samples, n_components)
            Raw codes of rows, without their history.
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
        return (of_draws + _mean(F.softplus(module.discriminate(code)), weights)) / 2

    def of_code(
        self, module, code: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the autoencoder's loss for raw codes of rows, and the output.

        Parameters
        ----------
        module : AdversarialAutoencoder
            The network.
        code : Tensor of shape (n_samples, n_components)
            Raw codes of the rows.
        rows : Tensor of shape (n_samples, n_features)
            What is to be reconstructed.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            Mean over the rows.
        output : Tensor of shape (n_samples, n_features)
            What the decoder made of the codes.
        """
        output = module.decode_raw(code)
        fooling = _mean(F.softplus(-module.discriminate(code)), weights)
        return self.loss(output, rows, weights) + self.alpha * fooling, output

    def judge(self, module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the autoencoder's loss of each row, and the output.

        Parameters
        ----------
        module : AdversarialAutoencoder
            The network.
        inputs, rows : Tensor of shape (n_samples, n_features)
            What the network sees and what it is to reconstruct.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Loss of each row.
        output : Tensor of shape (n_samples, n_features)
            What the network made of its inputs.
        """
        code = module.encode_raw(inputs)
        output = module.decode_raw(code)
        fooling = F.softplus(-module.discriminate(code))
        return self.loss.rows(output, rows) + self.alpha * fooling, output


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values * weights).mean()
