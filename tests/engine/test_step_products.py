"""Products of many networks are, to the last bit, those of each network alone."""

import itertools

import pytest
import torch

from skae._engine.steps.products import (
    GradientProducts,
    choose_products,
    make_memory,
    make_stack,
    make_wide_stack,
    round_up,
)

N_MODELS = 6


def draw(n_rows, n_columns, source, dtype):
    """Return rows of random numbers for each network."""
    return torch.randn(N_MODELS, n_rows, n_columns, generator=source, dtype=dtype)


def copy(values, make=make_stack, *options):
    return make(values.shape, values, *options).copy_(values)


def make_weights(values):
    """Return weights as in the buffer of all parameters, where others follow."""
    n_models, n_outputs, n_inputs = values.shape
    buffer = values.new_zeros(n_models, round_up(n_outputs * n_inputs) + 32)
    weights = buffer[:, : n_outputs * n_inputs].view(values.shape)
    return weights.copy_(values)


def multiply(rows, gradient, weight, bias, target):
    """Return all products of a layer and of a linear path."""
    weight, bias, n_rows = make_weights(weight), make_weights(bias), rows.shape[1]
    products = choose_products(n_rows, weight)
    own = copy(rows), copy(gradient, make_wide_stack, rows.shape[2])
    outputs, by_inputs, added = copy(gradient), copy(rows), copy(target)
    products.multiply_add(bias, own[0], weight.mT, out=outputs)()
    products.multiply(own[1], weight, out=by_inputs)()
    products.add_(added, own[1], weight)()
    stored = make_weights(torch.zeros_like(weight))
    GradientProducts(stored, products, make_memory([stored])).store(own[1], own[0])
    return outputs, by_inputs, added, stored


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_many_networks_are_those_of_each_alone(dtype):
    source = torch.Generator().manual_seed(0)
    for n_rows, n_in, n_out in itertools.product((1, 5, 36), (1, 2, 13, 64), (1, 3, 10, 64)):
        drawn = [
            draw(*shape, source, dtype)
            for shape in (
                (n_rows, n_in),
                (n_rows, n_out),
                (n_out, n_in),
                (1, n_out),
                (n_rows, n_in),
            )
        ]
        rows, gradient, weight, bias, target = drawn
        expected = (
            rows @ weight.mT + bias,
            gradient @ weight,
            target + gradient @ weight,
            gradient.mT @ rows,
        )
        together = multiply(*drawn)
        for found, own in zip(together, expected, strict=True):
            torch.testing.assert_close(found, own)
        for model in (0, N_MODELS - 1):
            alone = multiply(*(own[model : model + 1] for own in drawn))
            for found, own in zip(together, alone, strict=True):
                assert torch.equal(found[model], own[0]), (n_rows, n_in, n_out)


def test_results_of_many_networks_fill_memory_without_gaps():
    like = torch.empty(())
    for n_rows, n_columns in ((36, 13), (36, 2), (81, 10), (5, 64), (16, 1)):
        stack = make_stack((3, n_rows, n_columns), like)
        n_held = stack.stride(0) // n_columns
        assert n_held * n_columns % 16 == 0
        assert n_held > n_rows or n_rows * n_columns % 64 == 0
