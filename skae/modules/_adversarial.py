"""The adversarial autoencoder: beside the autoencoder, a network that tells codes from draws."""

from torch import Tensor, nn

from skae.modules._autoencoder import Autoencoder


class AdversarialAutoencoder(Autoencoder):
    """An autoencoder with a discriminator of its raw codes from draws of a prior.

    Parameters
    ----------
    *parts
        Positional arguments of `Autoencoder`.
    discriminator : Module
        From (n_samples, n_components) to (n_samples, 1): the logit of a code being a draw from the
        prior rather than a row's.
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
        """Return logits of raw codes being draws from the prior, of shape (n_samples,)."""
        return self.discriminator(code)[:, 0]
