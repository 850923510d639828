"""Fits side by side: results equal to separate fits, and behaviour as a joblib backend."""

import contextlib
import os
import pickle
import threading
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

import skae
from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
    fit_many,
    transform_many,
)
from skae._engine.fitting import resumption
from skae._engine.steps import averaging
from skae._engine.steps.code_costs import PenaltyStep
from skae._engine.steps.dense import DenseStep
from skae._engine.steps.joint import JointNetworks
from skae.architectures import Recurrent
from skae.objectives import SquaredError
from skae.parallel import _backend, _scheduler
from skae.parallel._scheduler import Scheduler
from skae.parallel._workers import Workers, run_together

pytestmark = [pytest.mark.usefixtures("few_draws"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def average_weights(monkeypatch):
    """Average the weights in short trainings as well."""
    monkeypatch.setattr(averaging, "_SHARE_OF_EPOCHS", 1.0)


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X)[::2], y[::2]


def make_transformer(**params):
    given = {"n_components": 2, "max_iter": 5, "hidden_layer_sizes": (12, 7), "random_state": 0}
    return AutoencoderTransformer(**(given | params))


def make_recurrent(n_units=5, **params):
    given = {"architecture": Recurrent(n_units=n_units), "sample_shape": (-1, 2), "max_iter": 2}
    return AutoencoderTransformer(2, **given, random_state=0).set_params(**params)


def side_by_side(**params):
    return joblib.parallel_config(backend="skae", **params)


def train_together(n_tasks, monkeypatch):
    """Let tasks train in one group, which they might not on several cores or if some came late."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    all_are_submitted, tickets = threading.Event(), []
    submit = Scheduler.submit

    def wait_and_run(task):
        assert all_are_submitted.wait(60)
        return task()

    def count_and_submit(self, task):
        tickets.append(submit(self, partial(wait_and_run, task)))
        if len(tickets) == n_tasks:
            all_are_submitted.set()
        return tickets[-1]

    monkeypatch.setattr(Scheduler, "submit", count_and_submit)


def fit_all(estimators, X):
    """Fit clones in a call of joblib with the active backend."""
    fits = (joblib.delayed(clone(estimator).fit)(X) for estimator in estimators)
    return joblib.Parallel()(fits)


def assert_equal_fits(estimators, X, **params):
    assert_fits_are(fit_alone(estimators, X), estimators, X, **params)


def fit_alone(estimators, X):
    return [clone(estimator).fit(X) for estimator in estimators]


def assert_fits_are(expected_fits, estimators, X, **params):
    with side_by_side(**params):
        together = fit_all(estimators, X)
    for own, other in zip(expected_fits, together, strict=True):
        assert own.loss_curve_ == other.loss_curve_
        assert own.validation_loss_curve_ == other.validation_loss_curve_
        assert own.best_iter_ == other.best_iter_
        expected = own.net_.module_.state_dict()
        for name, value in other.net_.module_.state_dict().items():
            np.testing.assert_array_equal(value, expected[name])


OPTIONS = {
    "plain": {},
    "range": {"output_range": "auto", "early_stopping": False},
    "one code": {"n_components": 1, "hidden_layer_sizes": (64,), "early_stopping": False},
}
SLOW_OPTIONS = {
    "noise": {"corruption": "gaussian"},
    "no linear path": {"init": "random", "early_stopping": False},
    "fixed epochs": {"early_stopping": False},
    "penalty": {"penalty": "l1", "alpha": 0.1},
    "penalty that is not batched": {
        "penalty": "contractive",
        "alpha": 0.1,
        "early_stopping": False,
    },
    "wide": {"hidden_layer_sizes": (64,)},
    "absolute": {"loss": "absolute_error"},
    "double": {"dtype": "float64"},
    "penalty in a range": {"penalty": "l1", "alpha": 0.1, "output_range": "auto"},
}


@pytest.mark.parametrize(
    "option",
    [
        *(pytest.param(option, id=name) for name, option in OPTIONS.items()),
        *(
            pytest.param(option, id=name, marks=pytest.mark.slow)
            for name, option in SLOW_OPTIONS.items()
        ),
    ],
)
def test_fits_side_by_side_are_those_alone(option, wine):
    estimators = [
        make_transformer(learning_rate_init=rate, random_state=seed, max_iter=2 + seed, **option)
        for seed, rate in enumerate([0.001, 0.01, 0.03])
    ]
    assert_equal_fits(estimators, wine[0])


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    "option",
    [
        {"early_stopping": False, "output_range": "auto"},
        {},
        {"penalty": "l1", "alpha": 0.1, "n_components": 1},
        {"missing": "mask", "max_iter": 1},
        {"corruption": "gaussian", "loss": "absolute_error", "hidden_layer_sizes": (4,)},
    ],
    ids=str,
)
def test_recurrent_networks_side_by_side_are_those_alone(option, wine, monkeypatch):
    train_together(3, monkeypatch)
    taken = []
    update = JointNetworks._update_
    monkeypatch.setattr(
        JointNetworks, "_update_", lambda own: (taken.append(len(own.members)), update(own))
    )
    X = wine[0][:, :12].copy()
    if "missing" in option:
        X[::3, 8:] = np.nan
    settings = [(0.001, 3), (0.01, 2), (0.03, 3)]
    estimators = [
        make_recurrent(learning_rate_init=rate, **{"max_iter": n, **option}) for rate, n in settings
    ]
    assert_equal_fits(estimators, X)
    assert max(taken) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", ["binary_cross_entropy", pytest.param("poisson", marks=pytest.mark.slow)]
)
def test_losses_with_links_are_kept_apart(loss, wine):
    X = wine[0] - wine[0].min(0)
    X = X / X.max(0)
    estimators = [make_transformer(loss=loss, random_state=seed) for seed in range(3)]
    assert_equal_fits(estimators, X)


@pytest.mark.parametrize(
    "likelihood",
    ["gaussian", *(pytest.param(x, marks=pytest.mark.slow) for x in ("laplace", "bernoulli"))],
)
def test_variational_models_of_many_seeds_are_those_alone(likelihood, wine):
    X = (wine[0] > 0).astype(float) if likelihood == "bernoulli" else wine[0]
    params = {"likelihood": likelihood, "max_iter": 4, "hidden_layer_sizes": (12,)}
    estimators = [
        VariationalAutoencoderTransformer(
            2, beta=beta, beta_warm_up=0.5, early_stopping=False, random_state=seed, **params
        )
        for seed, beta in enumerate([0.1, 1.0, 2.0])
    ]
    in_folds = VariationalAutoencoderTransformer(2, random_state=0, **params)
    assert_equal_fits([*estimators, in_folds], X)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
def test_adversarial_models_of_many_seeds_are_those_alone(divergence, wine):
    estimators = [
        AdversarialAutoencoderTransformer(
            2, alpha=alpha, divergence=divergence, max_iter=2, random_state=seed
        )
        for seed, alpha in enumerate([0.1, 1.0, 1.0])
    ]
    assert_equal_fits(estimators, wine[0])


def test_an_error_of_a_prior_is_that_of_its_own_task(wine):
    n_draws = []

    def fail_later(n_rows, rng):
        n_draws.append(n_rows)
        if len(n_draws) > 4:
            raise ArithmeticError
        return rng.normal(size=(n_rows, 2))

    search = GridSearchCV(
        AdversarialAutoencoderTransformer(2, max_iter=3, batch_size=20, random_state=0),
        {"prior": [fail_later, "gaussian"]},
        cv=[(np.arange(60), np.arange(60, 89))],
        error_score=-1.0,
        refit=False,
    )
    alone = clone(search).set_params(param_grid={"prior": ["gaussian"]}).fit(wine[0])
    with side_by_side():
        together = search.fit(wine[0]).cv_results_["mean_test_score"]
    assert together.tolist() == [-1.0, alone.cv_results_["mean_test_score"][0]]


@pytest.mark.slow
def test_models_of_incomplete_tables_are_those_alone(wine):
    X = wine[0][:, :6].copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    estimators = [
        make_transformer(missing="mask", early_stopping=seed > 0, max_iter=2, random_state=seed)
        for seed in range(2)
    ]
    assert_equal_fits(estimators, X)


@pytest.mark.slow
def test_settings_that_differ_do_not_keep_fits_apart(wine):
    estimators = [
        make_transformer(loss="huber", weight_decay=0.1),
        make_transformer(loss="squared_error", learning_rate="constant"),
        make_transformer(corruption="gaussian"),
        make_transformer(activation="tanh"),
        make_transformer(n_components=3),
        make_transformer(net_params={"optimizer": torch.optim.SGD}),
    ]
    for estimator in estimators:
        estimator.set_params(early_stopping=False)
    alone = fit_alone(estimators, wine[0])
    for n_jobs in (None, 2):
        assert_fits_are(alone, estimators, wine[0], n_jobs=n_jobs)


def test_decays_that_differ_are_kept_apart(wine):
    estimators = [
        make_transformer(weight_decay=decay, early_stopping=False, max_iter=2)
        for decay in (0.0, 0.5, 0.5)
    ]
    assert_equal_fits(estimators, wine[0])


@pytest.mark.slow
def test_held_out_rows_end_each_training_at_its_own_epoch(monkeypatch):
    # Networks must stay in joint memory between epochs.
    monkeypatch.delattr(JointNetworks, "_judge_alone")
    X = np.random.default_rng(0).normal(size=(1010, 4)).cumsum(1)
    estimators = [
        make_transformer(learning_rate_init=rate, n_iter_no_change=2, max_iter=6)
        for rate in (0.1, 0.01, 0.001)
    ]
    params = {"max_iter": 3, "hidden_layer_sizes": (5,)}
    variational = [VariationalAutoencoderTransformer(2, random_state=i, **params) for i in (0, 1)]
    assert_equal_fits([*estimators, *variational], X)


def test_searches_side_by_side_score_as_alone_with_any_number_of_tasks(wine):
    transformer = make_transformer(max_iter=2, early_stopping=False)
    pipeline = make_pipeline(StandardScaler(), transformer, LinearRegression())
    grid = {"autoencodertransformer__learning_rate_init": [0.001, 0.02]}
    search = GridSearchCV(pipeline, grid, cv=2)
    alone = clone(search).fit(*wine)
    for n_jobs in (1, 3, None):
        with side_by_side(n_jobs=n_jobs):
            together = clone(search).fit(*wine)
        np.testing.assert_array_equal(
            together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
        )
        np.testing.assert_array_equal(together.predict(wine[0]), alone.predict(wine[0]))


@pytest.mark.slow
def test_nested_searches_score_as_alone(wine):
    estimator = make_transformer(early_stopping=False, max_iter=2)
    search = GridSearchCV(estimator, {"learning_rate_init": [0.001, 0.02]}, cv=2)
    alone = cross_val_score(search, wine[0], cv=2)
    with side_by_side():
        np.testing.assert_array_equal(cross_val_score(search, wine[0], cv=2), alone)


@pytest.mark.slow
def test_unions_and_bagging_side_by_side_give_the_results_of_alone(wine):
    X, y = wine
    union = FeatureUnion(
        [
            ("plain", make_transformer()),
            ("other", make_transformer(random_state=1, early_stopping=False)),
            ("variational", VariationalAutoencoderTransformer(2, max_iter=1, random_state=0)),
            ("pca", PCA(2)),
        ]
    )
    bagging = BaggingRegressor(
        make_pipeline(make_transformer(early_stopping=False), LinearRegression()),
        n_estimators=2,
        random_state=0,
    )
    codes, predictions = union.fit_transform(X), bagging.fit(X, y).predict(X)
    with side_by_side():
        np.testing.assert_array_equal(union.fit_transform(X), codes)
        np.testing.assert_array_equal(bagging.fit(X, y).predict(X), predictions)


class Raising(SquaredError):
    """Callback that raises a given error in the first training step."""

    def __init__(self, error=None):
        self.error = error

    def rows_and_gradient_(self, output, target, factor, units):
        if self.error is not None:
            raise self.error("as asked for")
        return super().rows_and_gradient_(output, target, factor, units)


Raising.has_gradient = True


class Watching(Callback):
    """Callback that records the first weight after each epoch, and stops after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs, self.seen = n_epochs, []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(next(net.module_.parameters()).flatten()[0].item())
        if len(self.seen) == self.n_epochs:
            raise ArithmeticError(str(self.seen))


def test_callbacks_see_the_networks_of_their_own_training(wine):
    def list_seen(n_epochs, seed):
        watching = Watching(n_epochs)
        params = {"net_params": {"callbacks": [watching]}, "early_stopping": False}
        with pytest.raises(ArithmeticError):
            make_transformer(random_state=seed, max_iter=9, **params).fit(wine[0])
        return watching.seen

    tasks = [(4, 0), (6, 1), (6, 2)]
    with side_by_side():
        together = joblib.Parallel()(joblib.delayed(list_seen)(*task) for task in tasks)
    assert together == [list_seen(*task) for task in tasks]


def test_a_callback_can_fit_another_estimator(wine):
    class Fitting(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                net.inner_ = make_transformer(max_iter=1).fit(wine[0])

    params = {"net_params": {"callbacks": [Fitting()]}, "early_stopping": False}
    with side_by_side():
        fitted = fit_all([make_transformer(max_iter=3, **params)] * 2, wine[0])
    expected = make_transformer(max_iter=1).fit(wine[0]).loss_curve_
    assert [own.net_.inner_.loss_curve_ for own in fitted] == [expected] * 2


def test_trainings_of_other_lengths_join_until_each_ends(wine):
    estimators = [
        make_transformer(early_stopping=False, random_state=seed, max_iter=max_iter)
        for seed, max_iter in enumerate([3, 6, 6, 8, 1])
    ]
    assert_equal_fits(estimators, wine[0])


def test_a_long_training_does_not_hold_up_others_if_a_core_is_free(wine, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    ended = threading.Event()

    class Waiting(Callback):
        def on_epoch_end(self, net, **kwargs):
            assert ended.wait(timeout=60)

    def fit_two(estimator):
        estimator.fit(wine[0])
        estimator.fit(wine[0])
        ended.set()

    params = {"net_params": {"callbacks": [Waiting()]}, "early_stopping": False}
    long = make_transformer(hidden_layer_sizes=(3,), **params)
    with side_by_side():
        joblib.Parallel()(
            [joblib.delayed(long.fit)(wine[0]), joblib.delayed(fit_two)(make_transformer())]
        )


def test_an_error_is_that_of_its_own_task(wine):
    search = GridSearchCV(
        make_transformer(max_iter=2),
        {"loss": [Raising(), Raising(ZeroDivisionError), SquaredError()]},
        cv=2,
        error_score=-1.0,
    )
    with side_by_side():
        failed = search.fit(wine[0]).cv_results_["mean_test_score"]
    assert failed[1] == -1
    assert failed[0] == failed[2] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "method", "params"),
    [
        (DenseStep, "judge_output", {}),
        pytest.param(PenaltyStep, "judge", {"penalty": "l1", "alpha": 0.1}, marks=pytest.mark.slow),
    ],
)
def test_an_error_between_epochs_is_that_of_its_own_task(step, method, params, wine, monkeypatch):
    search = GridSearchCV(
        make_transformer(**params),
        {"learning_rate_init": [0.01, 0.02]},
        cv=2,
        error_score=-1.0,
        refit=False,
    )
    alone = clone(search).fit(wine[0]).cv_results_
    judge, calls = getattr(step, method), []

    def fail_once(*args):
        # Each of the four fits has judged its start by then.
        calls.append(args)
        if len(calls) == 6:
            raise ArithmeticError
        return judge(*args)

    monkeypatch.setattr(step, method, fail_once)
    with side_by_side(n_jobs=4):
        together = search.fit(wine[0]).cv_results_
    names = [f"split{fold}_test_score" for fold in range(2)]
    scores, expected = (np.array([own[name] for name in names]) for own in (together, alone))
    assert (scores == -1).sum() == 1
    np.testing.assert_array_equal(scores[scores != -1], expected[scores != -1])


def test_an_error_leaves_no_thread_behind(wine):
    before = set(threading.enumerate())
    estimators = [make_transformer(loss=Raising(ZeroDivisionError)), *[make_transformer()] * 5]
    with side_by_side(), pytest.raises(ZeroDivisionError, match="as asked for"):
        fit_all(estimators, wine[0])
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.mark.slow
def test_tasks_that_are_cancelled_before_an_epoch_starts_end(wine, monkeypatch):
    scheduler = Scheduler(2, most_bytes=2**30)

    def cancel_first(*args):
        cancelling = threading.Thread(target=scheduler.cancel)
        cancelling.start()
        cancelling.join(timeout=0.2)
        return divide(*args)

    divide = _scheduler._divide
    monkeypatch.setattr(_scheduler, "_divide", cancel_first)
    tasks = [scheduler.submit(lambda: make_transformer().fit(wine[0])) for _ in range(2)]
    for task in tasks:
        assert isinstance(task.exception(timeout=30), _scheduler.TrainingCancelled)


def test_an_interruption_ends_all_tasks(wine):
    before = set(threading.enumerate())
    estimators = [make_transformer(max_iter=10**6, early_stopping=False) for _ in range(3)]
    estimators.append(make_transformer(loss=Raising(KeyboardInterrupt)))
    with side_by_side(), pytest.raises(KeyboardInterrupt):
        fit_all(estimators, wine[0])
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_no_tasks_at_all_are_refused(wine):
    with side_by_side(n_jobs=0), pytest.raises(ValueError, match="must not be 0"):
        fit_all([make_transformer()], wine[0])


@pytest.mark.slow
def test_tables_of_other_lengths_are_fitted_as_in_a_loop(wine, tmp_path):
    tables = {"a": wine[0], "b": wine[0][:50], 3: wine[0][30:80], "short": wine[0][:2]}
    transformer = make_transformer(output_range="auto", early_stopping=False)
    models = fit_many(transformer, tables)
    assert list(models) == list(tables)
    skae.save(models, tmp_path / "models.skae")
    codes = transform_many(skae.load(tmp_path / "models.skae"), tables.items())
    for name, X in tables.items():
        np.testing.assert_array_equal(codes[name], clone(transformer).fit(X).transform(X))


def test_groups_of_a_frame_are_tables():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    models = fit_many(make_transformer(), frame.groupby(np.arange(60) % 3))
    assert list(models) == [0, 1, 2]
    assert list(models[0].feature_names_in_) == ["a", "b", "c"]


def test_names_that_do_not_fit_are_refused(wine):
    pairs = [("a", wine[0]), ("a", wine[0])]
    with pytest.raises(ValueError, match="Got 'a' twice"):
        fit_many(make_transformer(), pairs)
    with pytest.raises(ValueError, match="Got none for 'a'"):
        transform_many({}, pairs[:1])
    with pytest.raises(ValueError, match=r"Got ndarray in place of a pair.*enumerate\(tables\)"):
        fit_many(make_transformer(), [wine[0], wine[0]])


def test_an_error_has_a_note_of_the_table(wine):
    with pytest.raises(ValueError, match="infinity") as caught:
        fit_many(make_transformer(max_iter=1), {"good": wine[0], "bad": wine[0] / 0.0})
    assert caught.value.__notes__ == ["This is the table with the name 'bad'."]


def halve(estimator, X, **params):
    """Score candidates with an increasing number of epochs."""
    search = HalvingGridSearchCV(
        estimator,
        {"learning_rate_init": [0.001, 0.03]},
        resource="max_iter",
        factor=2,
        min_resources=2,
        max_resources=4,
        cv=2,
        refit=False,
    )
    with side_by_side(**params):
        return search.fit(X).cv_results_


def count_epochs(monkeypatch):
    """Return a list that records the step of each epoch."""
    trained = []
    run = Scheduler.run

    def count(self, step, epochs, n_cells):
        def list_epochs():
            costs = None
            with contextlib.suppress(StopIteration):
                while True:
                    epoch = epochs.send(costs)
                    trained.append(step)
                    costs = yield epoch

        return run(self, step, list_epochs(), n_cells)

    monkeypatch.setattr(Scheduler, "run", count)
    return trained


WAYS = {
    "folds": make_transformer(),
    "noisy folds": make_transformer(corruption="gaussian"),
    "all rows": make_transformer(early_stopping=False),
    "held-out rows, adaptive": make_transformer(learning_rate="adaptive", n_iter_no_change=2),
    "variational": VariationalAutoencoderTransformer(2, hidden_layer_sizes=(8,), random_state=0),
}


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(estimator, id=name, marks=[] if name == "folds" else pytest.mark.slow)
        for name, estimator in WAYS.items()
    ],
)
def test_candidates_that_continue_score_as_after_a_whole_training(estimator, wine, monkeypatch):
    trained = count_epochs(monkeypatch)
    results = halve(estimator, wine[0], resume_until=4)
    n_resumed = len(trained)
    last = results["n_resources"] == 4
    assert last.any()
    for params, score in zip(
        np.array(results["params"])[last], results["mean_test_score"][last], strict=True
    ):
        whole = clone(estimator).set_params(**params)
        assert score == np.mean(cross_val_score(whole, wine[0], cv=2))
    trained.clear()
    monkeypatch.setattr(resumption, "_MOST_CELLS", 0)
    anew = halve(estimator, wine[0], resume_until=4)
    np.testing.assert_array_equal(anew["mean_test_score"], results["mean_test_score"])
    assert n_resumed < len(trained)


def test_tasks_wait_until_there_is_room_for_their_models(wine, monkeypatch):
    most = []
    run = Scheduler.run

    def count(self, *given):
        most.append(self.n_admitted)
        return run(self, *given)

    monkeypatch.setattr(Scheduler, "run", count)
    monkeypatch.setattr(_backend, "find_free_memory", lambda: 2)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    own = [make_transformer(random_state=seed, early_stopping=False) for seed in range(4)]
    assert_equal_fits(own, wine[0])
    # The size of a model is unknown until the first models are trained.
    assert max(most) <= 2
    assert most[-1] == 1


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("n_rows", [300, 1100])
@pytest.mark.parametrize("kind", [AutoencoderTransformer, AdversarialAutoencoderTransformer])
def test_joint_memory_counts_as_memory_of_its_tasks(kind, n_rows, monkeypatch):
    model = kind(2, hidden_layer_sizes=(40, 20), max_iter=2, random_state=0)
    assert_memory_is_counted(model, (n_rows, 30), monkeypatch)


def test_memory_of_recurrent_networks_counts_as_well(monkeypatch):
    assert_memory_is_counted(make_recurrent(n_units=12), (90, 24), monkeypatch)


def assert_memory_is_counted(model, shape, monkeypatch):
    kept = []
    monkeypatch.setattr(Scheduler, "_keep_networks", lambda self, key, own: kept.append(own))
    train_together(4, monkeypatch)
    X = np.random.default_rng(0).normal(size=shape).cumsum(1)
    with side_by_side():
        fit_all([model] * 4, X)
    assert kept
    for networks in kept:
        sizes = {own.data_ptr(): own.nbytes() for own in list_memory(networks, set())}
        assert networks.n_bytes == pytest.approx(sum(sizes.values()), rel=0.15)


def list_memory(part, seen):
    """Yield the memory of all tensors in an object."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, torch.Tensor):
        yield part.untyped_storage()
        return
    parts = part if isinstance(part, list | tuple) else getattr(part, "__dict__", {}).values()
    for own in part.values() if isinstance(part, dict) else parts:
        yield from list_memory(own, seen)


@pytest.mark.parametrize("name", ["resume_until", "max_models"])
def test_invalid_limits_are_refused(name):
    for value in (0, 2.5, "all"):
        with pytest.raises(ValueError, match=rf"`{name}` must be a positive integer\. Got"):
            side_by_side(**{name: value})


def test_at_most_as_many_models_as_allowed_run_at_the_same_time():
    lock, running, most = threading.Lock(), [], []

    def run():
        with lock:
            running.append(0)
            most.append(len(running))
        time.sleep(0.01)
        with lock:
            running.pop()

    for n_jobs, expected in ((None, 3), (2, 2), (5, 3)):
        with side_by_side(max_models=3):
            tasks = joblib.Parallel(n_jobs=n_jobs)
            tasks(joblib.delayed(run)() for _ in range(9))
            assert max(most) <= tasks._effective_n_jobs() == expected


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_processes(wine):
    X = wine[0]
    losses = ["absolute_error", Raising(ZeroDivisionError), "huber"]
    search = GridSearchCV(make_transformer(), {"loss": losses}, cv=2, error_score=-1.0)
    alone = clone(search).fit(X)
    with side_by_side(n_processes=2, n_jobs=4):
        together = clone(search).fit(X)
        models = fit_many(make_transformer(), {"a": X, "b": X[:50], "c": X[:2]}, n_processes=2)
    scores = together.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, alone.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(scores == -1, [False, True, False])
    np.testing.assert_array_equal(together.transform(X), alone.transform(X))
    for model, n_rows in zip(models.values(), [len(X), 50, 2], strict=True):
        expected = make_transformer().fit(X[:n_rows]).transform(X)
        np.testing.assert_array_equal(model.transform(X), expected)


def test_tasks_are_sent_in_chunks_and_run_here_where_they_cannot_be_sent():
    sent = []

    def run_a_copy(run, tasks, **settings):
        try:
            copies = cloudpickle.loads(cloudpickle.dumps(tasks))
        except TypeError as error:
            raise pickle.PicklingError from error
        sent.append(len(copies))
        return run(copies, **settings)

    lock = threading.Lock()
    with ThreadPoolExecutor(2) as processes:
        workers = Workers(
            partial(processes.submit, run_a_copy),
            n_processes=2,
            n_tasks=4,
            most_bytes=2**30,
            n_cores=1,
            here=Scheduler(2, most_bytes=2**30),
        )
        powers = [workers.submit(partial(pow, 2, number)) for number in range(7)]
        failing, locked = workers.submit(partial(divmod, 1, 0)), workers.submit(partial(id, lock))
        workers.flush()
        assert [future.result(timeout=30) for future in powers] == [1, 2, 4, 8, 16, 32, 64]
        assert isinstance(failing.exception(timeout=30), ZeroDivisionError)
        # A lock cannot be pickled.
        assert locked.result(timeout=30) == id(lock)
    assert 7 <= sum(sent) <= 8
    assert max(sent) == 2


def test_neighbouring_tasks_are_dealt_to_different_processes():
    chunks = []

    def submit(run, tasks, **settings):
        chunks.append([task() for task in tasks])
        return Future()

    options = {"n_processes": 2, "n_tasks": 8, "most_bytes": 2**20, "n_cores": 1, "here": None}
    workers = Workers(submit, **options)
    for number in range(7):
        workers.submit(partial(int, number))
    workers.flush()
    assert chunks == [[0, 2, 4, 6], [1, 3, 5]]


def test_warnings_of_worker_processes_are_filtered_as_in_the_main_one():
    here, there = [*warnings.filters], [("error", None, UserWarning, None, 0)]
    (outcome,) = run_together([lambda: [*warnings.filters]], 2**20, 1, there)
    assert outcome == (there, None)
    assert warnings.filters == here


@pytest.mark.slow
def test_tasks_run_in_other_processes_unless_they_cannot_be_sent_there():
    # Processes cannot import this file, and get the function by value.
    tell_process = joblib.delayed(lambda *_: os.getpid())
    with side_by_side(n_processes=2):
        ids = joblib.Parallel()(tell_process(i) for i in range(4))
        assert os.getpid() not in ids
        # A lock cannot be pickled.
        tasks = (tell_process(threading.Lock()) for _ in range(4))
        assert set(joblib.Parallel()(tasks)) == {os.getpid()}


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interruption_ends_the_processes(wine):
    endless = make_transformer(max_iter=10**6, early_stopping=False)
    with side_by_side(n_processes=2), pytest.raises(KeyboardInterrupt):
        joblib.Parallel()([joblib.delayed(endless.fit)(wine[0]), joblib.delayed(interrupt)()])
    # The next call starts others.
    with side_by_side(n_processes=2):
        assert os.getpid() not in joblib.Parallel()([joblib.delayed(os.getpid)()] * 2)


@pytest.mark.parametrize("n_processes", [0, 1.5, "all"])
def test_an_invalid_number_of_processes_is_refused(n_processes):
    with pytest.raises(ValueError, match=r"`n_processes` must be an integer other than 0\. Got"):
        side_by_side(n_processes=n_processes)


def test_fits_of_several_processes_do_not_continue():
    with pytest.raises(ValueError, match=r"`n_processes` must be 1 if `resume_until` is given"):
        side_by_side(resume_until=3, n_processes=2)
