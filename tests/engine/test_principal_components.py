"""The initial PCA of networks agrees with scikit-learn's."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from skae._engine.start import principal_components as _principal_components
from skae._engine.start.principal_components import find_principal_components
from skae._engine.tables.columns import describe_columns

# Limits to change so that small tables are treated like large ones.
WAYS = {
    "covariance": {},
    "gram": {"_MAX_COVARIANCE_FEATURES": 0},
    "randomized": {"_MAX_COVARIANCE_FEATURES": 0, "_MAX_GRAM_SAMPLES": 0},
}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    for name, value in WAYS[request.param].items():
        monkeypatch.setattr(_principal_components, name, value)
    return request.param


def find(X, n_components, weights=None):
    shares = np.ones(X.shape[0]) if weights is None else weights
    shares = shares / shares.sum()
    return find_principal_components(X, describe_columns(X, shares), shares, n_components)


def assert_is_pca(found, rows):
    """The axes are those of PCA of the rows, with the sign of their largest entries."""
    pca = PCA(len(found.components)).fit(rows)
    n = len(rows)
    np.testing.assert_allclose(found.explained_variance, pca.explained_variance_ * (n - 1) / n)
    cosines = np.sum(found.components * pca.components_, axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, rtol=1e-6)
    largest = np.abs(found.components).argmax(axis=1)
    assert (found.components[np.arange(len(largest)), largest] > 0).all()


@pytest.fixture
def X(digits):
    """Return a table with more columns than rows, and columns far from zero."""
    return digits[0][:60] + np.arange(64)


def test_components_are_those_of_pca(X, way):
    for layout in [np.asarray, np.asfortranarray, sparse.csr_array]:
        assert_is_pca(find(layout(X), 5), X)


def test_weights_are_repeats(X, way):
    for layout in [np.asarray, sparse.csr_array]:
        weights = np.arange(60) % 4
        assert_is_pca(find(layout(X), 5, weights), np.repeat(X, weights, axis=0))


def test_a_share_of_variance_asks_for_as_few_axes_as_pca(X, way):
    assert_is_pca(find(X, 0.9), X)
    assert len(find(X, 0.9).components) == PCA(0.9).fit(X).n_components_


def test_axes_without_variance_are_left_out(way):
    X = np.outer(np.arange(20.0), np.arange(30.0))
    found = find(X, 4)
    assert len(found.components) == 1
    np.testing.assert_allclose(found.explained_variance, X.var(axis=0).sum())


def test_no_coordinate_of_an_axis_is_denormal_in_single_precision(digits):
    for X in [digits[0][:400], np.diag(np.logspace(0, -60, 20))]:
        coordinates = np.abs(find(X, 5).components)
        assert coordinates[coordinates > 0].min() >= np.finfo(np.float32).tiny


def test_a_giant_cell_leaves_the_other_axes_as_they_are():
    for giant in [1e9, 1e12, -1e14]:
        for shape in [(150, 10), (40, 100)]:
            for dtype in [np.float32, np.float64]:
                rng = np.random.default_rng(0)
                X = (rng.normal(size=(shape[0], 5)) @ rng.normal(size=(5, shape[1]))).astype(dtype)
                X += 0.1 * rng.normal(size=shape)
                X[3, 7] = giant
                found, pca = find(X, 4), PCA(4, svd_solver="full").fit(X.astype(np.float64))
                others = np.arange(shape[0]) != 3
                centred = X[others].astype(np.float64) - pca.mean_
                errors = [
                    np.square(centred - centred @ axes.T @ axes)[:, np.arange(shape[1]) != 7].mean()
                    for axes in (found.components, pca.components_)
                ]
                assert errors[0] == pytest.approx(errors[1], rel=0.01)
