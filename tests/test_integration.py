"""Use of the estimator in pipelines, searches and other tools of scikit-learn."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_linnerud
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")


def make(n_components=4, **params):
    params = {"max_iter": 3, "early_stopping": False, "hidden_layer_sizes": (16,)} | params
    return AutoencoderTransformer(n_components, **{"random_state": 0} | params)


def classify(**params):
    """Return an autoencoder before a classifier."""
    steps = [("codes", make()), ("classifier", LogisticRegression(max_iter=1000))]
    return Pipeline(steps).set_params(**params)


def test_a_classifier_of_strings_stands_behind(wine):
    X, y = wine
    pipeline = classify().fit(X[::2], y[::2])
    assert set(pipeline.predict(X)) == {"class_0", "class_1", "class_2"}
    assert pipeline.score(X[1::2], y[1::2]) > 0.8
    assert pipeline[:-1].inverse_transform(pipeline[:-1].transform(X)).shape == X.shape


def test_the_target_is_ignored(wine):
    X, y = wine
    estimator = make().fit(X)
    expected = estimator.transform(X)
    for target in (y, list(y), pd.Series(y)):
        np.testing.assert_array_equal(make().fit(X, target).transform(X), expected)
        np.testing.assert_array_equal(make().fit_transform(X, target), expected)
        assert make().partial_fit(X, target).transform(X).shape == expected.shape
        assert estimator.score(X, target) == estimator.score(X)


def test_defaults_are_cloned():
    estimator = clone(AutoencoderTransformer())
    assert estimator.get_params() == AutoencoderTransformer().get_params()
    assert vars(estimator) == estimator.get_params()


def test_a_clone_is_not_fitted(wine):
    with pytest.raises(NotFittedError):
        clone(make().fit(wine[0])).transform(wine[0])


def test_results_ask_for_a_fit(wine):
    for method in ["transform", "inverse_transform", "score", "score_samples"]:
        with pytest.raises(NotFittedError):
            getattr(make(), method)(wine[0])


def test_a_second_fit_starts_from_the_beginning(wine, digits):
    estimator = make().fit(pd.DataFrame(wine[0], columns=list("abcdefghijklm")))
    estimator.set_params(n_components=7).fit(digits[0])
    fresh = make(7).fit(digits[0])
    np.testing.assert_array_equal(estimator.transform(digits[0]), fresh.transform(digits[0]))
    assert vars(estimator).keys() == vars(fresh).keys()
    assert estimator.loss_curve_ == fresh.loss_curve_
    assert len(estimator.get_feature_names_out()) == 7


@pytest.mark.slow
def test_a_grid_is_searched_over_both_steps(wine, tmp_path):
    X, y = wine
    grid = {"codes__n_components": [1, 5], "classifier__C": [0.1, 10.0]}
    search = GridSearchCV(classify(memory=str(tmp_path)), grid, n_jobs=2, cv=3)
    search.fit(X, y)
    assert search.best_params_["codes__n_components"] == 5
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X, y) > 0.9


def test_a_grid_over_the_autoencoder_alone_needs_no_scoring(digits):
    X = digits[0]
    search = GridSearchCV(make(), {"n_components": [1, 8]}, cv=2).fit(X)
    assert search.best_params_ == {"n_components": 8}
    assert search.inverse_transform(search.transform(X)).shape == X.shape


@pytest.mark.slow
def test_workers_change_nothing(wine):
    X, y = wine
    grid = {"codes__n_components": [2, 5], "codes__learning_rate": ["one_cycle", "adaptive"]}
    results = [GridSearchCV(classify(), grid, n_jobs=n, cv=3).fit(X, y) for n in (1, 2)]
    scores = [
        [found.cv_results_[f"split{i}_test_score"].tolist() for i in range(3)] for found in results
    ]
    assert scores[0] == scores[1]
    codes = [found.best_estimator_[:-1].transform(X) for found in results]
    np.testing.assert_array_equal(*codes)


def test_a_candidate_that_diverges_loses_the_search(wine):
    search = GridSearchCV(make(), {"learning_rate_init": [0.01, 1e30]}, cv=2)
    with pytest.warns(FitFailedWarning, match="NonFiniteLossError"):
        search.fit(wine[0])
    assert search.best_params_ == {"learning_rate_init": 0.01}


class CountedAutoencoder(AutoencoderTransformer):
    """Estimator that counts its fits."""

    n_fits = 0

    def fit(self, X, y=None, sample_weight=None):
        CountedAutoencoder.n_fits += 1
        return super().fit(X, y, sample_weight)


def test_a_pipeline_with_memory_does_not_train_again(wine, tmp_path, monkeypatch):
    X, y = wine
    monkeypatch.setattr(CountedAutoencoder, "n_fits", 0)
    codes = CountedAutoencoder(4, max_iter=3, early_stopping=False, random_state=0)
    pipeline = classify(memory=str(tmp_path), codes=codes).fit(X, y)
    again = clone(pipeline).set_params(classifier__C=0.01).fit(X, y)
    assert CountedAutoencoder.n_fits == 1
    np.testing.assert_array_equal(again[:-1].transform(X), pipeline[:-1].transform(X))
    again.set_params(codes__n_components=5).fit(X, y)
    assert CountedAutoencoder.n_fits == 2


@pytest.mark.slow
def test_a_halving_search_gives_more_epochs_to_better_candidates(digits):
    search = HalvingGridSearchCV(
        make(max_iter=1),
        {"n_components": [1, 2, 4, 8]},
        resource="max_iter",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=3,
        random_state=0,
    ).fit(digits[0])
    assert search.n_resources_ == [1, 2, 4]
    assert search.best_params_ == {"n_components": 8, "max_iter": 4}


def test_cross_validation_scores_are_shares_of_variance(digits):
    X = digits[0]
    scores = cross_val_score(make(8), X, cv=2)
    assert ((scores > 0.5) & (scores < 1)).all()
    # The definition also applies to the components of PCA.
    pca = PCA(8).fit(X)
    codes = make(8).fit(X)
    assert codes.score(X) > pca.explained_variance_ratio_.sum() - 0.01


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_results_come_in_data_frames(container):
    X = load_iris(as_frame=True).data
    X.index = X.index + 1000
    codes = make(2).set_output(transform=container).fit_transform(X)
    assert type(codes).__module__.startswith(container)
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    if container == "pandas":
        assert codes.index.equals(X.index)
    estimator = make(2).fit(X)
    np.testing.assert_array_equal(codes.to_numpy(), estimator.transform(X))
    np.testing.assert_array_equal(
        estimator.inverse_transform(codes), estimator.inverse_transform(codes.to_numpy())
    )


def test_codes_have_names(wine):
    names = make(3).fit(wine[0]).get_feature_names_out()
    assert names.tolist() == [f"autoencodertransformer{i}" for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_union_of_features_is_computed_in_two_processes(container):
    X = load_breast_cancer(as_frame=True).data
    X = pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns)
    union = FeatureUnion([("pca", PCA(2)), ("codes", make(3))], n_jobs=2)
    both = union.set_output(transform=container).fit_transform(X)
    names = [f"codes__autoencodertransformer{i}" for i in range(3)]
    assert list(both.columns) == ["pca__pca0", "pca__pca1", *names]
    np.testing.assert_allclose(both[names].to_numpy(), make(3).fit_transform(X), rtol=1e-5)


# By default, two processes start.
@pytest.mark.parametrize(
    "container", [pytest.param("default", marks=pytest.mark.slow), "pandas", "polars"]
)
def test_columns_are_transformed_apart(container):
    X = load_diabetes(as_frame=True, scaled=False).data
    numbers = [name for name in X.columns if name != "sex"]
    scaled = make_pipeline(StandardScaler(), make(3))
    parts = [("codes", scaled, numbers), ("sex", OneHotEncoder(sparse_output=False), ["sex"])]
    transformer = ColumnTransformer(parts, n_jobs=2 if container == "default" else None)
    codes = transformer.set_output(transform=container).fit_transform(X)
    assert codes.shape == (len(X), 5)
    names = transformer.get_feature_names_out().tolist()
    assert names[:3] == [f"codes__autoencodertransformer{i}" for i in range(3)]
    if container != "default":
        assert list(codes.columns) == names


def test_a_column_transformer_may_give_sparse_columns():
    X = load_diabetes(as_frame=True, scaled=False).data
    transformer = make_column_transformer(
        (OneHotEncoder(), ["sex", "age"]), remainder="passthrough", sparse_threshold=1
    )
    codes = make_pipeline(transformer, make(3)).fit_transform(X)
    assert codes.shape == (len(X), 3)
    assert np.isfinite(codes).all()


def test_targets_are_transformed():
    X, y = load_linnerud(return_X_y=True)
    regressor = TransformedTargetRegressor(Ridge(), transformer=make(2), check_inverse=False)
    predictions = regressor.fit(X, y).predict(X)
    assert predictions.shape == y.shape
    assert np.isfinite(predictions).all()


def test_probabilities_are_calibrated(wine):
    X, y = wine
    model = CalibratedClassifierCV(classify(), cv=2).fit(X, y)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.score(X, y) > 0.8


@pytest.mark.slow
def test_the_importance_of_features_is_measured(wine):
    X, y = wine
    X = np.column_stack([X, np.zeros(len(X))])
    for model in (classify(codes__n_components=8), make(8)):
        found = permutation_importance(model.fit(X, y), X, y, n_repeats=2, random_state=0)
        assert found.importances_mean[-1] == 0
        assert found.importances_mean.max() > 0


@pytest.fixture
def weights(wine):
    return np.where(wine[1] == "class_0", 5.0, 0.5)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_requested_weights_reach_the_loss(wine, weights):
    X, y = wine
    pipeline = classify(codes=make().set_fit_request(sample_weight=True))
    pipeline.named_steps["classifier"].set_fit_request(sample_weight=False)
    codes = pipeline.fit(X, y, sample_weight=weights)[:-1].transform(X)
    np.testing.assert_array_equal(codes, make().fit(X, sample_weight=weights).transform(X))
    assert not np.allclose(codes, make().fit(X).transform(X))


@pytest.mark.slow
@pytest.mark.usefixtures("routing")
def test_requested_weights_pass_through_a_search(wine, weights):
    X = wine[0]
    estimator = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(estimator, {"n_components": [2, 6]}, cv=2)
    search.fit(X, sample_weight=weights)
    expected = make(6).fit(X, sample_weight=weights).transform(X)
    np.testing.assert_array_equal(search.best_estimator_.transform(X), expected)


@pytest.mark.usefixtures("routing")
def test_weights_that_are_not_requested_are_an_error(wine, weights):
    X, y = wine
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        classify().fit(X, y, sample_weight=weights)


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_need_no_request_outside_of_a_pipeline(wine, weights, method):
    estimator = getattr(make(), method)(wine[0], sample_weight=weights)
    assert np.isfinite(estimator.score(wine[0], sample_weight=weights))


MAKES_MODELS = """
import pickle, sys
import subprocess
import sys

import numpy as np
import skae

X = np.random.default_rng(0).normal(size=(40, 3))
for model in [
    skae.AutoencoderTransformer(2, max_iter=1),
    skae.AutoencoderImputer(1, autoencoder=skae.AutoencoderTransformer(max_iter=1)),
    skae.AdversarialAutoencoderTransformer(2, max_iter=1),
]:
    pickle.loads(pickle.dumps(model.fit(X))).transform(X)
assert {"torch._dynamo", "sympy"}.isdisjoint(sys.modules)
"""


@pytest.mark.slow
def test_fits_and_pickles_import_neither_the_compiler_of_torch_nor_algebra():
    # Their imports take longer than a small fit.
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKES_MODELS], check=True)
