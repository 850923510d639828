"""Beyond all rows of the fit, what the network has learnt fades and PCA is left."""

import numpy as np
import pytest
from sklearn.datasets import make_swiss_roll
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer


@pytest.fixture(scope="module")
def roll():
    """Rows that a network reconstructs far better than PCA does."""
    return make_swiss_roll(300, random_state=0)[0]


@pytest.fixture(scope="module")
def fitted(roll):
    """An autoencoder of all of them."""
    params = {"early_stopping": False, "max_iter": 60, "random_state": 0}
    return AutoencoderTransformer(2, **params).fit(roll)


def squared_errors(estimator, X):
    """Return the squared error of each row."""
    return np.square(X - estimator.inverse_transform(estimator.transform(X))).sum(axis=1)


@pytest.mark.parametrize("factor", [10, 1000])
def test_far_rows_are_reconstructed_as_by_pca(fitted, roll, factor):
    far = roll.mean(axis=0) + factor * (roll - roll.mean(axis=0))
    pca = PCA(2).fit(roll)
    assert squared_errors(fitted, roll).sum() < 0.5 * squared_errors(pca, roll).sum()
    assert squared_errors(fitted, far).sum() < 1.05 * squared_errors(pca, far).sum()


def test_rows_of_the_fit_are_within_reach(fitted, roll):
    before = fitted.transform(roll)
    reach, fitted.net_.module_.reach = fitted.net_.module_.reach, None
    without = fitted.transform(roll)
    fitted.net_.module_.reach = reach
    np.testing.assert_allclose(before, without, rtol=1e-5, atol=1e-5)


def test_the_reach_grows_as_a_fit_goes_on(roll):
    model = AutoencoderTransformer(2, random_state=0).partial_fit(roll)
    first = model.net_.module_.reach
    model.partial_fit(roll[:50])
    assert (model.net_.module_.reach >= first).all()


def test_codes_of_any_size_are_decoded_without_pca():
    X = np.random.default_rng(0).normal(size=(50, 4))
    model = AutoencoderTransformer(2, init="random", max_iter=2, random_state=0).fit(X)
    assert model.net_.module_.reach is None
