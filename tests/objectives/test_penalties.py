"""Penalties agree with Jacobians and sums computed independently."""

import copy
import itertools

import pytest
import torch
from torch import nn

from skae.modules import (
    ACTIVATIONS,
    Autoencoder,
    CodeBasis,
    DenseStack,
    ExponentialOutput,
    LinearOutput,
    LinearPath,
    LogisticOutput,
    TiedDenseStack,
)
from skae.objectives import PENALTIES, Contractive, KLSparsity, L1Sparsity, OrthogonalDecoder

N_FEATURES, N_CODES, N_ROWS = 6, 3, 9
MEAN = torch.linspace(0.2, 0.7, N_FEATURES, dtype=torch.float64)
SCALE = torch.tensor(0.3, dtype=torch.float64)


def make_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=make_generator(seed))


def make_module(activation="silu", hidden=(5,), *, linear=True, output=None, tied=False):
    """Return an autoencoder in double precision; some rows and codes exceed its input limit."""
    params = {"dtype": torch.float64, "generator": make_generator()}
    sizes = [N_FEATURES, *hidden, N_CODES]
    encoder = DenseStack(sizes, activation, **params)
    decoder = (
        TiedDenseStack(encoder, dtype=torch.float64)
        if tied
        else DenseStack(sizes[::-1], activation, **params)
    )
    path = LinearPath(draw(N_CODES, N_FEATURES, seed=1), 0.1 * draw(N_CODES, N_FEATURES, seed=2))
    return Autoencoder(
        encoder,
        decoder,
        CodeBasis(N_CODES, dtype=torch.float64),
        1 + draw(N_FEATURES, seed=3).square(),
        1 + draw(N_CODES, seed=4).square(),
        linear_path=path if linear else None,
        output=output,
    )


class Opaque(nn.Module):
    """Module without attributes, which can only be called."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, inputs):
        return self.part(inputs)


def hide(module):
    """Return an equal autoencoder without closed-form derivatives."""
    module = copy.deepcopy(module)
    module.encoder, module.decoder = Opaque(module.encoder), Opaque(module.decoder)
    return module


def make_batch(module, n_rows=N_ROWS):
    inputs = 2 * draw(n_rows, N_FEATURES, seed=5)
    return inputs, module.encode_raw(inputs) * module.code_scale


def code_jacobian(module, inputs):
    def encode(row):
        return module.encode_raw(row[None])[0] * module.code_scale

    return torch.func.vmap(torch.func.jacrev(encode))(inputs)


def reconstruction_jacobian(module, code):
    def decode(row):
        return module.output(module.decode_raw((row / module.code_scale)[None]))[0]

    return torch.func.vmap(torch.func.jacrev(decode))(code)


def expected_contraction(module, inputs):
    return code_jacobian(module, inputs).square().sum((1, 2)).mean()


def expected_cosine(module, code):
    directions = nn.functional.normalize(reconstruction_jacobian(module, code), dim=1)
    cosines = directions.mT @ directions
    pairs = ~torch.eye(N_CODES, dtype=torch.bool)
    return cosines[:, pairs].square().mean()


def gradients(value, module):
    parameters = list(module.parameters())
    return torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)


def assert_same_with_gradients(value, expected, module):
    torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-12)
    pairs = zip(gradients(value, module), gradients(expected, module), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


def test_contraction_is_the_squared_norm_of_the_jacobian():
    for activation in sorted(ACTIVATIONS):
        for hidden, linear in itertools.product([(), (5,), (4, 7, 5)], [False, True]):
            module = make_module(activation, hidden, linear=linear)
            inputs, code = make_batch(module)
            assert ((inputs * module.input_scale).abs() > 5).any()
            value = Contractive()(module, inputs, code)
            assert_same_with_gradients(value, expected_contraction(module, inputs), module)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("output", ["linear", "logistic", "exponential"])
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(("hidden", "tied"), [((), True), ((5,), False), ((5, 4), True)])
def test_cosines_are_those_of_the_reconstructions_jacobian(output, hidden, linear, tied):
    outputs = {
        "linear": LinearOutput(),
        "logistic": LogisticOutput(MEAN, SCALE),
        "exponential": ExponentialOutput(MEAN, SCALE),
    }
    module = make_module(hidden=hidden, linear=linear, output=outputs[output], tied=tied)
    inputs, code = make_batch(module)
    assert (code.abs() > 5).any()
    value = OrthogonalDecoder()(module, inputs, code)
    assert_same_with_gradients(value, expected_cosine(module, code), module)


def test_cosines_are_right_for_all_activations():
    for activation in sorted(ACTIVATIONS):
        module = make_module(activation)
        inputs, code = make_batch(module)
        value = OrthogonalDecoder()(module, inputs, code)
        assert_same_with_gradients(value, expected_cosine(module, code), module)


@pytest.mark.slow
def test_contraction_of_other_encoders_is_right_on_average():
    module, generator = make_module(), make_generator(7)
    inputs, code = make_batch(module, 4)
    hidden = hide(module)
    draws = torch.stack(
        [Contractive()(hidden, inputs, code, generator=generator).detach() for _ in range(400)]
    )
    error = float(draws.std() / len(draws) ** 0.5)
    assert error > 0
    assert float(draws.mean()) == pytest.approx(
        float(expected_contraction(module, inputs).detach()), abs=4 * error
    )


def test_estimated_contraction_is_exact_for_one_code_with_its_gradient():
    module = make_module()
    module.encoder = DenseStack([N_FEATURES, 5, 1], dtype=torch.float64, generator=make_generator())
    module.linear_path, module.code_scale = None, torch.ones(1, dtype=torch.float64)
    inputs, code = make_batch(module)
    exact = Contractive()(module, inputs, code)
    module.encoder = Opaque(module.encoder)
    assert_same_with_gradients(Contractive()(module, inputs, code), exact, module)


def test_cosines_of_other_decoders_are_exact():
    module = make_module()
    hidden = hide(module)
    inputs, code = make_batch(hidden)
    value = OrthogonalDecoder()(hidden, inputs, code)
    assert_same_with_gradients(value, expected_cosine(hidden, code), hidden)


@pytest.mark.parametrize("hidden", [False, True])
def test_of_many_rows_those_that_are_drawn_count(hidden):
    module = hide(make_module()) if hidden else make_module()
    inputs, code = make_batch(module, 60)
    values = [
        OrthogonalDecoder()(module, inputs, code, generator=make_generator(seed)).item()
        for seed in range(60)
    ]
    assert len(set(values)) > 1
    expected = expected_cosine(module, code).item()
    assert sum(values) / len(values) == pytest.approx(expected, rel=0.1)


class Largest(torch.nn.Module):
    """Module that keeps one code of each row."""

    def forward(self, code):
        sizes = code.abs()
        return code * (sizes == sizes.amax(1, keepdim=True))


def test_the_contractive_penalty_includes_the_sparsity():
    module = make_module()
    module.sparsity = Largest()
    # With one code left, any sign gives its own squared gradient.
    inputs, code = make_batch(module)
    value = Contractive()(module, inputs, code)
    torch.testing.assert_close(value, expected_contraction(module, inputs))


def test_penalties_can_be_evaluated_without_gradients():
    for name in sorted(PENALTIES):
        for module in (make_module(), hide(make_module())):
            inputs, code = make_batch(module)
            expected = PENALTIES[name]()(module, inputs, code)
            with torch.no_grad():
                value = PENALTIES[name]()(module, inputs, code.detach())
            assert not value.requires_grad
            torch.testing.assert_close(value, expected.detach())


def test_draws_are_those_of_the_generator_or_always_the_same():
    for name in sorted(PENALTIES):
        module, state = hide(make_module()), torch.get_rng_state()
        inputs, code = make_batch(module, 40)
        penalty = PENALTIES[name]()
        assert torch.equal(penalty(module, inputs, code), penalty(module, inputs, code))
        seeded = [penalty(module, inputs, code, generator=make_generator(3)) for _ in range(2)]
        assert torch.equal(*seeded)
        assert torch.equal(torch.get_rng_state(), state)
        assert not inputs.requires_grad


def test_gradients_of_penalties_lower_them():
    for name in sorted(PENALTIES):
        module = make_module()
        inputs, code = make_batch(module)
        penalty = PENALTIES[name]()
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-4)
        before = penalty(module, inputs, code)
        before.backward()
        optimizer.step()
        after = penalty(module, *make_batch(module))
        assert 0 <= after.item() < before.item()
        assert penalty.default_alpha > 0


def test_penalties_of_single_codes_forbid_rotation():
    assert {name for name, kind in PENALTIES.items() if not kind.rotates} == {"l1", "kl_sparsity"}


def make_pca():
    """Return an autoencoder that is still PCA."""
    axes = torch.linalg.qr(draw(N_FEATURES, N_CODES)).Q.T
    params = {"zero_last": True, "dtype": torch.float64, "generator": make_generator()}
    code_scale = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)
    return Autoencoder(
        DenseStack([N_FEATURES, 5, N_CODES], **params),
        DenseStack([N_CODES, 5, N_FEATURES], **params),
        CodeBasis(N_CODES, dtype=torch.float64),
        torch.ones(N_FEATURES, dtype=torch.float64),
        code_scale,
        linear_path=LinearPath(axes, axes / code_scale[:, None]),
    )


def test_pca_is_orthogonal_and_contracts_by_the_scales_of_its_codes():
    module = make_pca()
    inputs, code = make_batch(module)
    assert OrthogonalDecoder()(module, inputs, code).item() == pytest.approx(0, abs=1e-20)
    expected = float(module.code_scale.square().sum())
    assert Contractive()(module, inputs, code).item() == pytest.approx(expected)


def test_gradients_at_orthogonal_pca_are_finite():
    module = make_pca()
    module.linear_path.back_projection.data[0] = 0
    inputs, code = make_batch(module)
    value = OrthogonalDecoder()(module, inputs, code)
    for gradient in gradients(value, module):
        assert gradient.isfinite().all()


def test_one_code_is_orthogonal_to_all_others():
    stacks = DenseStack([4, 1]), DenseStack([1, 4])
    module = Autoencoder(*stacks, CodeBasis(1), torch.ones(4), torch.ones(1))
    assert OrthogonalDecoder()(module, torch.zeros(2, 4), torch.zeros(2, 1)).item() == 0


def test_l1_is_the_mean_size_over_the_root_mean_square():
    code = draw(20, 3)
    ratios = code.abs().mean(0) / code.square().mean(0).sqrt()
    torch.testing.assert_close(L1Sparsity()(None, None, code), ratios.mean())


@pytest.mark.parametrize("penalty", [L1Sparsity(), KLSparsity()])
def test_small_codes_are_not_sparse_codes(penalty):
    code = draw(20, 3)
    torch.testing.assert_close(penalty(None, None, code / 100), penalty(None, None, code))


@pytest.mark.parametrize("target", [0.05, 0.3])
def test_kl_sparsity_is_a_divergence_of_activities(target):
    code = draw(200, 3) * torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    usual = code / code.square().mean(0).sqrt()
    active = (usual.square() / (1 + usual.square())).mean(0)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(torch.full_like(active, target)),
        torch.distributions.Bernoulli(active),
    ).mean()
    torch.testing.assert_close(KLSparsity(target)(None, None, code), expected)


@pytest.mark.parametrize("scale", [0.0, 1e15])
def test_kl_sparsity_of_codes_at_the_ends_is_finite(scale):
    code = (scale * draw(20, 3)).float().requires_grad_()
    value = KLSparsity()(None, None, code)
    value.backward()
    assert value.isfinite()
    assert code.grad.isfinite().all()


@pytest.mark.parametrize("target", [0, 1, float("nan")])
def test_target_is_a_share(target):
    with pytest.raises(ValueError, match="`target` must be a mean activity between 0 and 1. Got"):
        KLSparsity(target)(None, None, torch.zeros(2, 3))
