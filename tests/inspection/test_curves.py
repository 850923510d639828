"""Curves of losses and errors: data, scales and labels."""

import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.comparison import MethodResult, PCAComparison, compare_with_pca
from skae.inspection import (
    LossCurveDisplay,
)


@pytest.fixture
def comparison():
    errors = [(2, 8.0, 4.0, 0.7, 0.8), (8, 2.0, 0.5, 0.9, 0.85), (64, 0.5, 0.25, 0.95, 0.9)]
    results = []
    for n_codes, pca, own, pca_score, score in errors:
        results.append(MethodResult(n_codes, "PCA", pca, 1.0, 1 - pca / 10, pca_score, 0.1, 0.1))
        results.append(
            MethodResult(n_codes, "autoencoder", own, own / pca, 1 - own / 10, score, 0.1, 0.1)
        )
    return PCAComparison(tuple(results), 75, 25, 100, "accuracy")


@pytest.mark.slow
def test_losses_are_those_of_the_fit(digits, quick, ax):
    model = quick(max_iter=4, early_stopping=True).fit(digits[0])
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    training, unseen = display.lines_
    assert training.get_xdata().tolist() == [1, 2, 3, 4]
    assert training.get_ydata() == pytest.approx(model.loss_curve_)
    # The value before the first epoch is at 0.
    assert unseen.get_xdata().tolist() == [0, 1, 2, 3, 4]
    assert unseen.get_ydata() == pytest.approx(model.validation_loss_curve_)
    assert f"epoch chosen: {model.best_iter_}" in [line.get_label() for line in ax.lines]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")


def test_losses_without_unseen_rows_are_one_curve(digits, quick, ax):
    model = make_pipeline(StandardScaler(), quick()).fit(digits[0])
    (line,) = LossCurveDisplay.from_estimator(model, ax=ax).lines_
    assert len(line.get_ydata()) == 3


def test_losses_of_other_networks_are_drawn(wine, ax):
    X, _ = wine
    model = MLPRegressor(max_iter=50, random_state=0, solver="adam", tol=1).fit(X, X)
    (line,) = LossCurveDisplay.from_estimator(model, ax=ax).lines_
    assert line.get_ydata() == pytest.approx(model.loss_curve_)


def test_losses_over_a_wide_range_have_a_logarithmic_axis():
    for losses, scale in [([5, 1.0], "linear"), ([50, 1.0], "log"), ([50, -1.0], "linear")]:
        display = LossCurveDisplay(losses).plot(Figure().subplots())
        assert display.ax_.get_yscale() == scale


def test_losses_need_a_fit(quick):
    with pytest.raises(TypeError, match="a `loss_curve_`. Got AutoencoderTransformer"):
        LossCurveDisplay.from_estimator(quick())


def test_comparison_is_drawn(comparison, ax):
    for metric, pca, own in [
        ("squared_error", [8, 2, 0.5], [4, 0.5, 0.25]),
        ("error_ratio", [1, 1, 1], [0.5, 0.25, 0.5]),
        ("explained_variance", [0.2, 0.8, 0.95], [0.6, 0.95, 0.975]),
        ("downstream_score", [0.7, 0.9, 0.95], [0.8, 0.85, 0.9]),
    ]:
        display = comparison.plot(metric, ax=ax)
        assert [line.get_label() for line in display.lines_] == ["PCA", "autoencoder"]
        for line, values in zip(display.lines_, (pca, own), strict=True):
            assert line.get_xdata().tolist() == [2, 8, 64]
            assert line.get_ydata() == pytest.approx(values)
        assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "8", "64"]
        assert ax.get_xscale() == "log"
        assert "held-out rows" in ax.get_ylabel()


def test_score_is_named(comparison, ax):
    comparison.plot("downstream_score", ax=ax)
    assert ax.get_ylabel().startswith("accuracy")


def test_ratios_start_at_zero(comparison, ax):
    comparison.plot("error_ratio", ax=ax)
    assert ax.get_ylim()[0] == 0


def test_metrics_that_are_not_there_are_refused(comparison, ax):
    with pytest.raises(ValueError, match="`metric` must be one of .* Got 'speed'"):
        comparison.plot("speed", ax=ax)
    without_y = compare_with_pca(load_iris().data, estimator=PCA(), n_components=2)
    with pytest.raises(ValueError, match="downstream score needs a comparison with `y`"):
        without_y.plot("downstream_score", ax=ax)
