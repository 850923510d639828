"""The loss of numbers and categories agrees with an independent computation and autograd."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import entropy, norm

from skae.modules import MixedOutput
from skae.objectives import ColumnUnits, MixedLikelihood, MixedLoss

LEVELS, FACTORS = (0, 3, 2, 0), (1.0, 2.0, 0.5, 1.0)
PARTS = [slice(0, 1), slice(1, 4), slice(4, 6), slice(6, 7)]
SHARES = [np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.4])]
MEAN = np.concatenate([[0.3], SHARES[0] / 2.0, SHARES[1] / 0.5, [-1.0]])
SCALE = 0.6


@pytest.fixture
def units():
    return ColumnUnits(torch.from_numpy(MEAN), torch.tensor(SCALE, dtype=torch.float64))


@pytest.fixture
def batch():
    """Return outputs and standardised rows with missing cells."""
    draw = np.random.default_rng(0)
    rows = np.zeros((8, 7))
    rows[:, [0, 6]] = draw.normal(size=(8, 2))
    for part, factor in ((PARTS[1], 2.0), (PARTS[2], 0.5)):
        size = part.stop - part.start
        rows[np.arange(8), part.start + draw.integers(0, size, 8)] = 1 / factor
    rows[0, 1:4], rows[1, 6] = np.nan, np.nan
    return torch.from_numpy(draw.normal(size=(8, 7))), torch.from_numpy((rows - MEAN) / SCALE)


def test_the_loss_of_a_row_is_the_mean_over_columns_in_units_of_their_baselines(units, batch):
    output, rows = (own.numpy() for own in batch)
    expected = []
    for part, factor, shares in zip(PARTS, FACTORS, [None, *SHARES, None], strict=True):
        given, told = output[:, part], rows[:, part]
        if shares is None:
            expected.append(((given - told) * SCALE)[:, 0] ** 2)
        else:
            indicators = (told * SCALE + MEAN[part]) * factor
            expected.append(-(indicators * log_softmax(given, 1)).sum(1) / entropy(shares))
    expected = np.column_stack(expected)
    loss = MixedLoss(LEVELS, FACTORS).prepare(units, masked=True)
    np.testing.assert_allclose(loss.columns(*batch), expected, rtol=1e-6)
    np.testing.assert_allclose(loss.rows(*batch), np.nan_to_num(expected).mean(1), rtol=1e-6)


def test_losses_of_columns_are_not_negative_by_rounding(batch):
    rows = batch[1].float()
    units = ColumnUnits(torch.tensor(MEAN).float(), torch.tensor(SCALE))
    loss = MixedLoss(LEVELS, FACTORS).prepare(units, masked=True)
    output = 1e5 * (rows > 0).float()
    assert (loss.columns(output, rows)[2:] >= 0).all()


def test_the_gradient_is_that_of_autograd(units, batch):
    output, rows = batch
    loss = MixedLoss(LEVELS, FACTORS).prepare(units, masked=True)
    factor = torch.linspace(0.5, 2, 8, dtype=torch.float64)[:, None]
    by_autograd = output.clone().requires_grad_()
    (loss.cells(by_autograd, rows) * factor).sum().backward()
    losses, gradient = loss.rows_and_gradient_(output.clone(), rows, factor)
    torch.testing.assert_close(losses, loss.rows(output, rows))
    torch.testing.assert_close(gradient, by_autograd.grad)


def test_a_density_is_that_of_normal_numbers_and_of_shares(units, batch):
    likelihood = MixedLikelihood(MixedLoss(LEVELS, FACTORS).prepare(units, masked=True)).double()
    likelihood.set_deviation_(0.7)
    output, rows = (own.numpy() for own in batch)
    expected = np.nan_to_num(norm.logpdf(rows[:, [0, 6]], output[:, [0, 6]], 0.7)).sum(1)
    for part, factor in ((PARTS[1], 2.0), (PARTS[2], 0.5)):
        indicators = (rows[:, part] * SCALE + MEAN[part]) * factor
        expected += np.nan_to_num((indicators * log_softmax(output[:, part], 1)).sum(1))
    density = likelihood.log_density(*batch).detach()
    np.testing.assert_allclose(density, expected, rtol=1e-6)


def test_logits_of_any_size_give_finite_losses(units, batch):
    _, rows = batch
    loss = MixedLoss(LEVELS, FACTORS).prepare(units, masked=True)
    output = torch.tensor([[0.0, 1e30, -1e30, 0.0, 500.0, -500.0, 0.0]]).double().expand(8, 7)
    losses, gradient = loss.rows_and_gradient_(output.clone(), rows, 1.0)
    assert losses.isfinite().all()
    assert gradient.isfinite().all()


def test_the_link_of_shares_gives_them_back_and_its_derivative_is_right(units):
    output = MixedOutput(units.mean, units.scale, LEVELS, FACTORS)
    shares = torch.tensor([[5.0, 0.1, 0.7, 0.2, 0.9, 0.1, 2.0]], dtype=torch.float64)
    factors = torch.tensor([1.0, 2.0, 2.0, 2.0, 0.5, 0.5, 1.0], dtype=torch.float64)
    linear = (shares / factors - units.mean) / units.scale
    torch.testing.assert_close(output(output.link(linear)), linear)
    beyond = torch.tensor([[5.0, -0.1, 0.9, 0.2, 1.1, -0.1, 2.0]], dtype=torch.float64)
    linear = ((beyond / factors - units.mean) / units.scale).requires_grad_()
    output.link(linear).sum().backward()
    torch.testing.assert_close(linear.grad, output.link_derivative(linear.detach()))
