"""Recurrent networks: steps read and ignored, and initial weights."""

import pytest
import torch
from torch import nn

from skae.modules import RecurrentDecoder, RecurrentEncoder, RecurrentLayers

LENGTH, FEATURES = 6, 3
LENGTHS = [6, 1, 4, 0]


def generator():
    return torch.Generator().manual_seed(0)


def make_rows(length, lengths=LENGTHS, filler=0.0):
    """Return sequences as rows of a number of steps, followed by the mask of missing cells."""
    values = torch.randn(len(lengths), LENGTH, FEATURES, generator=generator())
    rows = torch.full((len(lengths), length, FEATURES), filler)
    missing = torch.ones_like(rows)
    for i, own in enumerate(lengths):
        rows[i, :own], missing[i, :own] = values[i, :own], 0
    return torch.cat([rows.flatten(1), missing.flatten(1)], 1)


@pytest.fixture(params=["gru", "lstm"])
def cell(request):
    return request.param


def test_padding_has_no_influence_on_codes(cell):
    for options in [{}, {"backwards": False}, {"bidirectional": True}]:
        options = {"n_units": 8, "cell": cell, "n_layers": 2, "masked": True, **options}
        short, long = (
            RecurrentEncoder((length, FEATURES), 2, generator=generator(), **options)
            for length in (LENGTH, 2 * LENGTH)
        )
        long.load_state_dict(short.state_dict())
        with torch.no_grad():
            expected = short(make_rows(LENGTH))
            for length, encoder in [(LENGTH, short), (2 * LENGTH, long)]:
                found = encoder(make_rows(length, filler=7.0))
                torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
        assert expected.std() > 0.03


def test_decoded_steps_do_not_depend_on_the_number_of_steps(cell):
    short, long = (
        RecurrentDecoder(2, (length, FEATURES), n_units=8, cell=cell, n_layers=2)
        for length in (LENGTH, 2 * LENGTH)
    )
    long.load_state_dict(short.state_dict())
    code = torch.randn(5, 2, generator=generator())
    with torch.no_grad():
        expected, found = short(code), long(code)[:, : LENGTH * FEATURES]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert expected.view(5, LENGTH, FEATURES).std(1).min() > 1e-3


def test_codes_are_the_last_states_of_packed_sequences(cell):
    for backwards in [False, True]:
        encoder = RecurrentEncoder(
            (LENGTH, FEATURES), 2, n_units=8, cell=cell, backwards=backwards, masked=True
        )
        lengths = [6, 1, 4]
        rows = make_rows(LENGTH, lengths).view(3, 2, LENGTH, FEATURES)
        steps = [
            torch.cat([row[0, :length], row[1, :length]], 1)
            for row, length in zip(rows, lengths, strict=True)
        ]
        if backwards:
            steps = [own.flip(0) for own in steps]
        packed = nn.utils.rnn.pack_sequence(steps, enforce_sorted=False)
        with torch.no_grad():
            _, states = encoder.readers[0].layers(packed)
            states = states[0] if cell == "lstm" else states
            expected = encoder.head(states[-1])
            torch.testing.assert_close(encoder(rows.flatten(1)), expected, atol=1e-6, rtol=1e-5)


def test_without_a_mask_all_steps_are_read():
    encoder = RecurrentEncoder((LENGTH, FEATURES), 2, n_units=8, backwards=False)
    rows = make_rows(LENGTH, [LENGTH] * 4)[:, : LENGTH * FEATURES]
    with torch.no_grad():
        states = encoder.readers[0](rows.view(4, LENGTH, FEATURES).transpose(0, 1))
        torch.testing.assert_close(encoder(rows), encoder.head(states[-1]))


def test_missing_cells_within_a_sequence_are_distinguished_from_padding():
    encoder = RecurrentEncoder((LENGTH, FEATURES), 2, n_units=8, masked=True)
    rows = make_rows(LENGTH, [6])
    hole = rows.clone()
    hole[0, LENGTH * FEATURES + 1] = 1
    with torch.no_grad():
        assert not torch.allclose(encoder(rows), encoder(hole))


def test_weights_come_from_the_generator_alone(cell):
    before = torch.get_rng_state()
    options = {"cell": cell, "n_layers": 2, "dropout": 0.5}
    pairs = [
        (
            RecurrentEncoder((4, 3), 2, generator=source, **options).state_dict(),
            RecurrentDecoder(2, (4, 3), generator=source, **options).state_dict(),
        )
        for source in (generator(), generator())
    ]
    assert torch.equal(torch.get_rng_state(), before)
    for one, two in zip(*pairs, strict=True):
        for name, value in one.items():
            assert value.isfinite().all()
            assert torch.equal(value, two[name])


def test_stacks_start_as_zero_functions_where_they_are_to():
    encoder = RecurrentEncoder((4, 3), 2, zero_last=True)
    decoder = RecurrentDecoder(2, (4, 3), zero_last=True)
    assert not encoder(torch.ones(5, 12)).any()
    assert not decoder(torch.ones(5, 2)).any()


def test_layers_compute_their_equations():
    layers = RecurrentLayers(3, 4, generator=generator())
    steps, state = torch.randn(5, 2, 3, generator=generator()), torch.zeros(2, 4)
    w_in, w_state, b_in, b_state = layers.layers.parameters()
    with torch.no_grad():
        for step in steps:
            r_in, z_in, n_in = (step @ w_in.T + b_in).chunk(3, 1)
            r, z, n = (state @ w_state.T + b_state).chunk(3, 1)
            reset, update = torch.sigmoid(r_in + r), torch.sigmoid(z_in + z)
            state = (1 - update) * torch.tanh(n_in + reset * n) + update * state
        torch.testing.assert_close(layers(steps)[-1], state)
    orthogonal = w_state[:4]
    torch.testing.assert_close(orthogonal @ orthogonal.T, torch.eye(4))


def test_forget_gates_start_open():
    biases = RecurrentLayers(3, 4, cell="lstm").layers.bias_ih_l0
    # Input, forget, cell and output gates, in torch's order.
    assert biases.view(4, 4).unique(dim=1).flatten().tolist() == [0, 1, 0, 0]
