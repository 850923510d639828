"""Training rows with one shifted cell, with many shifted cells, and without."""

from dataclasses import replace

import pytest
import torch

from skae._engine.start.odd_cells import OddCells

# Of ten rows, those with odd cells.
MOVED = torch.tensor([0, 2, 5])


@pytest.fixture
def odd_cells():
    rows = torch.tensor([[-9.0, -1.0, 0.0], [40.0, 2.0, 0.0]])
    leverage = torch.tensor([0.9, 0.1, 0.0])
    generator = torch.Generator().manual_seed(0)
    return OddCells(torch.tensor([1.0, 1.0, 0.0]), rows[0], rows[1], leverage, generator)


def draw_rows(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * torch.tensor([1, 1, 0])


@pytest.mark.parametrize("shape", [(200, 3), (4, 55, 3), (3, 3)], ids=str)
def test_three_of_ten_rows_move_within_the_ranges_of_the_columns(odd_cells, shape):
    before = draw_rows(*shape)
    inputs, weights = odd_cells.move_(before.clone(), None)
    moved = inputs != before
    assert (inputs >= odd_cells.lowest).all()
    assert (inputs <= odd_cells.highest).all()
    places = torch.arange(shape[-2]) % 10
    is_single, is_other = (
        (places == 0) | (places == 2),
        ~torch.isin(places, MOVED),
    )
    assert (moved[..., is_single, :].sum(-1) <= 1).all()
    assert not moved[..., is_other, :].any()
    assert (weights[..., is_other] == 1).all()
    assert ((weights > 0) & (weights <= 1)).all()
    # The third column is constant.
    assert not moved[..., 2].any()
    if shape[-2] > 10:
        assert moved[..., places == 0, :].any()
        assert moved[..., places == 2, :].any()
        assert moved[..., places == 5, :2].all(-1).any()
        assert ((weights < 1) == moved.any(-1)).all()


def test_a_single_odd_cell_is_reconstructed_as_by_pca_except_in_columns_with_long_tails(odd_cells):
    before = draw_rows(400, 3)
    rows = before.clone()
    inputs, _ = odd_cells.move_(rows, None)
    places = torch.arange(400) % 10
    assert torch.equal(rows[places == 5], inputs[places == 5])
    is_single = (places == 0) | (places == 2)
    moves, shown = (inputs - before)[is_single], (rows - before)[is_single]
    assert (moves != 0).any(0)[:2].all()
    torch.testing.assert_close(shown, moves * torch.tensor([1.0, 0.1, 0.0]))
    is_other = ~is_single & (places != 5)
    assert torch.equal(rows[is_other], before[is_other])


def test_moves_to_common_ends_of_a_range_are_reconstructed(odd_cells):
    two_ends = replace(odd_cells, has_two_ends=torch.tensor([False, True, False]))
    rows = draw_rows(400, 3)
    inputs, _ = two_ends.move_(rows, None)
    assert torch.equal(rows, inputs)


def test_processes_move_their_own_rows_as_one_process_does(odd_cells):
    rows = draw_rows(37, 3)
    whole = rows.clone()
    inputs, weights = odd_cells.move_(whole, None)
    for places in (torch.arange(0, 20), torch.arange(20, 37)):
        own = rows[places]
        odd_cells.generator.manual_seed(0)
        own_inputs, own_weights = odd_cells.move_(own, None, places=places, n_rows=37)
        assert torch.equal(own, whole[places])
        assert torch.equal(own_inputs, inputs[places])
        assert torch.equal(own_weights, weights[places])


def test_given_weights_of_rows_are_reduced(odd_cells):
    rows, given = torch.zeros(40, 3), torch.arange(1.0, 41)
    _, weights = odd_cells.move_(rows, given)
    assert torch.equal(given, torch.arange(1.0, 41))
    assert (weights <= given).all()
    assert torch.equal(weights[[1, 3, 4]], given[[1, 3, 4]])


def test_moves_that_pca_does_not_follow_count_least():
    """PCA's weighted error of a shifted row is about that of an ordinary row."""
    parts = torch.ones(4), -100 * torch.ones(4), 100 * torch.ones(4)
    sums = []
    for leverage in (0.0, 0.5, 1.0):
        generator = torch.Generator().manual_seed(0)
        cells = OddCells(*parts, torch.full((4,), leverage), generator)
        inputs, weights = cells.move_(torch.zeros(1000, 4), None)
        is_odd = torch.isin(torch.arange(1000) % 10, MOVED)
        errors = 1 + (1 - leverage) * inputs[is_odd].square().sum(-1) / 4
        torch.testing.assert_close(weights[is_odd] * errors, torch.ones(300))
        sums.append(float(weights.sum()))
    assert sums == sorted(sums)
