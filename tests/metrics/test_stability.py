"""Agreement of codes between fits with different seeds."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.metrics import code_stability


class Turned(TransformerMixin, BaseEstimator):
    """PCA with randomly rotated codes, and optionally noise."""

    def __init__(self, n_components=3, noise=0.0, random_state=None):
        self.n_components = n_components
        self.noise = noise
        self.random_state = random_state

    def fit(self, X, y=None):
        self.generator_ = np.random.default_rng(self.random_state)
        square = self.generator_.normal(size=(self.n_components, self.n_components))
        self.rotation_ = np.linalg.qr(square)[0]
        self.pca_ = PCA(self.n_components, whiten=True).fit(X)
        return self

    def transform(self, X):
        codes = self.pca_.transform(X) @ self.rotation_
        return codes + self.noise * self.generator_.normal(size=codes.shape)

    def inverse_transform(self, codes):
        return self.pca_.inverse_transform(codes @ self.rotation_.T)


class Permuted(Turned):
    """PCA with order and signs of codes that depend on the seed."""

    def fit(self, X, y=None):
        super().fit(X)
        order = self.generator_.permutation(self.n_components)
        signs = self.generator_.choice([-1, 1], self.n_components)
        self.rotation_ = np.eye(self.n_components)[order] * signs
        return self


class Grown(Turned):
    """PCA with one code more for each seed."""

    def fit(self, X, y=None):
        self.n_components = 1 + self.random_state
        return super().fit(X)


X = load_iris().data


def test_codes_without_randomness_are_stable():
    stability = code_stability(PCA(3), X, n_seeds=2)
    np.testing.assert_allclose(stability.from_all, 1)
    np.testing.assert_allclose(stability.from_one, 1)


def test_rotations_show_in_single_codes_alone():
    stability = code_stability(Turned(), X, n_seeds=3)
    np.testing.assert_allclose(stability.from_all, 1)
    assert stability.from_one.max() < 0.95


def test_order_and_sign_do_not_count():
    stability = code_stability(Permuted(), X, n_seeds=3)
    np.testing.assert_allclose(stability.from_one, 1)


def test_noise_of_known_size_gives_the_expected_r2():
    """R2 is 1 / (1 + s^2)^2 between codes with independent noise of variance s^2."""
    many = np.random.default_rng(0).normal(size=(4000, 3)) * [3, 2, 1]
    stability = code_stability(Permuted(noise=0.5), many, n_seeds=2)
    np.testing.assert_allclose(stability.from_one, 1 / 1.25**2, atol=0.06)
    np.testing.assert_allclose(stability.from_all, 1 / 1.25**2, atol=0.06)


def test_seeds_reach_every_part_of_a_pipeline_and_the_estimator_is_not_changed():
    pipeline = make_pipeline(StandardScaler(), Turned(random_state=7))
    assert code_stability(pipeline, X, n_seeds=2).from_one.max() < 0.95
    assert pipeline[-1].random_state == 7
    assert not hasattr(pipeline[-1], "pca_")


def test_one_fit_alone_is_refused():
    for n_seeds in [1, 0, 2.5, None]:
        with pytest.raises(ValueError, match="`n_seeds` must be a whole number of at least 2"):
            code_stability(PCA(2), X, n_seeds=n_seeds)


def test_fits_of_different_numbers_of_codes_are_refused():
    with pytest.raises(ValueError, match=r"the same number of codes. Got \[1, 2\]"):
        code_stability(Grown(), X, n_seeds=2)
