"""Scales, bounds, schedules and batches of training."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.utils import check_random_state
from skorch.callbacks import Callback

from skae._engine.compute.seeds import make_generators
from skae._engine.steps.schedules import SCHEDULES, LearningRates
from skae._engine.tables.batches import OrderedBatches, ShuffledBatches, WeightedRows, count_batches
from skae._engine.tables.columns import describe_columns, find_bounds
from skae._engine.tables.rows import DenseRows, chunk_slices
from skae._engine.tables.standardization import Standardization

SECONDS = 1.7e9 + np.arange(100.0) / 8


def equal_shares(n_samples):
    return np.full(n_samples, 1 / n_samples)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_columns_far_from_zero_keep_their_digits(dtype):
    X = np.column_stack([SECONDS, np.linspace(-1, 1, 100)])
    standardization = Standardization(X.mean(axis=0), 4.0, dtype)
    standardised = standardization.apply(X)
    assert standardised.dtype == dtype
    np.testing.assert_allclose(standardization.invert(standardised), X, rtol=0, atol=1e-6)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_columns_are_described_by_their_weighted_moments(convert):
    generator = check_random_state(0)
    X = generator.normal(size=(50, 4)) * (generator.uniform(size=(50, 4)) < 0.4)
    weights = generator.uniform(size=50)
    statistics = describe_columns(convert(X), weights / weights.sum())
    mean = np.average(X, axis=0, weights=weights)
    np.testing.assert_allclose(statistics.mean, mean)
    np.testing.assert_allclose(
        statistics.variance, np.average((X - mean) ** 2, axis=0, weights=weights)
    )
    np.testing.assert_array_equal(statistics.lowest, X.min(axis=0))
    np.testing.assert_array_equal(statistics.highest, X.max(axis=0))


def test_the_variance_of_columns_far_from_zero_keeps_its_digits():
    statistics = describe_columns(SECONDS[:, None], equal_shares(100))
    assert statistics.variance[0] == pytest.approx(np.var(np.arange(100) / 8), rel=1e-9)


def bounds_of(X, convert=np.asarray):
    return find_bounds(convert(X), describe_columns(convert(X), equal_shares(len(X))))


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_values_that_pile_up_at_an_end_are_taken_for_a_bound(convert):
    X = check_random_state(0).normal(size=(200, 3))
    X[:, 0] = X[:, 0].clip(-0.5, 1)
    lower, upper = bounds_of(X, convert)
    np.testing.assert_array_equal(lower, [-0.5, -np.inf, -np.inf])
    np.testing.assert_array_equal(upper, [1, np.inf, np.inf])


def test_a_bound_of_the_whole_table_is_one_of_every_column(images):
    # Some pixels never reach 1, but have the range of the others.
    pixels = images[:, images.max(axis=0) > 0]
    assert (pixels.max(axis=0) < 1).any()
    lower, upper = bounds_of(pixels)
    np.testing.assert_array_equal(lower, np.zeros(pixels.shape[1]))
    np.testing.assert_array_equal(upper, np.ones(pixels.shape[1]))


def test_a_few_equal_values_are_no_bound():
    X = check_random_state(0).normal(size=(200, 3))
    X[:9, 0] = X[:, 0].max()
    assert np.isinf(bounds_of(X)).all()


def test_one_cycle_rises_and_falls():
    factors = np.array([SCHEDULES["one_cycle"](share) for share in np.linspace(0, 1, 101)])
    peak = factors.argmax()
    assert 0 < peak < 50
    assert factors[peak] == pytest.approx(1, abs=1e-3)
    assert (np.diff(factors[: peak + 1]) > 0).all()
    assert (np.diff(factors[peak:]) < 0).all()
    assert 0 < factors[-1] < 0.001 < factors[0] < 0.1


def test_one_cycle_ends_at_a_given_share():
    factors = [SCHEDULES["one_cycle"](share, 0.25) for share in (0, 0.1, 0.55, 1, 1.5)]
    np.testing.assert_allclose(factors, [0.04, 1, 0.625, 0.25, 0.25])


@pytest.mark.parametrize("name", ["constant", "adaptive"])
def test_other_schedules_leave_the_rate_alone(name):
    groups = [{"lr": 0.1}]
    rates = LearningRates(groups, name)
    groups[0]["lr"] = 0.02
    rates.set_(0.5)
    assert groups == [{"lr": 0.02}]


class RateWatcher(Callback):
    """Callback that records the maximum learning rate of each epoch."""

    def __init__(self):
        self.rates = []

    def on_epoch_begin(self, net, **kwargs):
        self.rates.append(max(group["lr"] for group in net.optimizer_.param_groups))


def test_an_adaptive_rate_is_divided_by_five_where_the_loss_hardly_falls(quick, images):
    watcher = RateWatcher()
    quick(
        learning_rate="adaptive",
        max_iter=7,
        learning_rate_init=0.01,
        tol=0.9,
        net_params={"callbacks": [watcher]},
    ).fit(images)
    # The first epoch falls from infinity; any two epochs later fall by less than nine tenths.
    np.testing.assert_allclose(watcher.rates, 0.01 / np.array([1, 1, 1, 5, 5, 25, 25]), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 32, 200])
def test_batches_hold_every_row_once_and_are_of_nearly_equal_size(batch_size):
    for n_rows in (1, 31, 33, 65, 100):
        check_batches(n_rows, batch_size)


def check_batches(n_rows, batch_size):
    dataset = WeightedRows(DenseRows(torch.arange(n_rows).float()[:, None]))
    shuffled = ShuffledBatches(
        dataset, batch_size=batch_size, generator=torch.Generator().manual_seed(0)
    )
    for batches in (shuffled, OrderedBatches(dataset, batch_size=batch_size)):
        parts = [rows.view(-1, 1) for *_, rows, _ in batches]
        assert len(parts) == len(batches) == count_batches(n_rows, batch_size)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        np.testing.assert_array_equal(torch.cat(parts).ravel().sort().values, np.arange(n_rows))


def test_every_epoch_has_another_order():
    dataset = WeightedRows(DenseRows(torch.arange(50.0)[:, None]))
    batches = ShuffledBatches(dataset, batch_size=50, generator=torch.Generator().manual_seed(0))
    first, second = (next(iter(batches))[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_chunks_cover_all_rows_and_none_is_alone():
    for n_rows in [1, 2, 3, 10, 11]:
        slices = chunk_slices((n_rows, 4), cells=8)
        covered = [row for rows in slices for row in range(n_rows)[rows]]
        assert covered == list(range(n_rows))
        assert n_rows == 1 or min(len(range(n_rows)[rows]) for rows in slices) > 1


def test_a_continued_fit_draws_new_numbers():
    draws = [
        [torch.rand(1, generator=generator).item() for generator in make_generators(0, 4, stream=n)]
        for n in (0, 0, 1)
    ]
    assert draws[0] == draws[1]
    assert not set(draws[0]) & set(draws[2])
