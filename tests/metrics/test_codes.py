"""Neighbourhoods, correlations and activity of codes against computations by hand."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances

from skae.metrics import active_units, code_correlation, continuity, neighborhood_hit


def compute_continuity(X, codes, k):
    """Follow the formula of Venna and Kaski, row by row."""
    n = len(X)

    def rank(table):
        distances = pairwise_distances(table)
        np.fill_diagonal(distances, -1)
        return np.argsort(np.argsort(distances, axis=1), axis=1)

    in_table, in_codes = rank(X), rank(codes)
    lost = (in_table >= 1) & (in_table <= k) & (in_codes > k)
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * np.sum((in_codes - k)[lost])


@pytest.mark.parametrize("k", [1, 5, 12])
def test_continuity_is_that_of_the_formula(k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    codes = X[:, :2] ** 3
    assert continuity(X, codes, n_neighbors=k) == pytest.approx(compute_continuity(X, codes, k))


def test_continuity_falls_where_codes_tear_and_trustworthiness_where_they_merge():
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    torn = angles[:, None]  # the ends of the line were neighbours on the ring
    assert continuity(ring, torn) < trustworthiness(ring, torn)
    merged = ring[:, :1]  # the upper half of the ring lies on the lower one
    assert trustworthiness(ring, merged) < continuity(ring, merged)


def test_neighborhood_hit_is_counted_by_hand():
    codes = [[0.0], [1.0], [2.1], [9.0]]
    # Nearest to 0 is 1, to 1 is 0, to 2.1 is 1, to 9 is 2.1.
    assert neighborhood_hit(codes, ["a", "a", "b", "b"], n_neighbors=1) == 3 / 4
    assert neighborhood_hit(codes, ["a", "b", "a", "a"], n_neighbors=1) == 1 / 4


def test_neighborhood_hit_of_random_labels_is_that_of_chance():
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.3
    hit = neighborhood_hit(rng.normal(size=(2000, 2)), y)
    assert hit == pytest.approx(0.3**2 + 0.7**2, abs=0.02)


def test_correlation_is_the_mean_over_pairs():
    codes = np.random.default_rng(0).normal(size=(30, 4)) @ np.triu(np.ones((4, 4)))
    matrix = np.abs(np.corrcoef(codes.T))
    assert code_correlation(codes) == pytest.approx((matrix.sum() - 4) / 12)


def test_codes_of_pca_and_of_the_autoencoder_are_uncorrelated(wine, quick):
    X, _ = wine
    assert code_correlation(PCA(n_components=4).fit_transform(X)) < 1e-12
    assert code_correlation(quick().fit_transform(X)) < 1e-4


def test_codes_that_do_not_vary_are_left_out():
    codes = np.random.default_rng(0).normal(size=(30, 2))
    still = np.column_stack([codes, np.ones(30)])
    assert code_correlation(still) == pytest.approx(code_correlation(codes))
    assert code_correlation(still[:, 1:]) == 0


def test_active_units_vary_more_than_the_threshold():
    codes = np.random.default_rng(0).normal(size=(500, 4)) * [3, 1, 0.2, 0.0]
    assert active_units(codes) == 3
    assert active_units(codes, threshold=0.01 * codes[:, 0].var()) == 2
    assert active_units(codes, threshold=0) == 3


def test_refusals():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        continuity(X, X[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        neighborhood_hit(X, y[:-1])
    with pytest.raises(ValueError, match="`n_neighbors` must be at least 1 .* Got 150"):
        neighborhood_hit(X, y, n_neighbors=150)
    with pytest.raises(ValueError, match="`threshold` must be a variance of at least 0. Got -1"):
        active_units(X, threshold=-1)
    for codes, message in [(X[:1], "Got one row"), (np.where(X > 2, np.nan, X), "Got NaN")]:
        for measure in (code_correlation, active_units):
            with pytest.raises(ValueError, match=f"at least two rows .* {message}"):
                measure(codes)
