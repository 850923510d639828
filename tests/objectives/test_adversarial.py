"""Adversarial losses and discrepancies against known values."""

import math

import pytest
import torch
from torch import nn

from skae.modules import AdversarialAutoencoder, CodeBasis, DenseStack
from skae.objectives import AdversarialObjective, MaximumMeanDiscrepancy, SquaredError

N_ROWS, N_FEATURES, N_CODES = 50, 4, 2


def draw_normal(n_draws, n_components, generator):
    return torch.randn(n_draws, n_components, generator=generator)


def make_generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    params = {"generator": make_generator()}
    return AdversarialAutoencoder(
        DenseStack([N_FEATURES, N_CODES], **params),
        DenseStack([N_CODES, N_FEATURES], **params),
        CodeBasis(N_CODES),
        torch.ones(N_FEATURES),
        torch.ones(N_CODES),
        discriminator=DenseStack([N_CODES, 1], zero_last=True),
    )


@pytest.fixture
def rows():
    return torch.randn(N_ROWS, N_FEATURES, generator=make_generator(1))


def set_bias(model, logit):
    nn.init.constant_(model.discriminator.linears[-1].bias, logit)


def test_an_uninformed_discriminator_has_the_loss_log_2(model, rows):
    objective = AdversarialObjective(SquaredError().prepare(), draw_normal, make_generator())
    code = model.encode_raw(rows)
    assert objective.discriminate(model, code).item() == pytest.approx(math.log(2))
    loss, output = objective.of_code(model, code, rows)
    expected = (output - rows).square().mean().item() + 0.2 * math.log(2)
    assert loss.item() == pytest.approx(expected)


def test_the_two_networks_have_opposite_objectives(model, rows):
    objective = AdversarialObjective(
        SquaredError().prepare(), draw_normal, make_generator(), alpha=1.0
    )
    code = model.encode_raw(rows)
    losses = []
    for logit in (-2.0, 2.0):
        set_bias(model, logit)
        losses.append(objective.of_code(model, code, rows)[0].item())
    assert losses[0] > losses[1] + 1


def test_rows_are_judged_one_by_one(model, rows):
    objective = AdversarialObjective(
        SquaredError().prepare(), draw_normal, make_generator(), alpha=0.5
    )
    set_bias(model, 0.7)
    losses, output = objective.judge(model, rows, rows)
    torch.testing.assert_close(output, model(rows))
    loss, _ = objective.of_code(model, model.encode_raw(rows), rows)
    torch.testing.assert_close(losses.mean(), loss)
    weights = torch.linspace(0, 2, N_ROWS)
    weighted, _ = objective.of_code(model, model.encode_raw(rows), rows, weights)
    torch.testing.assert_close((losses * weights).mean(), weighted)


def test_the_discrepancy_is_that_of_the_kernel(rows):
    draws = torch.randn(7, N_CODES, generator=make_generator(2))
    code = torch.randn(7, N_CODES, generator=make_generator(3))

    def mean_kernel(one, other):
        squares = torch.cdist(one, other).square()
        widths = [2 * N_CODES * factor for factor in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
        return sum((width / (width + squares)).mean() for width in widths)

    penalty = MaximumMeanDiscrepancy(lambda n, k, generator: draws)
    expected = mean_kernel(code, code) + mean_kernel(draws, draws) - 2 * mean_kernel(code, draws)
    torch.testing.assert_close(penalty(None, rows, code), expected)


def test_the_discrepancy_distinguishes_distributions():
    penalty = MaximumMeanDiscrepancy(draw_normal)
    normal = draw_normal(1000, N_CODES, make_generator(1))
    others = [normal + 1, 2 * normal, normal.sign() * 0.8]
    like = penalty(None, normal, normal, generator=make_generator(2))
    assert all(penalty(None, o, o, generator=make_generator(2)) > 5 * like for o in others)


def test_equal_codes_have_finite_gradients():
    code = torch.zeros(5, N_CODES, requires_grad=True)
    MaximumMeanDiscrepancy(draw_normal)(None, code, code).backward()
    assert code.grad.isfinite().all()
