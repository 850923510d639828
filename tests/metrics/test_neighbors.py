"""Shares of kept neighbours: comparison with scikit-learn's search, and errors."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skae.metrics import (
    _neighbors,
    code_correlation,
    continuity,
    neighborhood_hit,
    neighbors_kept,
    neighbors_kept_score,
)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(90, 6)) + 1


def count_by_search(X, codes, k, metric, first=0):
    """Count kept neighbours of rows from `first` on by scikit-learn and sets."""
    if first:
        searches = [
            NearestNeighbors(n_neighbors=k, metric=metric).fit(t[:first]) for t in (X, codes)
        ]
        found = [s.kneighbors(t[first:])[1] for s, t in zip(searches, (X, codes), strict=True)]
    else:
        searches = [NearestNeighbors(n_neighbors=k, metric=metric).fit(t) for t in (X, codes)]
        found = [search.kneighbors()[1] for search in searches]
    return np.mean([len(set(a) & set(b)) for a, b in zip(*found, strict=True)]) / k


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("first", [0, 60])
def test_share_is_that_of_a_search(X, metric, first, monkeypatch):
    monkeypatch.setattr(_neighbors, "_MAX_CELLS", 500)
    codes = X[:, :3]
    n_queries = len(X) - first if first else None
    kept = neighbors_kept(X, codes, k=4, metric=metric, n_queries=n_queries)
    assert kept == pytest.approx(count_by_search(X, codes, 4, metric, first))


def test_sparse_rows_are_as_dense_ones(X):
    X = X * (X > 1)
    codes = PCA(2).fit_transform(X)
    assert neighbors_kept(sparse.csr_matrix(X), codes) == neighbors_kept(X, codes)


def test_metric_of_the_codes_may_be_another(X):
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert neighbors_kept(X, unit, code_metric="euclidean") == 1
    assert neighbors_kept(X, X, code_metric="euclidean") < 1


def test_score_of_a_transformer_is_that_of_its_codes(X):
    pca = PCA(3).fit(X)
    assert neighbors_kept_score(pca, X) == neighbors_kept(X, pca.transform(X))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": 0}, "`k` must be a whole number from 1 to 89"),
        ({"k": 90}, "`k` must be a whole number from 1 to 89"),
        ({"k": 81, "n_queries": 10}, "from 1 to 80"),
        ({"metric": "manhattan"}, "`metric` must be one of"),
        ({"code_metric": "manhattan"}, "`code_metric` must be one of"),
        ({"n_queries": 0}, "`n_queries` must be a whole number"),
    ],
)
def test_wrong_parameters_are_refused(X, params, message):
    with pytest.raises(ValueError, match=message):
        neighbors_kept(X, X, **params)


def test_as_many_codes_as_rows_are_needed(X):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        neighbors_kept(X, X[:-1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_unit_and_the_origin_of_tables_have_no_influence(metric):
    X = np.random.default_rng(0).normal(size=(80, 6))
    codes = X[:, :3] + 0.1 * X[:, 3:]
    moves = [(2.0**900, 0), (2.0**-900, 0)] + [(1, 2.0**30)] * (metric == "euclidean")
    for unit, shift in moves:
        # Rounded like the moved table, so that distances are equal.
        rows = X + shift - shift
        moved = (rows + shift) * unit
        expected = neighbors_kept(rows, codes, metric=metric)
        assert neighbors_kept(moved, codes, metric=metric) == expected
        assert neighbors_kept(codes, moved, metric=metric) == expected
        assert continuity(moved, codes) == continuity(rows, codes)
        assert continuity(codes, moved) == continuity(codes, rows)
        assert code_correlation(moved) == pytest.approx(code_correlation(rows), abs=1e-12)
        labels = rows[:, 0] > 0
        assert neighborhood_hit(moved, labels) == neighborhood_hit(rows, labels)
