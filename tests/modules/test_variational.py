"""The variational network agrees with probabilistic PCA."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from skae.modules import CodeBasis, DenseStack, LinearPath, VariationalAutoencoder
from skae.objectives import GaussianLikelihood, SquaredError

N_ROWS, N_FEATURES, N_CODES, NOISE = 6, 4, 2, 0.3


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.fixture
def probabilistic_pca():
    """Return a linear network with exact posterior, and the loadings of its rows."""
    axes = torch.linalg.qr(draw(N_FEATURES, N_CODES)).Q.T
    signal = torch.tensor([3.0, 0.5], dtype=torch.float64)
    loadings = axes * signal.sqrt()[:, None]
    params = {"zero_last": True, "dtype": torch.float64}
    module = VariationalAutoencoder(
        DenseStack([N_FEATURES, 2 * N_CODES], **params),
        DenseStack([N_CODES, N_FEATURES], **params),
        CodeBasis(N_CODES, dtype=torch.float64),
        torch.ones(N_FEATURES, dtype=torch.float64),
        torch.log(NOISE**2 / (signal + NOISE**2)),
        GaussianLikelihood(SquaredError().prepare()).double(),
        linear_path=LinearPath(loadings / (signal + NOISE**2)[:, None], loadings.clone()),
    )
    module.likelihood.set_deviation_(NOISE)
    return module, loadings


def test_every_draw_gives_the_density_where_the_posterior_is_exact(probabilistic_pca):
    module, loadings = probabilistic_pca
    rows = draw(N_ROWS, N_FEATURES, seed=1)
    covariance = loadings.T @ loadings + NOISE**2 * torch.eye(N_FEATURES, dtype=torch.float64)
    expected = MultivariateNormal(torch.zeros(N_FEATURES, dtype=torch.float64), covariance)
    ratios = module.find_log_ratios(rows, draw(9, N_CODES, seed=2))
    torch.testing.assert_close(ratios, expected.log_prob(rows)[:, None].expand(-1, 9))


def test_more_draws_come_closer_where_the_posterior_is_not_exact(probabilistic_pca):
    module, _ = probabilistic_pca
    rows = draw(N_ROWS, N_FEATURES, seed=1)
    exact = module.find_log_ratios(rows, draw(1, N_CODES)).mean()
    module.log_variance += 1
    ratios = module.find_log_ratios(rows, draw(10_000, N_CODES))
    gaps = [
        exact - (ratios.unflatten(1, (-1, n_draws)).logsumexp(2) - math.log(n_draws)).mean()
        for n_draws in (1, 10, 1000)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 0.02


def test_users_see_the_codes_in_another_order_with_other_signs(probabilistic_pca):
    module, _ = probabilistic_pca
    rows = draw(N_ROWS, N_FEATURES, seed=1)
    swap = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    module.basis.set_(torch.zeros(2), swap, swap.T)
    mean, log_variance = module.find_posterior(rows)
    torch.testing.assert_close(module.encode(rows), torch.stack([mean[:, 1], -mean[:, 0]], 1))
    torch.testing.assert_close(module.encode_deviation(rows), torch.exp(log_variance / 2).flip(1))
    torch.testing.assert_close(module.decode(module.encode(rows)), module.reconstruct(rows))


def test_the_scale_of_codes_changes_posteriors_but_not_reconstructions(probabilistic_pca):
    module, _ = probabilistic_pca
    rows, scale = draw(N_ROWS, N_FEATURES, seed=1), torch.tensor([2.0, 0.7], dtype=torch.float64)
    mean, log_variance = module.find_posterior(rows)
    reconstructions = module.reconstruct(rows)
    module.code_scale.copy_(scale)
    other_mean, other_log_variance = module.find_posterior(rows)
    torch.testing.assert_close(other_mean * scale, mean)
    deviations = [torch.exp(values / 2) for values in (log_variance, other_log_variance)]
    torch.testing.assert_close(deviations[1] * scale, deviations[0])
    torch.testing.assert_close(module.reconstruct(rows), reconstructions)


def test_variances_stay_within_bounds(probabilistic_pca):
    module, _ = probabilistic_pca
    with torch.no_grad():
        module.encoder.linears[-1].bias.copy_(torch.tensor([0.0, 0.0, 1e4, -1e4]))
    noise = draw(5, N_CODES)
    assert module.find_log_ratios(draw(N_ROWS, N_FEATURES), noise).isfinite().all()
