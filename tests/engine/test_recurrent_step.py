"""Passes of recurrent networks side by side agree with autograd, and with those of one network."""

import copy

import pytest
import torch

from skae._engine.steps import recurrent
from skae._engine.steps.flat import FlatParameters
from skae._engine.steps.stacks import is_plain, make_stack_step
from skae.modules import RecurrentDecoder, RecurrentEncoder

N_ROWS, N_CODES = 6, 3


def make_stacks(n_models, kind, shape, dtype=torch.float64, **params):
    """Return encoders or decoders whose parameters all differ from their start."""
    source = torch.Generator().manual_seed(0)
    sizes = (shape, N_CODES) if kind is RecurrentEncoder else (N_CODES, shape)
    stacks = [kind(*sizes, dtype=dtype, generator=source, **params) for _ in range(n_models)]
    for parameter in (own for stack in stacks for own in stack.parameters()):
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=source, dtype=dtype)
    return stacks


def draw_inputs(stacks, n_rows, shape, seed):
    """Return inputs of stacks, some of them far away, and a gradient by their outputs."""
    source = torch.Generator().manual_seed(seed)
    dtype = next(stacks[0].parameters()).dtype

    def draw(n_columns):
        return 3 * torch.randn(len(stacks), n_rows, n_columns, generator=source, dtype=dtype)

    n_cells = shape[0] * shape[1]
    if isinstance(stacks[0], RecurrentDecoder):
        return draw(N_CODES), draw(n_cells)
    inputs, gradient = draw(n_cells), draw(N_CODES)
    if stacks[0].masked:
        # Sequences of any length, from none to all but the last step.
        lengths = torch.randint(0, shape[0], (len(stacks), n_rows, 1, 1), generator=source)
        missing = (torch.arange(shape[0])[:, None] >= lengths).expand(-1, -1, -1, shape[1])
        inputs = torch.cat([inputs, missing.flatten(2).to(dtype)], -1)
    return inputs, gradient


def make_step(stacks):
    """Return the passes of copies of stacks, and the gradients that they store."""
    flat = FlatParameters([list(copy.deepcopy(stack).parameters()) for stack in stacks])
    return make_stack_step(stacks[0], flat.views, flat.gradient_views), flat.gradient_views


@torch.no_grad()
def pass_both_ways(step, gradients, inputs, gradient):
    """Return the outputs, the gradients of parameters, and that by the inputs of a decoder."""
    outputs = step.forward(inputs).clone()
    by_inputs = step.backward(gradient.clone(), to_inputs=not hasattr(step, "readers"))
    others = [] if by_inputs is None else [by_inputs]
    return [own.clone() for own in (outputs, *gradients, *others)]


def differentiate(stack, inputs, gradient):
    """Return what `pass_both_ways` does, by autograd."""
    inputs = inputs.clone().requires_grad_()
    outputs = stack(inputs.clamp(-5, 5))
    found = torch.autograd.grad(outputs, [*stack.parameters(), inputs], gradient)
    return [outputs.detach(), *(found if isinstance(stack, RecurrentDecoder) else found[:-1])]


CASES = [
    (RecurrentEncoder, {"masked": True, "bidirectional": True}),
    (RecurrentEncoder, {"n_layers": 2, "hidden_layer_sizes": (4,)}),
    (RecurrentEncoder, {"masked": True, "backwards": False, "n_layers": 2}),
    (RecurrentDecoder, {}),
    (RecurrentDecoder, {"n_layers": 2, "hidden_layer_sizes": (4,)}),
]


@pytest.mark.parametrize(("kind", "params"), CASES, ids=str)
def test_passes_are_those_of_autograd(kind, params):
    shape = 5, 2
    stacks = make_stacks(3, kind, shape, n_units=7, **params)
    step, gradients = make_step(stacks)
    # Batches of one size share memory, in which the second has shorter sequences.
    for seed in range(2):
        given = draw_inputs(stacks, N_ROWS, shape, seed)
        found = pass_both_ways(step, gradients, *given)
        for model, stack in enumerate(stacks):
            expected = differentiate(stack, *(own[model] for own in given))
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one[model], other)


@pytest.mark.parametrize(("kind", "params"), CASES[2:4], ids=str)
def test_passes_do_not_depend_on_other_networks(kind, params):
    sizes = [(n_units, n_rows) for n_units in (1, 5, 16, 31) for n_rows in (1, 7, 32)]
    for n_units, n_rows in sizes:
        shape = 6, 1 + n_units % 3
        own = {"dtype": torch.float32, "n_units": n_units, **params}
        stacks = make_stacks(3, kind, shape, **own)
        given = draw_inputs(stacks, n_rows, shape, 0)
        together = pass_both_ways(*make_step(stacks), *given)
        for model in range(len(stacks)):
            part = slice(model, model + 1)
            alone = pass_both_ways(*make_step(stacks[part]), *(own[part] for own in given))
            for one, other in zip(alone, together, strict=True):
                assert torch.equal(one, other[part])


@pytest.mark.parametrize(("kind", "params"), CASES[2:4], ids=str)
def test_many_rows_are_judged_a_few_at_a_time(kind, params, monkeypatch):
    monkeypatch.setattr(recurrent, "_ROWS_AT_ONCE", 4)
    shape = 5, 2
    stacks = make_stacks(2, kind, shape, **params)
    step, _ = make_step(stacks)
    inputs, _ = draw_inputs(stacks, 10, shape, 0)
    expected = step.forward(inputs).clone()
    step.keeps = False
    torch.testing.assert_close(step.forward(inputs), expected)


def test_networks_that_other_libraries_train_faster_or_alone_are_known():
    shape = 5, 2
    for params, expected in [({}, True), ({"cell": "lstm"}, False), ({"dropout": 0.1}, False)]:
        for kind in (RecurrentEncoder, RecurrentDecoder):
            assert is_plain(make_stacks(1, kind, shape, **params)[0]) == expected
    dense = {"hidden_layer_sizes": (4,), "normalization": "layer"}
    assert not is_plain(make_stacks(1, RecurrentEncoder, shape, **dense)[0])
