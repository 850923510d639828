"""Tables read in blocks: rows equal those of an array, with few blocks in memory."""

import numpy as np
import pytest
import torch

from skae._engine.start.one_pass import OnePass
from skae._engine.start.principal_components import find_principal_components
from skae._engine.tables import stored
from skae._engine.tables.columns import describe_columns, find_bounds
from skae._engine.tables.stored import StoredTable

BOUNDS = [0, 7, 7, 8, 20, 33, 50, 60]


@pytest.fixture
def two_blocks(monkeypatch):
    """Limit the memory to two blocks, the minimum."""
    monkeypatch.setattr(stored, "_BYTES_KEPT", 0)


def store(X, bounds=BOUNDS):
    """Return a stored table, and the list of blocks it has read."""
    read = []

    def read_block(i):
        read.append(i)
        return X[bounds[i] : bounds[i + 1]]

    return StoredTable(read_block, bounds, X.shape[1:], X.dtype), read


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(60, 3, 2)).astype(np.float32)


@pytest.mark.usefixtures("two_blocks")
def test_rows_are_those_of_an_array(X):
    table, _ = store(X)
    rng = np.random.default_rng(1)
    for start, stop in [(0, 60), (5, 9), (7, 7), (8, 20), (59, 60), (0, 0), (21, 22)]:
        np.testing.assert_array_equal(table[start:stop], X[start:stop])
    for rows in [
        rng.permutation(60),
        rng.integers(0, 60, 200),
        np.array([], dtype=int),
        [3, 3, 59],
    ]:
        np.testing.assert_array_equal(table[rows], X[rows])
    mask = rng.random(60) < 0.4
    np.testing.assert_array_equal(table[mask][:], X[mask])
    np.testing.assert_array_equal(table.flatten()[rng.permutation(60)[:9]].shape, (9, 6))
    np.testing.assert_array_equal(np.asarray(table), X)


@pytest.mark.usefixtures("two_blocks")
def test_a_shuffled_pass_reads_every_block_once(X):
    table, read = store(X)
    held_out = np.arange(60) % 10 == 3
    rows = torch.from_numpy(np.flatnonzero(~held_out))
    order = table.draw_order(rows, torch.Generator().manual_seed(0))
    assert order.sort().values.tolist() == list(range(len(rows)))
    for some in rows[order].split(4):
        table[some.numpy()]
    # One block at a time is shuffled, and the block before may be needed again.
    assert sorted(read) == [0, 2, 3, 4, 5, 6]
    other = table.draw_order(rows, torch.Generator().manual_seed(1))
    assert other.tolist() != order.tolist()


def test_a_table_that_is_kept_is_shuffled_as_an_array_is(X):
    table, read = store(X)
    orders = [
        table.draw_order(torch.arange(60), torch.Generator().manual_seed(0)),
        torch.randperm(60, generator=torch.Generator().manual_seed(0)),
    ]
    assert orders[0].tolist() == orders[1].tolist()
    for _ in range(3):
        table[orders[0].numpy()]
    assert len(read) == 6


def test_a_block_of_another_length_is_refused(X):
    table = StoredTable(lambda i: X[:5], [0, 6], X.shape[1:], X.dtype)
    with pytest.raises(ValueError, match="6 rows of shape"):
        table[:]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("first_giant", [0, 40])
def test_one_pass_gives_the_statistics_of_many(monkeypatch, precision, first_giant):
    monkeypatch.setattr("skae._engine.start.one_pass._CELLS_AT_ONCE", 60)
    monkeypatch.setattr("skae._engine.start.principal_components._CHEAP_PRODUCTS", 0)
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6)) + [0, 0, 5, 1e4, 0, 0], 1)
    X = X.clip(-1, None).astype(np.float32)
    X[:, 5] = 2
    X[first_giant:, 0] *= 1000
    shares = rng.random(60) * (np.arange(60) % 4 > 0)
    shares /= shares.sum()
    table, read = store(X)
    one_pass = OnePass(table, precision)
    found, expected = one_pass.describe_columns(shares), describe_columns(X, shares)
    for name in ("mean", "variance", "lowest", "highest"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-9
        )
    for own, other in zip(find_bounds(table, found), find_bounds(X, expected), strict=True):
        np.testing.assert_array_equal(own, other)
    axes = find_principal_components(X, expected, shares, 3)
    own = find_principal_components(
        table, found, shares, 3, find_covariance=one_pass.find_covariance
    )
    np.testing.assert_allclose(own.explained_variance, axes.explained_variance, rtol=1e-9)
    np.testing.assert_allclose(own.components, axes.components, atol=1e-9)
    assert len(read) <= 2 * 6


@pytest.mark.usefixtures("two_blocks")
def test_a_wide_table_is_decomposed_in_five_readings(monkeypatch, X):
    components = "skae._engine.start.principal_components"
    monkeypatch.setattr(f"{components}._MAX_COVARIANCE_FEATURES", 0)
    monkeypatch.setattr(f"{components}._MAX_GRAM_SAMPLES", 0)
    monkeypatch.setattr(f"{components}._N_OVERSAMPLES", 2)
    rows = X.reshape(60, 6) * [5, 4, 3, 0.1, 0.1, 0.1]
    shares = np.full(60, 1 / 60)
    statistics = describe_columns(rows, shares)
    table, read = store(rows)
    found = find_principal_components(table, statistics, shares, 2)
    covariance = np.cov(rows.T, bias=True)
    np.testing.assert_allclose(
        found.explained_variance, np.linalg.eigvalsh(covariance)[:-3:-1], rtol=1e-6
    )
    assert len(read) == 5 * 6
