"""Rows with giant cells are left out of a fit, with a warning."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae._engine import find_rows_without_giants
from skae.exceptions import OutlyingCellWarning

pytestmark = [
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.PosteriorCollapseWarning"),
]
QUICK = {"max_iter": 3, "early_stopping": False, "random_state": 0}
FAMILIES = {
    "plain": AutoencoderTransformer(3, **QUICK),
    "folds": AutoencoderTransformer(3, max_iter=3, random_state=0),
    "auto": AutoencoderTransformer("auto", **QUICK),
    "nested": AutoencoderTransformer(3, **QUICK, nested=True),
    "masked": AutoencoderTransformer(3, **QUICK, missing="mask"),
    "batch_loss": AutoencoderTransformer(
        3, **QUICK, loss=lambda output, target: (output - target).square().mean()
    ),
    "variational": VariationalAutoencoderTransformer(3, **QUICK),
    "adversarial": AdversarialAutoencoderTransformer(3, max_iter=3, random_state=0),
    "sparse": SparseAutoencoderTransformer(20, n_active=3, **QUICK),
}
FAST = {"folds", "masked", "variational", "adversarial"}


@pytest.fixture(scope="module")
def wine():
    return StandardScaler().fit_transform(load_wine().data)


@pytest.fixture(scope="module")
def with_giants(wine):
    """The table with three rows that have one giant cell or two."""
    X = wine.copy()
    X[7, 2], X[9, :2], X[100, 5] = 1e5, 1e12, -1e30
    return X


def leave_out(X):
    return np.delete(X, [7, 9, 100], axis=0)


def assert_equal_fits(model, other, rows):
    own, others = (one.inverse_transform(one.transform(rows)) for one in (model, other))
    np.testing.assert_array_equal(own, others)
    assert model.reconstruction_error_ == other.reconstruction_error_


@pytest.mark.parametrize(
    "family",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def test_a_fit_with_giant_cells_is_that_without_their_rows(family, wine, with_giants):
    models = [type(FAMILIES[family])(**FAMILIES[family].get_params()) for _ in range(2)]
    with pytest.warns(OutlyingCellWarning, match=r"leaves out 3 rows with such cells"):
        models[0].fit(with_giants)
    assert_equal_fits(models[0], models[1].fit(leave_out(wine)), wine)


def test_containers_weights_groups_and_splits_lose_the_same_rows(tmp_path, wine, with_giants):
    n_rows = len(wine)
    weights, groups = np.linspace(0.5, 1.5, n_rows), np.arange(n_rows) // 4
    folds = np.where(groups % 5, -1, 0)
    plain = AutoencoderTransformer(3, max_iter=3, random_state=0)
    np.save(tmp_path / "rows.npy", with_giants)
    stored = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for table in (sparse.csr_array(with_giants), stored):
        expected = AutoencoderTransformer(3, **QUICK).fit(
            leave_out(wine) if table is stored else sparse.csr_array(leave_out(wine))
        )
        with pytest.warns(OutlyingCellWarning):
            assert_equal_fits(AutoencoderTransformer(3, **QUICK).fit(table), expected, wine)
    for given in ({"sample_weight": weights}, {"groups": groups}):
        others = {name: leave_out(values) for name, values in given.items()}
        with pytest.warns(OutlyingCellWarning):
            model = AutoencoderTransformer(**plain.get_params()).fit(with_giants, **given)
        assert_equal_fits(model, plain.fit(leave_out(wine), **others), wine)
    fits = []
    for table, places in ((with_giants, folds), (leave_out(wine), leave_out(folds))):
        params = {"validation_fraction": PredefinedSplit(places), "max_iter": 3, "random_state": 0}
        fits.append(AutoencoderTransformer(3, **params))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutlyingCellWarning)
            fits[-1].fit(table)
    assert_equal_fits(*fits, wine)


def test_a_split_needs_rows_without_giant_cells_on_both_sides(with_giants):
    folds = np.where(np.arange(len(with_giants)) == 7, 0, -1)
    model = AutoencoderTransformer(3, validation_fraction=PredefinedSplit(folds), max_iter=3)
    with (
        pytest.warns(OutlyingCellWarning),
        pytest.raises(ValueError, match="Got 175 and 0 rows of positive weight"),
    ):
        model.fit(with_giants)


def test_chunks_of_a_fit_lose_rows_with_giant_cells(wine, with_giants):
    models = []
    for table in (with_giants, wine):
        models.append(AutoencoderTransformer(3, max_iter=3, random_state=0))
        for start in (0, 60, 120):
            rows = np.arange(start, min(start + 60, len(wine)))
            if table is with_giants and start < 120:
                with pytest.warns(OutlyingCellWarning):
                    models[-1].partial_fit(table[rows])
            else:
                models[-1].partial_fit(table[np.setdiff1d(rows, [7, 9, 100])])
    assert_equal_fits(*models, wine)


def find(X, masked=False):
    """Return the numbers of the rows that are left out."""
    kept = find_rows_without_giants(X, masked=masked)
    return [] if kept is None else np.flatnonzero(~kept).tolist()


@pytest.mark.filterwarnings("error::skae.exceptions.OutlyingCellWarning")
def test_long_tails_outliers_and_frequent_large_cells_are_part_of_a_table(wine):
    rng = np.random.default_rng(0)
    amounts = np.where(np.arange(1000) % 8, 0.0, rng.lognormal(12, 1, 1000))
    for X in (
        rng.lognormal(0, 2, (1000, 10)),
        rng.pareto(1.5, (1000, 10)),
        np.column_stack([rng.normal(size=(1000, 3)), amounts]),
        np.vstack([wine, 300 * wine[:1]]),
        np.zeros((20, 3)),
        1e300 * rng.normal(size=(100, 3)),
        # Powers of ten without a gap.
        np.column_stack([rng.normal(size=(1000, 3)), 10 ** rng.uniform(-3, 8, 1000)]),
    ):
        assert find(X) == []


def test_columns_need_values_in_rows_without_giant_cells(with_giants):
    X = with_giants.copy()
    X[:, 10] = np.where(np.arange(len(X)) == 7, 1, np.nan)
    with (
        pytest.warns(OutlyingCellWarning),
        pytest.raises(ValueError, match="NaN only in column 10"),
    ):
        AutoencoderTransformer(3, **QUICK, missing="mask").fit(X)


def test_giant_cells_are_found_beside_missing_cells_and_in_sparse_tables(with_giants):
    X = with_giants.copy()
    X[::3, 1], X[20, 3:], X[:, 9] = np.nan, np.nan, np.nan
    with pytest.warns(OutlyingCellWarning, match="A column of X"):
        assert find(X, masked=True) == [7, 9, 100]
    with pytest.warns(OutlyingCellWarning, match=r"Column 5 of X .* 1e\+30 from the median"):
        assert find(sparse.csr_matrix(with_giants)) == [7, 9, 100]


def test_a_warning_says_that_rows_with_giant_cells_are_too_many_to_leave_out(wine):
    for n_rows, n_giant in ((178, 6), (40, 3)):
        X = wine[:n_rows].copy()
        X[:n_giant, 2] = 1e8
        with pytest.warns(OutlyingCellWarning, match=f"may be about {n_giant} rows with such"):
            assert find(X) == []


@pytest.mark.slow
def test_giant_cells_of_wide_sparse_tables_take_little_memory():
    X = sparse.random(600, 20_000, 5e-4, "lil", random_state=0)
    X[7, 2] = 1e6
    tracemalloc.start()
    with pytest.warns(OutlyingCellWarning):
        assert find(X.tocsr()) == [7]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 0.9 * 8 * np.prod(X.shape)
