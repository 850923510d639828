"""Links between the linear path and the output, and their derivatives."""

import pytest
import torch

from skae.modules import ExponentialOutput, LinearOutput, LogisticOutput

MEAN = torch.tensor([0.3, 0.6, 0.9], dtype=torch.float64)
SCALE = torch.tensor(0.4, dtype=torch.float64)
OUTPUTS = {
    "linear": LinearOutput(),
    "logistic": LogisticOutput(MEAN, SCALE),
    "exponential": ExponentialOutput(10 * MEAN, SCALE),
}


@pytest.fixture(params=sorted(OUTPUTS))
def output(request):
    return OUTPUTS[request.param]


def make_values(spread):
    generator = torch.Generator().manual_seed(0)
    return spread * torch.randn(50, 3, dtype=torch.float64, generator=generator)


def differentiate(function, values):
    values = values.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(values).sum(), values)
    return gradient


def test_derivatives_are_those_of_autograd(output):
    for spread in [0.3, 3.0, 30.0]:
        values = make_values(spread)
        link_derivative = differentiate(output.link, values)
        torch.testing.assert_close(output.link_derivative(values), link_derivative)
        gradient = make_values(1.0)
        expected = gradient * link_derivative
        torch.testing.assert_close(output.link_gradient_(gradient, values), expected)
        logits = make_values(2.0)
        torch.testing.assert_close(output.derivative(logits), differentiate(output, logits))


def test_link_is_undone_where_the_linear_path_stays_in_range(output):
    values = make_values(0.02)
    torch.testing.assert_close(output(output.link(values)), values)


def test_rates_below_zero_become_small_ones_with_a_gradient():
    output = OUTPUTS["exponential"]
    linear = torch.linspace(-20, 20, 400, dtype=torch.float64)[:, None].expand(-1, 3)
    rates = output(output.link(linear)) * SCALE + 10 * MEAN
    assert (rates > 0).all()
    assert (rates.diff(dim=0) > 0).all()
    # A mean below zero costs less than a factor of three below the limit of clipping.
    below_by_one_mean = output.link((-20 * MEAN / SCALE)[None])
    assert (below_by_one_mean > torch.log(10 * MEAN * 0.05) - 1.1).all()


def test_no_output_overflows():
    output = ExponentialOutput(torch.ones(2), torch.tensor(1.0))
    values = torch.tensor([[1e3, 1e30]], requires_grad=True)
    reconstruction = output(values)
    assert reconstruction.isfinite().all()
    reconstruction.sum().backward()
    assert values.grad.isfinite().all()
    assert (output(torch.tensor([[-1e30, -1e3]])) == -1).all()


@pytest.mark.parametrize("mean", [[0.0, 2.0], [0.0, 0.0]])
def test_columns_of_zeros_have_a_finite_rate(mean):
    output = ExponentialOutput(torch.tensor(mean), torch.tensor(1.0))
    linear = torch.zeros(1, 2, requires_grad=True)
    rate = output(output.link(linear)) + output.mean
    rate.sum().backward()
    assert rate.isfinite().all()
    assert linear.grad.isfinite().all()
    if mean[1]:
        assert rate[0, 0] < 1e-3
