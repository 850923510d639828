"""Stacks of dense layers: normalisation, dropout, tied weights, Jacobians."""

import copy
import itertools
import pickle

import pytest
import torch

from skae._engine.fitting.packing import pack_module, unpack_module
from skae.modules import ACTIVATIONS, Autoencoder, CodeBasis, DenseStack, TiedDenseStack

NORMALIZATIONS = [None, "batch", "layer"]


def make_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_stack(sizes=(6, 5, 4, 3), activation="silu", **params):
    return DenseStack(sizes, activation, dtype=torch.float64, generator=make_generator(), **params)


def make_rows(n_rows=7, n_features=6, seed=1):
    generator = make_generator(seed)
    return torch.randn(n_rows, n_features, dtype=torch.float64, generator=generator)


def make_tied(activation="silu", *, sizes=(6, 5, 3), zero_last=False, **params):
    """Return an autoencoder with tied weights."""
    encoder = make_stack(sizes, activation, zero_last=zero_last, **params)
    decoder = TiedDenseStack(encoder, dtype=torch.float64, generator=make_generator(1), **params)
    ones = torch.ones(6, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    return Autoencoder(encoder, decoder, CodeBasis(3, dtype=torch.float64), *ones)


def differentiate(function, rows):
    """Return the Jacobian at each row, computed by torch."""
    return torch.func.vmap(torch.func.jacrev(lambda row: function(row[None])[0]))(rows)


def test_jacobian_is_that_of_autograd():
    for activation in sorted(ACTIVATIONS):
        for sizes in ((6, 3), (6, 5, 3), (6, 5, 4, 3), (3, 4, 5, 6)):
            stack, rows = make_stack(sizes, activation), make_rows(n_features=sizes[0])
            torch.testing.assert_close(stack.jacobian(rows), differentiate(stack, rows))


@pytest.mark.parametrize("sizes", [(6, 3), (6, 5, 3), (6, 5, 4, 3)])
def test_product_of_the_factors_is_the_jacobian(sizes):
    stack, rows = make_stack(sizes), make_rows()
    upper, slopes, weight = stack.jacobian_factors(rows)
    product = (upper * slopes[:, None]) @ weight
    torch.testing.assert_close(product, stack.jacobian(rows))


def test_jacobian_of_tied_weights_is_that_of_autograd():
    for activation in sorted(ACTIVATIONS):
        decoder, rows = make_tied(activation).decoder, make_rows(n_features=3)
        torch.testing.assert_close(decoder.jacobian(rows), differentiate(decoder, rows))


def test_gradient_of_the_jacobian_is_that_of_autograd():
    for activation in sorted(ACTIVATIONS):
        stack, rows = make_stack(activation=activation), make_rows()
        parameters = [linear.weight for linear in stack.linears]
        gradients = [
            torch.autograd.grad(jacobian.square().sum(), parameters)
            for jacobian in (stack.jacobian(rows), differentiate(stack, rows))
        ]
        for found, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("params", [{"dropout": 0.5}, {"normalization": "layer"}])
def test_no_closed_jacobian_where_there_is_more_than_layers(params):
    stack = make_stack(**params)
    assert make_stack().has_jacobian
    assert not stack.has_jacobian
    with pytest.raises(ValueError, match="Use autograd instead"):
        stack.jacobian(make_rows())


def test_weights_do_not_depend_on_other_layers():
    for normalization in NORMALIZATIONS:
        for dropout in [0.0, 0.5]:
            plain, stack = make_stack(), make_stack(normalization=normalization, dropout=dropout)
            for linear, expected in zip(stack.linears, plain.linears, strict=True):
                assert torch.equal(linear.weight, expected.weight)


def test_plain_stacks_only_draw_weights():
    generators = make_generator(), make_generator()
    stack = DenseStack([6, 5, 3], generator=generators[0])
    for linear in stack.linears:
        torch.rand(linear.weight.shape, generator=generators[1])
    assert torch.equal(*(generator.get_state() for generator in generators))


@pytest.mark.parametrize("params", [{"dropout": 0.3}, {"normalization": "batch"}])
def test_global_generator_is_left_alone(params):
    state = torch.get_rng_state()
    make_tied(**params)(make_rows())
    assert torch.equal(torch.get_rng_state(), state)


def reference_batch_norm(values):
    return (values - values.mean(0)) / (values.var(0, unbiased=False) + 1e-5).sqrt()


def reference_layer_norm(values):
    mean, variance = values.mean(1, keepdim=True), values.var(1, unbiased=False, keepdim=True)
    return (values - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize(
    ("normalization", "normalize"),
    [("batch", reference_batch_norm), ("layer", reference_layer_norm)],
)
def test_values_are_normalised_before_the_activation(normalization, normalize):
    stack, rows = make_stack((6, 5, 3), "tanh", normalization=normalization), make_rows()
    first, last = stack.linears
    expected = last(torch.tanh(normalize(first(rows))))
    torch.testing.assert_close(stack(rows), expected)


def test_a_batch_of_one_row_is_normalised_by_the_running_statistics():
    stack = make_stack(normalization="batch")
    for seed in range(3):
        stack(make_rows(seed=seed))
    row, statistics = make_rows(1), copy.deepcopy(stack.norms.state_dict())
    in_training = stack(row)
    for name, value in stack.norms.state_dict().items():
        assert torch.equal(value, statistics[name])
    torch.testing.assert_close(in_training, stack.eval()(row))
    assert in_training.isfinite().all()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_rows_do_not_depend_on_each_other_after_training(normalization):
    stack, rows = make_stack(normalization=normalization, dropout=0.5), make_rows()
    stack(rows)
    stack.eval()
    together = stack(rows)
    torch.testing.assert_close(torch.cat([stack(row[None]) for row in rows]), together)
    torch.testing.assert_close(stack(rows), together, rtol=0, atol=0)


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_norms_have_the_type_of_the_stack_and_are_reset_with_the_weights(normalization):
    stack = make_stack(normalization=normalization)
    start = copy.deepcopy(stack.norms.state_dict())
    floating = [value for value in start.values() if value.is_floating_point()]
    assert {value.dtype for value in floating} == {torch.float64}
    stack(make_rows())
    for parameter in stack.norms.parameters():
        parameter.data.add_(1)
    stack.reset_parameters(generator=make_generator())
    for name, value in stack.norms.state_dict().items():
        assert torch.equal(value, start[name])


def test_dropout_zeroes_a_share_and_scales_the_rest():
    stack = DenseStack([1, 20_000, 1], "identity", dropout=0.3, generator=make_generator())
    units = stack._activate(0, torch.ones(1, 20_000))
    assert abs(float((units == 0).float().mean()) - 0.3) < 0.015
    torch.testing.assert_close(units[units != 0].unique(), torch.tensor([1 / 0.7]))


def test_dropout_depends_on_the_seed_and_continues():
    rows = make_rows()
    one, same = make_stack(dropout=0.4), make_stack(dropout=0.4)
    outputs = [one(rows) for _ in range(2)]
    assert not torch.equal(*outputs)
    for expected in outputs:
        torch.testing.assert_close(same(rows), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda stack: pickle.loads(pickle.dumps(stack))],
    ids=["deepcopy", "pickle"],
)
def test_copies_continue_the_draws(copied):
    stack, rows = make_stack(dropout=0.4), make_rows()
    stack(rows)
    other = copied(stack)
    expected = stack(rows)
    torch.testing.assert_close(other(rows), expected, rtol=0, atol=0)
    # Each model has its own generator.
    torch.testing.assert_close(other(rows), stack(rows), rtol=0, atol=0)


def test_pickles_of_equal_stacks_are_equal():
    assert pickle.dumps(make_stack(dropout=0.4).dropout) == pickle.dumps(
        make_stack(dropout=0.4).dropout
    )


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_dropout_must_be_a_share(dropout):
    with pytest.raises(ValueError, match="`dropout` must be a share of the hidden units"):
        make_stack(dropout=dropout)


def test_normalization_must_be_known():
    with pytest.raises(ValueError, match='`normalization` must be "batch", "layer" or None. Got'):
        make_stack(normalization="group")


def test_tied_decoder_multiplies_with_the_encoders_weights():
    module, code = make_tied("tanh"), make_rows(n_features=3)
    for seed, bias in enumerate(module.decoder.biases):
        bias.data.normal_(generator=make_generator(seed))
    (first, second), biases = module.encoder.linears, module.decoder.biases
    expected = torch.tanh(code @ second.weight + biases[0]) @ first.weight + biases[1]
    torch.testing.assert_close(module.decoder(code), expected)


def test_each_weight_is_there_once():
    names = [name for name, _ in make_tied().named_parameters()]
    assert names == [
        "encoder.linears.0.weight",
        "encoder.linears.0.bias",
        "encoder.linears.1.weight",
        "encoder.linears.1.bias",
        "decoder.biases.0",
        "decoder.biases.1",
    ]
    assert sum("weight" in name for name in make_tied().state_dict()) == 2


def test_gradients_of_both_uses_are_added():
    module, rows = make_tied(), make_rows()
    weight = module.encoder.linears[0].weight
    module(rows).square().sum().backward()
    step, index = 1e-6, (2, 3)
    with torch.no_grad():
        values = []
        for sign in (1, -2):
            weight[index] += sign * step
            values.append(float(module(rows).square().sum()))
    slope = (values[0] - values[1]) / (2 * step)
    assert float(weight.grad[index]) == pytest.approx(slope, rel=1e-5)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_tied_decoder_starts_as_zero_beside_an_encoder_that_does(activation, normalization):
    for sizes in ((6, 3), (6, 5, 3), (6, 5, 4, 3)):
        module = make_tied(
            activation, sizes=sizes, zero_last=True, normalization=normalization, dropout=0.2
        )
        output = module.eval().decoder(make_rows(n_features=3))
        torch.testing.assert_close(output, torch.zeros_like(output), rtol=0, atol=1e-12)


def test_tie_outlives_copies():
    for normalization in NORMALIZATIONS:
        for copied in [
            copy.deepcopy,
            lambda module: unpack_module(pack_module(module)),
            lambda module: pickle.loads(pickle.dumps(module)),
        ]:
            module, rows = make_tied(normalization=normalization, dropout=0.2), make_rows()
            module(rows)
            other = copied(module)
            module.eval()
            other.eval()
            torch.testing.assert_close(other(rows), module(rows), rtol=0, atol=0)

            before, code = module.decoder(rows[:, :3]), rows[:, :3]
            with torch.no_grad():
                other.encoder.linears[0].weight.mul_(2)
            assert not torch.equal(other.decoder(code), before)
            torch.testing.assert_close(module.decoder(code), before, rtol=0, atol=0)
            shared = itertools.product(module.parameters(), other.parameters())
            assert not any(found is expected for found, expected in shared)


def test_tie_follows_weights_that_are_loaded():
    module, trained, rows = make_tied(), make_tied(), make_rows()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.1)
    module.load_state_dict(trained.state_dict())
    torch.testing.assert_close(module(rows), trained(rows), rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_hooks_see_the_inputs_of_activations(normalization):
    stack, rows = make_stack((6, 5, 3), normalization=normalization).eval(), make_rows()
    expected, seen = stack(rows), []
    owner = stack.norms[0] if normalization else stack.function
    owner.register_forward_hook(lambda module, inputs, output: seen.extend([*inputs, output]))
    torch.testing.assert_close(stack(rows), expected)
    weight, bias = stack._layers()[0]
    values = torch.nn.functional.linear(rows, weight, bias)
    after = owner.forward(values.clone())
    torch.testing.assert_close(seen, [values, after])
