"""Training rows with one shifted cell, with many shifted cells, and without."""

import pytest
import torch

from skae._engine.start.odd_cells import OddCells


@pytest.fixture
def odd_cells():
    rows = torch.tensor([[-9.0, -1.0, 0.0], [40.0, 2.0, 0.0]])
    leverage = torch.tensor([0.9, 0.1, 0.0])
    generator = torch.Generator().manual_seed(0)
    return OddCells(torch.tensor([1.0, 1.0, 0.0]), rows[0], rows[1], leverage, generator)


@pytest.mark.parametrize("shape", [(200, 3), (4, 55, 3), (3, 3)], ids=str)
def test_a_fifth_of_the_rows_moves_within_the_ranges_of_the_columns(odd_cells, shape):
    rows = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * torch.tensor([1, 1, 0])
    before = rows.clone()
    weights = odd_cells.move_(rows, None)
    moved = rows != before
    assert (rows >= odd_cells.lowest).all()
    assert (rows <= odd_cells.highest).all()
    places = torch.arange(shape[-2]) % 10
    assert (moved[..., places == 0, :].sum(-1) <= 1).all()
    assert not moved[..., places % 5 != 0, :].any()
    assert (weights[..., places % 5 != 0] == 1).all()
    assert ((weights > 0) & (weights <= 1)).all()
    # The third column is constant.
    assert not moved[..., 2].any()
    if shape[-2] > 10:
        assert moved[..., places == 0, :].any()
        assert moved[..., places == 5, :2].all(-1).any()
        assert ((weights < 1) == moved.any(-1)).all()


def test_processes_move_their_own_rows_as_one_process_does(odd_cells):
    rows = torch.rand(37, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1, 1, 0])
    whole = rows.clone()
    weights = odd_cells.move_(whole, None)
    for places in (torch.arange(0, 20), torch.arange(20, 37)):
        own = rows[places]
        odd_cells.generator.manual_seed(0)
        own_weights = odd_cells.move_(own, None, places=places, n_rows=37)
        assert torch.equal(own, whole[places])
        assert torch.equal(own_weights, weights[places])


def test_given_weights_of_rows_are_reduced(odd_cells):
    rows, given = torch.zeros(40, 3), torch.arange(1.0, 41)
    weights = odd_cells.move_(rows, given)
    assert torch.equal(given, torch.arange(1.0, 41))
    assert (weights <= given).all()
    assert torch.equal(weights[1:5], given[1:5])


def test_moves_that_pca_does_not_follow_count_least():
    """The weighted error of a shifted row is about that of an ordinary row."""
    parts = torch.ones(4), -100 * torch.ones(4), 100 * torch.ones(4)
    sums = []
    for leverage in (0.0, 0.5, 1.0):
        generator = torch.Generator().manual_seed(0)
        rows = torch.zeros(1000, 4)
        cells = OddCells(*parts, torch.full((4,), leverage), generator)
        weights = cells.move_(rows, None)[::5]
        errors = 1 + (1 - leverage) * rows[::5].square().sum(-1) / 4
        torch.testing.assert_close(weights * errors, torch.ones(200))
        sums.append(float(weights.sum()))
    assert sums == sorted(sums)
