"""Epochs prepared in advance are those that would be drawn when they begin."""

from functools import partial

import torch

from skae._engine.start.odd_cells import OddCells
from skae._engine.tables.batches import ShuffledBatches, WeightedRows
from skae._engine.tables.epochs_ahead import SHARED_EPOCHS, EpochsAhead, SharedEpochs
from skae._engine.tables.rows import DenseRows


def make_epochs(generator, n_cells=100):
    def prepare(drawn):
        lengths.append(len(drawn))
        return drawn

    lengths: list[int] = []
    epochs = EpochsAhead([generator], n_cells)
    return partial(epochs.take, lambda: torch.rand(3, generator=generator), prepare), lengths


def test_draws_and_states_are_those_of_epochs_drawn_one_by_one():
    ahead, plain = (torch.Generator().manual_seed(0) for _ in range(2))
    take, lengths = make_epochs(ahead)
    for _ in range(20):
        assert torch.equal(take(), torch.rand(3, generator=plain))
        assert torch.equal(ahead.get_state(), plain.get_state())
    assert lengths == [1, 2, 4, 8, 16]


def test_epochs_are_drawn_again_if_others_draw_in_between():
    ahead, plain = (torch.Generator().manual_seed(0) for _ in range(2))
    take, lengths = make_epochs(ahead)
    for _ in range(8):
        assert torch.equal(take(), torch.rand(3, generator=plain))
        assert torch.equal(torch.randn(2, generator=ahead), torch.randn(2, generator=plain))
    assert lengths == [1, 2] + [1] * 6


def test_epochs_continue_from_a_restored_state():
    generator = torch.Generator().manual_seed(0)
    take, _ = make_epochs(generator)
    for _ in range(4):
        state = generator.get_state()
        first = take()
    generator.set_state(state)
    assert torch.equal(take(), first)


def test_large_epochs_are_prepared_one_by_one():
    take, lengths = make_epochs(torch.Generator(), n_cells=10**6)
    for _ in range(3):
        take()
    assert lengths == [1, 1, 1]


def test_batches_prepared_together_are_those_prepared_alone():
    """Even the last bits are equal, so that a fit can resume at any epoch."""
    rows = torch.randn(178, 13, generator=torch.Generator().manual_seed(0))
    lowest, highest = rows.aminmax(dim=0)
    weights = torch.rand(178, generator=torch.Generator().manual_seed(1))
    batches = []
    for _ in range(2):
        cells = OddCells(rows.std(0), lowest, highest, torch.rand(13), torch.Generator())
        cells.leverage.copy_(torch.arange(13) / 13)
        own = WeightedRows(DenseRows(rows), weights)
        generator = torch.Generator().manual_seed(2)
        batches.append(ShuffledBatches(own, batch_size=36, generator=generator, odd_cells=cells))
    together, alone = batches
    alone.epochs.most_at_once = 1
    for _ in range(12):
        for first, second in zip(together, alone, strict=True):
            assert all(map(torch.equal, first, second))
    assert together.epochs.n_at_once == 16


def take_shared(shared, seed, table, n_epochs=5):
    """Return epochs of a fit that shares them, the state after them, and how many it prepared."""

    def prepare(drawn):
        lengths.append(len(drawn))
        return [(table * own,) for own in drawn]

    lengths: list[int] = []
    generator = torch.Generator().manual_seed(seed)
    epochs = EpochsAhead([generator], 100, [table, None])
    token = SHARED_EPOCHS.set(shared)
    try:
        taken = [
            epochs.take(lambda: torch.rand(3, generator=generator), prepare)[0]
            for _ in range(n_epochs)
        ]
    finally:
        SHARED_EPOCHS.reset(token)
    return torch.stack(taken), generator.get_state(), sum(lengths)


def test_fits_with_equal_tables_and_seeds_share_epochs():
    shared, table = SharedEpochs(2**20), torch.ones(3)
    first, state, n_prepared = take_shared(shared, 0, table)
    again, same_state, n_anew = take_shared(shared, 0, table.clone(), n_epochs=7)
    assert torch.equal(again[:5], first)
    assert n_prepared == 7
    assert n_anew == 0
    assert torch.equal(take_shared(shared, 0, table)[1], state)
    assert not torch.equal(same_state, state)
    # Other seeds, tables, or equal bytes of another type.
    for seed, other in ((1, table), (0, 2 * table), (0, table.view(torch.int32))):
        own, _, n_own = take_shared(shared, seed, other)
        assert n_own == 7
        assert torch.equal(own, take_shared(None, seed, other)[0])


def test_shared_epochs_take_no_more_memory_than_there_is():
    shared = SharedEpochs(30_000)
    for seed in range(4):
        take_shared(shared, seed, torch.ones(3))
    assert 0 < shared.n_bytes <= 30_000
    assert take_shared(shared, 0, torch.ones(3))[2] > 0
