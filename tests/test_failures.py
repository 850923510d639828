"""Fits that cannot succeed: they say why, and leave the estimator as it was."""

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector, AutoencoderTransformer
from skae.exceptions import NonFiniteLossError, NotBetterThanPCAWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

DIVERGING = {"learning_rate_init": 1e30, "activation": "relu", "learning_rate": "constant"}


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def interrupt_training(monkeypatch):
    """Interrupt the first step of every training, of one network or of several side by side."""
    for step in ("skae._engine.steps.dense.DenseStep.accumulate_", "torch.optim.Adam.step"):
        monkeypatch.setattr(step, interrupt)


def test_a_loss_that_is_not_finite_is_an_error(any_autoencoder, images):
    any_autoencoder.set_params(**DIVERGING)
    with pytest.raises(NonFiniteLossError, match="must stay finite.*epoch 1.*learning_rate_init"):
        any_autoencoder.fit(images)
    with pytest.raises(NotFittedError):
        any_autoencoder.transform(images)


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_a_search_goes_on_where_a_candidate_diverges(quick, images):
    search = GridSearchCV(
        quick(early_stopping=False, **DIVERGING), {"learning_rate_init": [1e-3, 1e30]}, cv=2
    )
    with pytest.warns(FitFailedWarning):
        search.fit(images)
    good, diverged = search.cv_results_["mean_test_score"]
    assert np.isfinite(good)
    assert np.isnan(diverged)
    assert search.best_params_ == {"learning_rate_init": 1e-3}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score", "score_samples"])
def test_rows_that_are_not_finite_are_refused(quick, images, method, bad):
    estimator = quick().fit(images)
    X = images.copy()
    X[7, 3] = bad
    with pytest.raises(ValueError, match="NaN" if np.isnan(bad) else "infinity"):
        getattr(estimator, method)(X)


def test_an_interruption_by_the_user_ends_the_fit(any_autoencoder, images, monkeypatch):
    interrupt_training(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        any_autoencoder.fit(images)
    with pytest.raises(NotFittedError):
        any_autoencoder.transform(images)
    assert not [name for name in vars(any_autoencoder) if name.endswith("_")]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_that_fails_leaves_the_one_before_as_it_was(
    any_autoencoder, images, monkeypatch, method
):
    estimator = any_autoencoder.set_params(warm_start=True).fit(images)
    codes, fitted = estimator.transform(images), dict(vars(estimator))
    interrupt_training(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        getattr(estimator, method)(images)
    assert vars(estimator) == fitted
    monkeypatch.undo()
    np.testing.assert_array_equal(estimator.transform(images), codes)


def test_a_refused_table_leaves_the_names_of_the_one_before(quick, images):
    estimator = quick().fit(images)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((10, 3), np.nan))
    assert estimator.n_features_in_ == 64
    assert estimator.transform(images).shape == (150, 4)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_units_of_any_usual_size_are_fine(any_autoencoder, images, scale):
    X = images * scale
    estimator = any_autoencoder.fit(X)
    np.testing.assert_allclose(
        estimator.inverse_transform(estimator.transform(X)), X, rtol=0, atol=scale
    )
    assert estimator.score(X) > 0.5


@pytest.mark.parametrize("scale", [1e-150, 1e-35, 1e35, 1e150, 1e300])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_codes_beyond_their_precision_are_refused(any_autoencoder, images, scale):
    with pytest.raises(ValueError, match="must deviate from its mean.*Scale X"):
        any_autoencoder.fit(images * scale)


@pytest.mark.parametrize("method", ["fit", "fit_transform", "fit_predict"])
def test_warnings_point_to_the_line_of_the_user(method):
    X = np.outer(np.arange(40.0), [1, 2, 3]) + np.random.default_rng(0).normal(size=(40, 3))
    params = {"max_iter": 1, "random_state": 0, "learning_rate_init": 1e-9}
    estimator = AutoencoderTransformer(1, **params)
    if method == "fit_predict":
        estimator = AutoencoderOutlierDetector(1, autoencoder=estimator)
    for model in (estimator, make_pipeline(StandardScaler(), estimator)):
        with pytest.warns(NotBetterThanPCAWarning) as caught:
            getattr(model, method)(X)
        assert {each.filename for each in caught} == {__file__}
