"""Variance kept against the number of codes."""

import joblib
import matplotlib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer
from skae.inspection import ScreeDisplay

matplotlib.use("agg")
pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
X = load_digits().data[:120] / 16
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 1, "random_state": 0, "early_stopping": False}


def measure_pca(n_components, split):
    train, test = split
    pca = PCA(n_components).fit(X[train])
    return np.square(pca.inverse_transform(pca.transform(X[test])) - X[test]).mean()


def test_pca_is_as_in_scikit_learn():
    display = ScreeDisplay.from_estimator(PCA(), X, n_components=[5, 1], cv=3)
    assert display.n_components == [1, 5]
    splits = list(KFold(3).split(X))
    expected = [[measure_pca(n, split) for n in (1, 5)] for split in splits]
    np.testing.assert_allclose(display.pca_errors, expected)
    np.testing.assert_allclose(display.errors, expected)
    variances = [np.square(X[test] - X[train].mean(axis=0)).mean() for train, test in splits]
    np.testing.assert_allclose(display.variances, variances)


def test_nested_codes_are_fitted_once_for_each_fold(monkeypatch):
    fits = []
    plain_fit = AutoencoderTransformer.fit

    def fit(self, *args, **kwargs):
        fits.append(self.n_components)
        return plain_fit(self, *args, **kwargs)

    monkeypatch.setattr(AutoencoderTransformer, "fit", fit)
    estimator = AutoencoderTransformer(4, nested=True, **SMALL)
    display = ScreeDisplay.from_estimator(estimator, X, cv=2)
    assert fits == [4, 4]
    assert display.n_components == [1, 2, 3, 4]
    assert not hasattr(estimator, "net_")
    train, test = next(KFold(2).split(X))
    model = AutoencoderTransformer(4, nested=True, **SMALL).fit(X[train])
    codes = model.transform(X[test])[:, :2]
    error = np.square(model.inverse_transform(codes) - X[test]).mean()
    assert display.errors[0, 1] == pytest.approx(error)


@pytest.mark.mostly_slow(3, first=2)
@pytest.mark.parametrize(
    ("n_components", "expected"),
    [(6, [1, 2, 4, 6]), pytest.param(4, [1, 2, 4], marks=pytest.mark.slow), (1, [1])],
)
def test_other_codes_are_fitted_for_powers_of_two(n_components, expected):
    estimator = AutoencoderTransformer(n_components, **SMALL)
    display = ScreeDisplay.from_estimator(estimator, X, cv=2)
    assert display.n_components == expected
    with joblib.parallel_config(backend="skae"):
        side_by_side = ScreeDisplay.from_estimator(estimator, X, cv=2)
    np.testing.assert_array_equal(side_by_side.errors, display.errors)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("n_components", ["auto", 0.9, None])
def test_without_a_number_parallel_analysis_gives_one(n_components):
    rows = X[:, 18:30]
    estimator = AutoencoderTransformer(n_components, nested=True, **SMALL)
    display = ScreeDisplay.from_estimator(estimator, rows, cv=2)
    auto = AutoencoderTransformer("auto", **SMALL).fit(rows)
    assert display.n_components[-1] == display.chosen == auto.n_components_


@pytest.mark.parametrize(
    ("metric", "expected"), [("squared_error", [2.0, 1.0]), ("explained_variance", [0.5, 0.75])]
)
def test_curves_are_means_and_bands_their_spread(metric, expected):
    errors = [[2.0, 1.0], [4.0, 2.0]] if metric == "explained_variance" else [[1, 0.5], [3, 1.5]]
    variances = [4.0, 8.0]
    display = ScreeDisplay([1, 2], errors, errors, variances, chosen=2).plot(metric=metric)
    np.testing.assert_allclose(display.lines_[1].get_ydata(), expected)
    band = display.bands_[1].get_paths()[0].get_extents()
    spread = [0, 0] if metric == "explained_variance" else [1.0, 0.5]
    assert band.ymax == pytest.approx(np.max(np.add(expected, spread)))
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["PCA", "autoencoder", "parallel analysis: 2"]


def test_no_number_is_marked_where_none_is_known():
    display = ScreeDisplay([1], [[1.0]], [[1.0]], [2.0]).plot()
    assert len(display.ax_.get_legend().get_texts()) == 2


@pytest.mark.slow
def test_images_keep_their_axes():
    images, splits = X[:40].reshape(-1, 1, 8, 8), KFold(2)
    params = {"n_components": 1, "architecture": "conv", "max_iter": 1}
    params |= {"early_stopping": False, "random_state": 0}
    shown = [
        ScreeDisplay.from_estimator(model, rows, cv=splits).errors
        for model, rows in (
            (AutoencoderTransformer(**params), images),
            (AutoencoderTransformer(**params, sample_shape=(1, 8, 8)), X[:40]),
        )
    ]
    np.testing.assert_array_equal(*shown)


def test_odd_arguments_are_refused():
    with pytest.raises(ValueError, match="`metric` must be one of"):
        ScreeDisplay.from_estimator(PCA(2), X, metric="r2")
    with pytest.raises(ValueError, match="`n_components` must contain numbers of codes"):
        ScreeDisplay.from_estimator(PCA(2), X, n_components=[0, 1])
    with pytest.raises(TypeError, match="`estimator` must have a parameter `n_components`"):
        ScreeDisplay.from_estimator(make_pipeline(PCA(2)), X)
    with pytest.raises(ValueError, match="no missing cells.*AutoencoderImputer"):
        ScreeDisplay.from_estimator(PCA(2), np.where(X[0, 3] == X, np.nan, X))
