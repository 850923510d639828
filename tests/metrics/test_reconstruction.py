"""Scorers: comparison with scikit-learn, and use in a search."""

import numpy as np
import pandas
import pytest
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae.metrics import _reconstruction, explained_variance, neg_reconstruction_error


def reconstruct(estimator, X):
    return estimator.inverse_transform(estimator.transform(X))


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 3)) @ rng.normal(size=(3, 5)) + 0.1 * rng.normal(size=(60, 5)) + 7


def test_figures_are_those_of_scikit_learn(table):
    model = make_pipeline(StandardScaler(), PCA(n_components=2)).fit(table[:40])
    X = table[40:]
    expected = reconstruct(model, X)
    assert neg_reconstruction_error(model, X) == pytest.approx(-mean_squared_error(X, expected))
    r2 = r2_score(X, expected, multioutput="variance_weighted")
    assert explained_variance(model, X) == pytest.approx(r2)


def test_the_metric_is_minus_the_errors_of_an_autoencoder(digits, quick):
    X, _ = digits
    model = quick().fit(X)
    error = np.mean(model.reconstruction_errors(X))
    assert -neg_reconstruction_error(model, X) == pytest.approx(error, rel=1e-5)
    # On the training rows, whose mean `score` uses.
    assert explained_variance(model, X) == pytest.approx(model.score(X), rel=1e-5)


@pytest.mark.parametrize("scorer", [neg_reconstruction_error, explained_variance])
def test_a_search_chooses_the_best_reconstruction(table, scorer):
    search = GridSearchCV(PCA(), {"n_components": [1, 3, 2]}, scoring=scorer, cv=3).fit(table)
    assert search.best_params_ == {"n_components": 3}
    scores = search.cv_results_["mean_test_score"]
    assert scores[1] > scores[2] > scores[0]


def test_pipeline_with_an_autoencoder_is_searched(table, quick):
    model = make_pipeline(StandardScaler(), quick(n_components=1))
    grid = {"autoencodertransformer__n_components": [1, 3]}
    search = GridSearchCV(model, grid, scoring=explained_variance, cv=2).fit(table)
    assert search.best_params_ == {"autoencodertransformer__n_components": 3}


def test_frames_with_names_pass_without_warnings(table, recwarn):
    frame = pandas.DataFrame(table, columns=list("abcde"))
    model = PCA(n_components=2).fit(frame)
    scores = cross_val_score(model, frame, scoring=explained_variance, cv=2)
    assert np.isfinite(scores).all()
    model.set_output(transform="pandas")
    assert explained_variance(model, frame) == pytest.approx(
        explained_variance(PCA(n_components=2).fit(table), table)
    )
    assert not recwarn.list


def test_lists_and_sparse_tables_are_read(table):
    X = np.where(table > 7, table, 0)
    model = TruncatedSVD(n_components=2, random_state=0).fit(X)
    for scorer in (neg_reconstruction_error, explained_variance):
        assert scorer(model, X.tolist()) == pytest.approx(scorer(model, X))
        assert scorer(model, sparse.csc_matrix(X)) == pytest.approx(scorer(model, X))


def test_batches_make_no_difference(table, monkeypatch):
    model = PCA(n_components=2).fit(table)
    whole = neg_reconstruction_error(model, table)
    monkeypatch.setattr(_reconstruction, "_CELLS_AT_ONCE", 35)  # seven rows
    assert neg_reconstruction_error(model, table) == pytest.approx(whole)


def test_rows_without_variance_score_one_or_zero(table):
    rows = np.zeros((3, 5))
    assert explained_variance(FunctionTransformer().fit(table), rows) == 1
    assert explained_variance(PCA(n_components=2).fit(table), rows) == 0


def test_estimator_must_transform_both_ways(table):
    model = make_pipeline(PCA(), LogisticRegression()).fit(table, np.arange(60) % 2)
    with pytest.raises(TypeError, match=r"Got Pipeline.*pipeline\[:-1\]"):
        neg_reconstruction_error(model, table)
    assert neg_reconstruction_error(model[:-1], table) == pytest.approx(0)


def test_equal_rows_have_no_variance_to_explain(table):
    model = PCA(n_components=2).fit(table)
    # The mean of six tenths is not exactly a tenth.
    rows = np.full((6, 5), 0.1)
    for X in (rows, sparse.csr_array(rows), table[:1]):
        assert explained_variance(model, X) == 0
    assert explained_variance(FunctionTransformer(inverse_func=np.asarray).fit(rows), rows) == 1
