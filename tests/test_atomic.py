"""Refits that fail or are interrupted at any point, also as seen by other threads."""

import inspect
import pickle
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import skae
from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.codes import Quantizer
from skae.exceptions import NonFiniteLossError
from skae.generate import CodeSampler

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning"),
]

FOLDER = str(Path(skae.__file__).parent)


QUICK = {"max_iter": 1, "early_stopping": False, "random_state": 0}


def make_autoencoder(**params):
    return AutoencoderTransformer(2, hidden_layer_sizes=(4,), **QUICK | params)


def detect(detector, X):
    return detector.decision_function(X)


def impute(imputer, X):
    return imputer.transform(np.where(np.arange(X.size).reshape(X.shape) % 5 == 0, np.nan, X))


def sample(sampler, X):
    return sampler.sample(5, random_state=0)


class ByHalf(VariationalAutoencoderTransformer):
    """Conditional autoencoder, with large and small values of the first column as classes."""

    def fit(self, X, y=None):
        return super().fit(X, y=X[:, 0] > np.median(X[:, 0]))


class OfSizes(TokenAutoencoderTransformer):
    """Autoencoder of texts, with the sizes of the values of a row as words."""

    def fit(self, X, y=None):
        return super().fit(to_words(X) if len(X) > 1 and np.isfinite(X).all() else X)


def to_words(X):
    return np.abs(X).astype(int) % 7 + 1


def sample_class(model, X):
    return model.sample(5, random_state=0, y=True)


KINDS = {
    "transformer": (make_autoencoder(), lambda model, X: model.transform(X)),
    "conditional": (ByHalf(2, conditional=True, **QUICK), sample_class),
    "texts": (OfSizes(2, **QUICK), lambda model, X: model.transform(to_words(X))),
    "imputer": (AutoencoderImputer(2, autoencoder=make_autoencoder(), random_state=0), impute),
    "detector": (
        AutoencoderOutlierDetector(2, cv=None, autoencoder=make_autoencoder(), random_state=0),
        detect,
    ),
    "calibrated": (
        AutoencoderOutlierDetector(2, cv=2, autoencoder=make_autoencoder(), random_state=0),
        detect,
    ),
    "quantizer": (Quantizer(), lambda quantizer, X: quantizer.transform(X)),
    "sampler": (CodeSampler(make_autoencoder(), random_state=0), sample),
}


@pytest.fixture(
    params=[
        pytest.param(kind, marks=[pytest.mark.slow] if kind == "calibrated" else [])
        for kind in KINDS
    ]
)
def kind(request):
    """Return an unfitted estimator, and a function that applies it to rows."""
    estimator, apply = KINDS[request.param]
    return clone(estimator), apply


@pytest.fixture
def tables():
    """Return rows, and rows with another mean and scale and a further column."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(30, 4))
    return X, np.column_stack([X[::-1] * 100 + 1000, X[:, 0] * X[:, 1]])


class Interruption:
    """Tracer that counts calls of functions of skae, and raises KeyboardInterrupt at one."""

    def __init__(self, at=None):
        self.at, self.n_calls = at, 0

    def __call__(self, frame, event, argument):
        code = frame.f_code
        # Python ignores exceptions in a generator that is being closed.
        is_generator = bool(code.co_flags & inspect.CO_GENERATOR)
        if event == "call" and code.co_filename.startswith(FOLDER) and not is_generator:
            self.n_calls += 1
            if self.n_calls == self.at:
                raise KeyboardInterrupt

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *args):
        sys.settrace(self.before)


def choose_moments(n_calls, n_ends):
    """Return calls to interrupt: the first ones, the last ones, and some between."""
    between = np.linspace(1, n_calls, 2 + n_ends, dtype=int).tolist()
    return sorted({*range(1, 1 + n_ends), *between, *range(n_calls - n_ends + 1, n_calls + 1)})


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("n_ends", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_refit_interrupted_at_any_call_changes_nothing(kind, tables, n_ends):
    estimator, apply = kind
    X, other = tables
    estimator.fit(X)
    # Only the first fit to such a table imports modules and fills caches.
    another = clone(estimator).fit(other)
    with Interruption() as counter:
        another.fit(other)
    before, expected = dict(vars(estimator)), apply(estimator, X)
    for moment in choose_moments(counter.n_calls, n_ends):
        with Interruption(moment), pytest.raises(KeyboardInterrupt):
            estimator.fit(other)
        assert vars(estimator) == before, moment
        np.testing.assert_array_equal(apply(estimator, X), expected)
    assert apply(estimator.fit(other), other).shape[0] in (5, len(other))


def test_after_a_first_fit_that_fails_the_estimator_itself_is_not_fitted(kind, tables):
    estimator, apply = kind
    if isinstance(estimator, Quantizer):
        pytest.skip("has no loss")
    diverging = {"learning_rate_init": 1e30, "learning_rate": "constant", "activation": "relu"}
    inner = [name for name in ("autoencoder", "transformer") if hasattr(estimator, name)]
    if "activation" not in estimator.get_params() and not inner:
        diverging |= {"batch_size": 2, "max_iter": 20}
        del diverging["activation"]
    estimator.set_params(**{"__".join([*inner, name]): diverging[name] for name in diverging})
    before = dict(vars(estimator))
    with pytest.raises(NonFiniteLossError):
        estimator.fit(tables[0])
    assert vars(estimator) == before
    with pytest.raises(NotFittedError, match=type(estimator).__name__):
        apply(estimator, tables[0])


def test_a_refit_that_is_refused_changes_nothing(kind, tables):
    estimator, apply = kind
    X, other = tables
    estimator.fit(X)
    before, expected = dict(vars(estimator)), apply(estimator, X)
    for make_bad in [lambda X: X[:0], lambda X: np.vstack([X, np.full(5, np.inf)])]:
        with pytest.raises(ValueError, match="minimum|infinity"):
            estimator.fit(make_bad(other))
        assert vars(estimator) == before
        np.testing.assert_array_equal(apply(estimator, X), expected)


def test_a_refit_keeps_no_attributes_of_the_earlier_fit(tables):
    X = tables[0]
    mixed = pd.DataFrame(X).rename(columns=str).assign(kind=np.where(X[:, 0] > 0, "u", "v"))
    names = pd.DataFrame(X).rename(columns=str)
    detector = KINDS["calibrated"][0]
    cases = [
        (make_autoencoder(), {"nested": True}, X, {"nested": False}, X),
        (detector, {"cv": 2}, X, {"cv": None}, X),
        (detector, {}, X, {}, mixed),
        (Quantizer(), {}, names, {}, X),
    ]
    for estimator, first, table, second, other in cases:
        refitted = clone(estimator).set_params(**first).fit(table).set_params(**second).fit(other)
        fresh = clone(estimator).set_params(**second).fit(other)
        assert vars(refitted).keys() == vars(fresh).keys()
        if second == {"cv": None}:
            with pytest.raises(ValueError, match="Fit it with `cv=2`"):
                refitted.p_values(X)


@pytest.mark.mostly_slow(4)
def test_a_refit_keeps_what_a_user_attached(kind, tables):
    estimator, _ = kind
    expected = vars(clone(estimator).fit(tables[1])).keys()
    estimator.fit(tables[0]).note_ = "from the archive"
    for copy in (pickle.loads(pickle.dumps(estimator)), estimator):
        copy.fit(tables[1])
        assert copy.note_ == "from the archive"
        assert vars(copy).keys() - {"note_"} == expected


@pytest.mark.mostly_slow(4)
def test_other_threads_see_one_fit_or_the_other(kind, tables):
    estimator, apply = kind
    X = tables[0]
    other = X[::-1] * 100 + 1000
    allowed = [apply(estimator.fit(table), X) for table in (other, X)]
    stop, strange = threading.Event(), []

    def read():
        while not stop.is_set():
            result = apply(estimator, X)
            if not any(np.array_equal(result, one) for one in allowed):
                strange.append(result)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for table in (other, X):
            estimator.fit(table)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not strange
