"""Variational autoencoder, whose encoder returns a distribution of codes."""

import torch
from torch import Tensor

from skae.modules._autoencoder import Autoencoder
from skae.modules._reach import Shown

# Standard deviations of codes are clipped to between 4.5e-5 and 12 times that of the prior.
LOG_VARIANCE_LIMITS = -20.0, 5.0


class VariationalAutoencoder(Autoencoder):
    """Autoencoder whose encoder returns mean and variance of a Gaussian posterior.

    The prior of raw codes is the standard normal distribution. The encoder has two outputs per
    code. The first is added to the linear path to give the mean of the posterior, and the second is
    added to `log_variance` to give the logarithm of its variance. The code of a row is the mean.

    `code_scale` is the ratio of the codes inside of the networks to raw codes. It starts at 1, and
    can be changed to bring raw codes closer to the prior without changing reconstructions.

    Parameters
    ----------
    encoder : Module
        Network from (n_samples, n_features) to (n_samples, 2 * n_components).
    decoder : Module
        Network from (n_samples, n_components) to (n_samples, n_features).
    basis : CodeBasis
        Basis of the codes that users see. It differs from that of the network only in order and
        signs, so the prior is the same.
    input_scale : Tensor of shape (n_features,)
        As for `Autoencoder`.
    log_variance : Tensor of shape (n_components,)
        Initial logarithms of the variances of the posterior.
    likelihood : Module
        Distribution of a row given the output, such as `skae.objectives.GaussianLikelihood`.
    linear_path, output, filling : Module, default=None
        As for `Autoencoder`.

    References
    ----------
    Kingma, D. P. and Welling, M. (2014). Auto-encoding variational Bayes.
    https://doi.org/10.48550/arXiv.1312.6114

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, DenseStack, VariationalAutoencoder
    >>> from skae.objectives import GaussianLikelihood, SquaredError
    >>> model = VariationalAutoencoder(
    ...     DenseStack([4, 8, 4]),
    ...     DenseStack([2, 8, 4]),
    ...     CodeBasis(2),
    ...     torch.ones(4),
    ...     torch.zeros(2),
    ...     GaussianLikelihood(SquaredError()),
    ... )
    >>> mean, log_variance = model.find_posterior(torch.zeros(5, 4))
    >>> mean.shape, log_variance.shape
    (torch.Size([5, 2]), torch.Size([5, 2]))
    """

    log_variance: Tensor

    def __init__(
        self,
        encoder,
        decoder,
        basis,
        input_scale,
        log_variance,
        likelihood,
        *,
        linear_path=None,
        output=None,
        filling=None,
    ) -> None:
        code_scale = torch.ones_like(log_variance)
        super().__init__(
            encoder,
            decoder,
            basis,
            input_scale,
            code_scale,
            linear_path=linear_path,
            output=output,
            filling=filling,
        )
        self.likelihood = likelihood
        self.register_buffer("log_variance", log_variance)

    def find_posterior(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior of raw codes.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.

        Returns
        -------
        mean, log_variance : Tensor of shape (n_samples, n_components)
            Mean and logarithm of the variance of independent normal distributions.
        """
        return self._find_posterior(self._limit_rows(self.scale_rows(inputs)), inputs)

    def _find_posterior(self, shown: Shown, inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(self._show(shown, inputs)).chunk(2, dim=-1)
        mean = self._add_linear_path(mean, shown)
        log_variance = shown.fade(log_variance) + self.log_variance
        log_variance = log_variance.clamp(*LOG_VARIANCE_LIMITS)
        return mean / self.code_scale, log_variance - 2 * self.code_scale.log()

    def _encode_shown(self, shown: Shown, inputs: Tensor) -> Tensor:
        """Return the means of the posterior as raw codes."""
        return self._find_posterior(shown, inputs)[0]

    def project(self, scaled: Tensor) -> Tensor:
        """Return the scaled codes of probabilistic PCA for scaled rows."""
        return self.linear_path.encode_first(scaled)

    def encode_deviation(self, inputs: Tensor) -> Tensor:
        """Return the standard deviations of the posterior, of shape (n_samples, n_components).

        They are in the order of the codes that users see.
        """
        _, log_variance = self.find_posterior(inputs)
        return torch.exp(log_variance / 2) @ self.basis.forward_map.abs()

    def find_log_ratios(self, inputs: Tensor, noise: Tensor) -> Tensor:
        """Return the logarithm of ``p(x | z) p(z) / q(z | x)`` for draws of `z` from the posterior.

        The mean of these ratios is an unbiased estimate of the density of the row. The logarithm of
        that mean is biased downwards, by less with more draws.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.
        noise : Tensor of shape (n_draws, n_components)
            Standard normal draws, the same for all rows.

        Returns
        -------
        log_ratios : Tensor of shape (n_samples, n_draws)
            Log ratios in nats, for densities of standardised rows.

        References
        ----------
        Burda, Y., Grosse, R. and Salakhutdinov, R. (2016). Importance weighted autoencoders.
        https://doi.org/10.48550/arXiv.1509.00519
        """
        mean, log_variance = self.find_posterior(inputs)
        code = mean[:, None] + torch.exp(log_variance / 2)[:, None] * noise
        output = self.decode_raw(code.flatten(0, 1)).unflatten(0, code.shape[:2])
        log_density = self.likelihood.log_density(output, inputs[:, None].expand_as(output))
        # Twice the negative log-densities of the draws, without a constant that cancels.
        prior = code.square().sum(-1)
        posterior = noise.square().sum(-1) + log_variance.sum(-1, keepdim=True)
        return log_density - (prior - posterior) / 2
