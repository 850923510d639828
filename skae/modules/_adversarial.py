"""Adversarial autoencoder: an autoencoder and a discriminator of its codes."""

from torch import Tensor, nn

from skae.modules._autoencoder import Autoencoder


class AdversarialAutoencoder(Autoencoder):
    """Autoencoder with a discriminator between its raw codes and draws from a prior.

    Parameters
    ----------
    *parts
        Positional arguments of `Autoencoder`.
    discriminator : Module
        Network from (n_samples, n_components) to (n_samples, 1), which returns the logit of the
        probability that a code is a draw from the prior.
    **params
        Keyword arguments of `Autoencoder`.

    References
    ----------
    Makhzani, A., Shlens, J., Jaitly, N., Goodfellow, I. and Frey, B. (2016). Adversarial
    autoencoders. https://doi.org/10.48550/arXiv.1511.05644

    Examples
    --------
    >>> import torch
    >>> from skae.modules import AdversarialAutoencoder, CodeBasis, DenseStack
    >>> model = AdversarialAutoencoder(
    ...     DenseStack([4, 8, 2]),
    ...     DenseStack([2, 8, 4]),
    ...     CodeBasis(2),
    ...     torch.ones(4),
    ...     torch.ones(2),
    ...     discriminator=DenseStack([2, 8, 1]),
    ... )
    >>> model.discriminate(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(self, *parts, discriminator: nn.Module, **params) -> None:
        super().__init__(*parts, **params)
        self.discriminator = discriminator

    def discriminate(self, code: Tensor) -> Tensor:
        """Return logits for raw codes to be draws from the prior, of shape (n_samples,)."""
        return self.discriminator(code)[:, 0]
