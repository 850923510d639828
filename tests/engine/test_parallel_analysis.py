"""Number of principal components by parallel analysis."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils import check_random_state

from skae import AutoencoderTransformer
from skae._engine.start.parallel_analysis import count_components
from skae._engine.tables.rows import sample_evenly


def make_factors(n_samples, n_features, n_factors, seed=0):
    """Return rows that depend on some factors, with noise in every column."""
    generator = check_random_state(seed)
    factors = generator.normal(size=(n_samples, n_factors))
    signal = factors @ generator.normal(size=(n_factors, n_features))
    return signal + generator.normal(size=(n_samples, n_features))


@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_factors"), [(200, 10, 3), (600, 40, 5), (80, 200, 4)]
)
def test_factors_are_counted(n_samples, n_features, n_factors):
    assert count_components(make_factors(n_samples, n_features, n_factors)) == n_factors


@pytest.mark.parametrize("seed", range(3))
def test_columns_without_relation_give_one(seed):
    assert count_components(check_random_state(seed).normal(size=(100, 8))) == 1


def test_units_do_not_matter():
    X = make_factors(200, 10, 3)
    assert count_components(X * 1e-200) == count_components(X * 1e200 + 1e150) == 3


def test_sparse_missing_and_weighted_rows():
    X = make_factors(300, 30, 3)
    assert count_components(sparse.csr_matrix(X)) == 3
    holes = X.copy()
    holes[::10, 2] = np.nan
    assert count_components(holes) == 3
    others = np.vstack([X, check_random_state(1).normal(size=(300, 30)) * 20])
    weights = np.r_[np.ones(300), np.full(300, 1e-9)]
    assert count_components(others, weights) == 3


@pytest.mark.parametrize("X", [np.zeros((5, 3)), np.ones((2, 1)), np.eye(3)])
def test_uninformative_tables_give_one_component(X):
    assert count_components(X) == 1


def test_rows_are_sampled_evenly_by_their_weights():
    assert sample_evenly(4, 20).tolist() == [0, 1, 2, 3]
    assert sample_evenly(4, 20, np.array([0.0, 2.0, 1.0, 1.0])).tolist() == [1, 1, 2, 3]
    indices = sample_evenly(10**6, 512)
    assert len(indices) == 512
    assert np.ptp(np.diff(indices)) <= 1


@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
def test_auto_asks_for_as_many_codes_and_keeps_their_number():
    X = make_factors(120, 30, 3)
    params = {"hidden_layer_sizes": (8,), "max_iter": 1, "random_state": 0, "early_stopping": False}
    model = AutoencoderTransformer("auto", warm_start=True, **params).fit(X)
    assert model.n_components_ == 3
    assert model.fit(X[:, ::-1]).n_components_ == 3
    assert model.partial_fit(X[:5]).transform(X).shape == (120, 3)
    assert AutoencoderTransformer("auto", nested=True, **params).fit(X).score_curve_.shape == (3,)
