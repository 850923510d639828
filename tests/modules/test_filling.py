"""Imputation of missing cells from a normal distribution."""

import numpy as np
import pytest
import torch

from skae.modules import Autoencoder, CodeBasis, DenseStack, GaussianFilling


def make_distribution(n_features, *, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_features, n_features))
    return rng.normal(size=n_features), factors @ factors.T + np.eye(n_features)


def make_filling(mean, covariance):
    return GaussianFilling(torch.tensor(mean), torch.linalg.inv(torch.tensor(covariance)))


def expect(row, mean, covariance):
    """Return a row with missing cells replaced by their conditional expectation."""
    missing = np.isnan(row)
    there = ~missing
    cross = covariance[np.ix_(missing, there)]
    weights = np.linalg.solve(covariance[np.ix_(there, there)], (row - mean)[there])
    filled = row.copy()
    filled[missing] = mean[missing] + cross @ weights
    return filled


def test_fills_are_the_expectation_given_the_observed_cells():
    mean, covariance = make_distribution(7)
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 7))
    rows[rng.random(rows.shape) < 0.4] = np.nan
    filled = make_filling(mean, covariance)(torch.tensor(rows)).numpy()
    np.testing.assert_allclose(filled, [expect(row, mean, covariance) for row in rows], atol=1e-9)
    np.testing.assert_array_equal(filled[~np.isnan(rows)], rows[~np.isnan(rows)])


def test_models_side_by_side_are_independent():
    fillings = [make_filling(*make_distribution(5, seed=seed)) for seed in range(3)]
    rows = torch.randn(3, 8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[rows > 0.5] = torch.nan
    together = GaussianFilling(
        torch.stack([filling.mean for filling in fillings]),
        torch.stack([filling.precision for filling in fillings]),
    )
    apart = [filling(own) for filling, own in zip(fillings, rows, strict=True)]
    torch.testing.assert_close(together(rows), torch.stack(apart))


def test_without_a_covariance_the_mean_is_all_that_is_known():
    filling = GaussianFilling(torch.tensor([1.0, 2.0]))
    filled = filling(torch.tensor([[torch.nan, 5.0], [3.0, torch.nan]]))
    torch.testing.assert_close(filled, torch.tensor([[1.0, 5.0], [3.0, 2.0]]))


@pytest.mark.parametrize("n_missing", [0, 1, 4])
def test_the_encoder_sees_filled_rows_and_which_cells_were_missing(n_missing):
    module = Autoencoder(
        DenseStack([8, 2]), DenseStack([2, 4]), CodeBasis(2), torch.full((4,), 2.0), torch.ones(2)
    )
    module.filling = GaussianFilling(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    rows = torch.ones(3, 4)
    rows[:, :n_missing] = torch.nan
    seen = []
    module.encoder.register_forward_pre_hook(lambda encoder, inputs: seen.append(inputs[0]))
    scaled = module.scale_rows(rows)
    module.encode(rows)
    expected = torch.full((4,), 2.0)
    expected[:n_missing] = torch.arange(n_missing)
    torch.testing.assert_close(scaled, expected.expand(3, 4))
    torch.testing.assert_close(seen[0][:, :4], scaled)
    torch.testing.assert_close(seen[0][:, 4:].bool(), rows.isnan())
    torch.testing.assert_close(module.fill(rows), scaled / 2)


def test_double_precision_solves_even_under_autocast():
    mean, covariance = make_distribution(6)
    filling = make_filling(mean, covariance)
    rows = torch.full((2, 6), torch.nan, dtype=torch.float64)
    rows[0, 0] = 3.0
    expected = filling(rows)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(filling(rows), expected)
