"""Likelihoods, divergences and the evidence bound agree with torch's distributions."""

import pytest
import torch
from torch import distributions

from skae.modules import CodeBasis, DenseStack, LinearPath, VariationalAutoencoder
from skae.objectives import (
    AbsoluteError,
    BernoulliLikelihood,
    BinaryCrossEntropy,
    ColumnUnits,
    GaussianLikelihood,
    LaplaceLikelihood,
    NegativeELBO,
    SquaredError,
    gaussian_divergence,
)

N_ROWS, N_FEATURES, N_CODES = 7, 5, 2
MEAN = torch.linspace(0.2, 0.8, N_FEATURES, dtype=torch.float64)
SCALE = torch.tensor(0.3, dtype=torch.float64)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.fixture
def model():
    """Return a network far from its start, in double precision."""
    params = {"dtype": torch.float64, "generator": torch.Generator().manual_seed(0)}
    return VariationalAutoencoder(
        DenseStack([N_FEATURES, 8, 2 * N_CODES], **params),
        DenseStack([N_CODES, 8, N_FEATURES], **params),
        CodeBasis(N_CODES, dtype=torch.float64),
        torch.ones(N_FEATURES, dtype=torch.float64),
        draw(N_CODES, seed=1),
        GaussianLikelihood(SquaredError().prepare()).double(),
        linear_path=LinearPath(draw(N_CODES, N_FEATURES), draw(N_CODES, N_FEATURES, seed=2)),
    )


@pytest.mark.parametrize(
    ("likelihood", "law"),
    [
        (GaussianLikelihood(SquaredError().prepare()), distributions.Normal),
        (LaplaceLikelihood(AbsoluteError().prepare()), distributions.Laplace),
    ],
)
def test_densities_are_those_of_the_distributions(likelihood, law):
    output, rows = draw(N_ROWS, N_FEATURES), draw(N_ROWS, N_FEATURES, seed=1)
    likelihood = likelihood.double()
    likelihood.set_deviation_(0.4)
    expected = law(output, likelihood.scale)
    torch.testing.assert_close(expected.stddev[0, 0].item(), 0.4)
    torch.testing.assert_close(
        likelihood.log_density(output, rows), expected.log_prob(rows).sum(-1)
    )


def test_binary_rows_have_their_probability():
    logits = draw(N_ROWS, N_FEATURES)
    bits = (draw(N_ROWS, N_FEATURES, seed=1) > 0).double()
    likelihood = BernoulliLikelihood(BinaryCrossEntropy().prepare(ColumnUnits(MEAN, SCALE)))
    expected = distributions.Bernoulli(logits=logits).log_prob(bits).sum(-1)
    torch.testing.assert_close(likelihood.log_density(logits, (bits - MEAN) / SCALE), expected)


def test_grey_cells_are_drawn_with_their_probability_and_binary_ones_stay():
    likelihood = BernoulliLikelihood(BinaryCrossEntropy().prepare(ColumnUnits(MEAN, SCALE)))
    grey = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0], dtype=torch.float64)
    rows = ((grey - MEAN) / SCALE).expand(4000, -1)
    generator = torch.Generator().manual_seed(0)
    observed = likelihood.observe(rows, generator) * SCALE + MEAN
    bits = observed.round()
    torch.testing.assert_close(observed, bits)
    assert set(bits.unique().tolist()) == {0, 1}
    torch.testing.assert_close(bits.mean(0), grey, atol=0.03, rtol=0)
    assert (bits[:, 0] == 0).all()
    assert (bits[:, 4] == 1).all()
    assert not torch.equal(likelihood.observe(rows, generator) * SCALE + MEAN, observed)


def test_noise_does_not_get_smaller_than_a_thousandth():
    likelihood = GaussianLikelihood(SquaredError().prepare())
    likelihood.set_deviation_(1e-9)
    assert likelihood.scale.item() == pytest.approx(1e-3)
    rows = torch.zeros(1, N_FEATURES)
    assert likelihood.log_density(rows, rows).item() < 6.0 * N_FEATURES


def test_divergence_is_that_of_the_distributions():
    mean, log_variance = draw(N_ROWS, N_CODES), draw(N_ROWS, N_CODES, seed=1)
    posterior = distributions.Normal(mean, torch.exp(log_variance / 2))
    prior = distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(
        gaussian_divergence(mean, log_variance), distributions.kl_divergence(posterior, prior)
    )


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_the_loss_is_the_bound_on_average(model, beta):
    row = draw(1, N_FEATURES, seed=3)
    objective = NegativeELBO(beta, generator=torch.Generator().manual_seed(0))
    loss, _ = objective(model, *[row.expand(20_000, -1)] * 2)

    mean, log_variance = model.find_posterior(row)
    noise = draw(20_000, N_CODES, seed=4)
    output = model.decode_raw(mean + noise * torch.exp(log_variance / 2))
    fit = distributions.Normal(output, 1.0).log_prob(row).sum(-1).mean()
    expected = (beta * gaussian_divergence(mean, log_variance).sum() - fit) / N_FEATURES
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0)


def test_judging_repeats_itself_and_training_does_not(model):
    rows = draw(N_ROWS, N_FEATURES)
    objective = NegativeELBO(generator=torch.Generator().manual_seed(0))
    first, output = objective.judge(model, rows, rows)
    torch.testing.assert_close(objective.judge(model, rows, rows)[0], first)
    torch.testing.assert_close(output, model(rows))
    assert objective(model, rows, rows)[0] != objective(model, rows, rows)[0]


def test_beta_increases_in_the_warm_up_and_is_full_in_evaluation(model):
    rows, objective = draw(N_ROWS, N_FEATURES), NegativeELBO(2.0, warm_up=0.5)
    losses = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        objective.set_progress(progress)
        losses.append(objective(model, rows, rows)[0].item())
        judged = objective.judge(model, rows, rows)[0].mean().item()
        assert judged == pytest.approx(NegativeELBO(2.0).judge(model, rows, rows)[0].mean().item())
    divergence = gaussian_divergence(*model.find_posterior(rows)).sum(-1).mean().item()
    expected = [losses[3] - (2 - beta) * divergence / N_FEATURES for beta in (0, 1, 2, 2)]
    assert losses == pytest.approx(expected)


def test_weights_count_rows(model):
    rows, weights = draw(3, N_FEATURES), torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64)
    losses, _ = NegativeELBO().judge(model, rows, rows)
    weighted, _ = NegativeELBO()(model, rows, rows, weights)
    torch.testing.assert_close(weighted, (losses * weights).mean())


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianLikelihood(SquaredError().prepare()),
        lambda: LaplaceLikelihood(AbsoluteError().prepare()),
        lambda: BernoulliLikelihood(BinaryCrossEntropy().prepare()),
    ],
)
def test_missing_cells_have_no_density(make):
    likelihood, rows = make(), torch.rand(1, 6, generator=torch.Generator().manual_seed(0))
    output, there = torch.zeros(1, 6), torch.tensor([True, False, True, True, False, True])
    if isinstance(likelihood, BernoulliLikelihood):
        alone = BernoulliLikelihood(BinaryCrossEntropy().prepare())
    else:
        alone = likelihood
    expected = alone.log_density(output[:, there], rows[:, there])
    likelihood.loss.masked = True
    hidden = rows.masked_fill(~there, torch.nan)
    torch.testing.assert_close(likelihood.log_density(output, hidden), expected)
    observed = likelihood.observe(hidden, torch.Generator().manual_seed(0))
    assert torch.equal(observed.isnan(), hidden.isnan())
