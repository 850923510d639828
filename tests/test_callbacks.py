"""Callbacks of scikit-learn: called in every epoch, able to stop, and removed after the fit."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

callback = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


class Recorder:
    """Callback that records its calls, and may stop the fit or fail."""

    def __init__(self, stop_after=None, error=None, keep=False):
        self.stop_after, self.error, self.keep = stop_after, error, keep
        self.events, self.fitted, self.data = [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.events.append(f"begin {context.task_name}")
        self.data.append((X, y))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.events.append(f"end {context.task_name}")
        if self.keep:
            self.fitted.append(fitted_estimator)
        if self.error is not None:
            raise self.error
        return self.events.count("end epoch") == self.stop_after


@pytest.fixture
def steady(quick):
    """Return an estimator whose epochs do not depend on their number."""
    return quick(early_stopping=False, learning_rate="constant", max_iter=4)


def score_rows(estimator, X, y):
    return estimator.score(X)


def test_every_epoch_begins_and_ends_inside_of_the_fit(steady, images):
    recorder = Recorder()
    steady.set_callbacks(recorder).fit(images)
    epochs = ["begin epoch", "end epoch"] * 4
    assert recorder.events == ["setup", "begin fit", *epochs, "end fit", "teardown"]


@pytest.mark.mostly_slow(2, first=1)
def test_callbacks_change_nothing(any_autoencoder, images):
    expected = any_autoencoder.fit(images).transform(images)
    monitor = callback.ScoringMonitor(scoring={"share": score_rows})
    any_autoencoder.set_callbacks(Recorder(keep=True), monitor).fit(images)
    np.testing.assert_array_equal(any_autoencoder.transform(images), expected)


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("params", [{}, {"early_stopping": False}], ids=str)
def test_a_callback_ends_the_fit(quick, images, params):
    estimator = quick(learning_rate="constant", max_iter=5, **params)
    estimator.set_callbacks(Recorder(stop_after=2)).fit(images)
    assert estimator.n_iter_ == estimator.best_iter_ == len(estimator.loss_curve_) == 2
    expected = quick(learning_rate="constant", max_iter=2, early_stopping=False).fit(images)
    np.testing.assert_array_equal(estimator.transform(images), expected.transform(images))
    assert estimator.reconstruction_error_ == expected.reconstruction_error_


def test_a_fit_by_held_out_rows_can_be_ended(quick, images):
    estimator = quick(learning_rate="adaptive", max_iter=5, early_stopping=True)
    estimator.set_callbacks(Recorder(stop_after=2)).fit(images)
    assert estimator.n_iter_ == 2
    assert len(estimator.validation_loss_curve_) == 3


@pytest.mark.slow
def test_the_estimator_after_an_epoch_is_that_of_a_fit_so_long(steady, images):
    recorder = Recorder(keep=True)
    steady.set_callbacks(recorder).fit(images)
    steady.set_callbacks()
    after_epochs = recorder.fitted[:4]
    for n_epochs, estimator in enumerate(after_epochs, start=1):
        shorter = steady.set_params(max_iter=n_epochs).fit(images)
        np.testing.assert_array_equal(estimator.transform(images), shorter.transform(images))
        assert estimator.score(images) == shorter.score(images)
        assert estimator.n_iter_ == n_epochs


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("supervised", [False, True])
def test_a_monitor_scores_every_epoch(steady, digits, supervised):
    monitor = callback.ScoringMonitor(scoring={"share": score_rows})
    steady.set_callbacks(monitor)
    if supervised:
        make_pipeline(steady, LogisticRegression(max_iter=200)).fit(*digits)
    else:
        steady.fit(digits[0])
    scores = [row["share"] for row in read_log(monitor) if "epoch" in str(row.values())]
    assert len(scores) >= 4
    assert np.isfinite(scores).all()


def read_log(monitor):
    return monitor.get_logs().data_as_pandas.to_dict("records")


def test_callbacks_see_the_table_with_its_names(steady, images):
    recorder = Recorder()
    monitor = callback.ScoringMonitor(scoring={"share": score_rows})
    X = pd.DataFrame(images).add_prefix("pixel")
    with warnings.catch_warnings():
        # scikit-learn would warn of rows without names.
        warnings.simplefilter("error")
        steady.set_callbacks(recorder, monitor).fit(X)
    assert all(seen is X and target is X for seen, target in recorder.data)


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=repr)
def test_callbacks_are_torn_down_where_a_fit_fails(steady, images, error):
    recorder = Recorder(error=error)
    with pytest.raises(type(error)):
        steady.set_callbacks(recorder).fit(images)
    assert recorder.events[-1] == "teardown"
    assert not hasattr(steady, "_callback_fit_ctx")


def test_nothing_of_the_callbacks_is_left_in_the_fit(steady, images):
    steady.set_callbacks(Recorder()).fit(images)
    assert not hasattr(steady, "_callback_fit_ctx")
    origins = {type(kept).__module__ for _, kept in steady.net_.callbacks_}
    assert not [origin for origin in origins if not origin.startswith("skorch.")]


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continued_training_reports_its_own_epochs(steady, images, method):
    recorder = Recorder()
    steady.set_params(warm_start=True).set_callbacks(recorder)
    for _ in range(3):
        getattr(steady, method)(images)
    assert recorder.events.count("end epoch") == 3 * (4 if method == "fit" else 1)
    assert recorder.events.count("end fit") == 3
