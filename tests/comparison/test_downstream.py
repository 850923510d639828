"""Predictions from codes and from PCA: splits, scores, intervals."""

import numpy as np
import pytest
from joblib import parallel_config
from scipy import sparse, stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import SparseAutoencoderTransformer
from skae.comparison import DownstreamComparison, compare_downstream


class FirstColumns(PCA):
    """Substitute for an autoencoder, whose codes are columns of the table."""

    def transform(self, X):
        return np.asarray(X)[:, : self.n_components]


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


def test_scores_are_those_worked_out_by_hand(iris):
    X, y = iris
    cv = StratifiedKFold(4, shuffle=True, random_state=1)
    predictor = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    expected, expected_pca = [], []
    for train, test in cv.split(X, y):
        expected.append(predictor.fit(X[train, :2], y[train]).score(X[test, :2], y[test]))
        pca = PCA(n_components=2).fit(X[train])
        predictor.fit(pca.transform(X[train]), y[train])
        expected_pca.append(predictor.score(pca.transform(X[test]), y[test]))

    comparison = compare_downstream(FirstColumns(2), X, y, cv=cv)
    with parallel_config(backend="threading"):
        together = compare_downstream(FirstColumns(2), X, y, cv=cv, n_jobs=2)

    assert comparison.scores.tolist() == together.scores.tolist() == expected
    assert comparison.pca_scores == pytest.approx(expected_pca)
    assert comparison.test_share == pytest.approx(1 / 3, rel=0.02)


def test_pca_compared_with_itself_is_no_different(iris):
    comparison = compare_downstream(PCA(n_components=2, random_state=0), *iris)
    assert len(comparison.scores) == 10
    assert comparison.scores.tolist() == comparison.pca_scores.tolist()
    assert comparison.interval(comparison.scores - comparison.pca_scores) == (0, 0)


def test_steps_before_the_autoencoder_are_kept_for_pca(iris):
    X, y = iris
    X = X * [1, 1, 1, 1000]
    both = make_pipeline(StandardScaler(), PCA(n_components=2, random_state=0))
    comparison = compare_downstream(both, X, y, cv=3)
    assert comparison.scores.tolist() == comparison.pca_scores.tolist()
    alone = compare_downstream(PCA(n_components=2, random_state=0), X, y, cv=3)
    assert comparison.scores.tolist() != alone.scores.tolist()


def test_quantities_are_predicted_with_r2(wine):
    X, y = load_diabetes(return_X_y=True)
    comparison = compare_downstream(FirstColumns(n_components=4), X, y, cv=KFold(3))
    assert (comparison.scores < 0.6).all()
    assert (comparison.scores > 0.1).all()


def test_predictor_and_scoring_can_be_given(iris):
    X, y = iris
    options = {"predictor": KNeighborsClassifier(1), "scoring": "balanced_accuracy", "cv": 3}
    scores = compare_downstream(FirstColumns(2), X, y, **options).scores
    train, test = next(StratifiedKFold(3).split(X, y))
    first = clone(options["predictor"]).fit(X[train, :2], y[train]).predict(X[test, :2])
    assert scores[0] == pytest.approx(
        np.mean([np.mean(first[y[test] == label] == label) for label in range(3)])
    )


def test_estimator_and_predictor_are_left_unfitted(iris):
    estimator, predictor = FirstColumns(2), KNeighborsClassifier()
    compare_downstream(estimator, *iris, predictor=predictor, cv=2)
    assert not hasattr(estimator, "components_")
    assert not hasattr(predictor, "classes_")


def test_interval_is_that_of_the_corrected_t_test():
    values = np.array([0.1, 0.4, 0.2, 0.3, 0.25])
    comparison = DownstreamComparison(values, values, 0.25, confidence_level=0.9)
    low, high = comparison.interval(values)
    half = stats.t.ppf(0.95, 4) * np.std(values, ddof=1) * np.sqrt(1 / 5 + 0.25)
    assert (low, high) == pytest.approx((0.25 - half, 0.25 + half))


@pytest.mark.slow
def test_the_interval_holds_the_true_mean_with_its_probability():
    # Ten splits of one table: scores with a common part, as the correction assumes.
    rng = np.random.default_rng(0)
    share, n_splits, n_runs = 0.25, 10, 2000
    common = rng.normal(size=(n_runs, 1)) * np.sqrt(share / (1 + share))
    own = rng.normal(size=(n_runs, n_splits)) / np.sqrt(1 + share)
    comparison = DownstreamComparison(own[0], own[0], share, confidence_level=0.9)
    intervals = [comparison.interval(values) for values in common + own]
    assert np.mean([low < 0 < high for low, high in intervals]) == pytest.approx(0.9, abs=0.025)


def test_single_split_has_no_interval(iris):
    splits = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    comparison = compare_downstream(FirstColumns(2), *iris, cv=splits)
    assert np.isnan(comparison.interval(comparison.scores)).all()
    assert "nan" in str(comparison)


def test_frame_and_text_hold_the_same_figures(iris):
    comparison = compare_downstream(FirstColumns(2), *iris, cv=3)
    frame = comparison.to_frame()
    assert frame.index.tolist() == ["autoencoder", "PCA", "difference"]
    difference = frame.loc["autoencoder", "mean"] - frame.loc["PCA", "mean"]
    assert frame.loc["difference", "mean"] == pytest.approx(difference)
    header, *lines = str(comparison).splitlines()
    assert "95 % interval" in header
    for line, (name, row) in zip(lines, frame.iterrows(), strict=True):
        assert line.split() == [
            name,
            f"{row['mean']:.3f}",
            f"{row['low']:.3f}",
            "...",
            f"{row['high']:.3f}",
        ]


def test_autoencoder_is_compared(digits, quick):
    comparison = compare_downstream(quick(n_components=2), *digits, cv=2)
    assert comparison.scores.shape == comparison.pca_scores.shape == (2,)


@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
def test_results_do_not_depend_on_the_global_output_of_scikit_learn(iris, quick):
    # No data frame takes a sparse table.
    X, y = sparse.csr_array(iris[0]), iris[1]
    model, splits = quick(n_components=2, max_iter=1), [np.arange(150).reshape(2, -1)]
    expected = compare_downstream(model, X, y, cv=splits)
    with config_context(transform_output="pandas"):
        found = compare_downstream(model, X, y, cv=splits)
    assert found.scores.tolist() == expected.scores.tolist()
    assert found.pca_scores.tolist() == expected.pca_scores.tolist()


@pytest.mark.slow
def test_pca_takes_missing_cells_and_has_as_many_codes_as_there_can_be(iris, quick):
    X, y = iris
    gaps = np.where(np.arange(X.size).reshape(X.shape) % 9, X, np.nan)
    for model, rows in (
        (SparseAutoencoderTransformer(8, n_active=2, max_iter=1, random_state=0), X),
        (quick(n_components=2, max_iter=1, missing="mask"), gaps),
    ):
        comparison = compare_downstream(model, rows, y, cv=2)
        assert comparison.pca_scores.mean() > 0.8


@pytest.mark.parametrize("level", [0, 1, 95])
def test_confidence_level_must_be_a_probability(iris, level):
    with pytest.raises(ValueError, match=r"`confidence_level` must be in \(0, 1\)"):
        compare_downstream(FirstColumns(2), *iris, confidence_level=level)
