"""Equal seeds give equal results, and global state is not changed."""

import contextlib
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.utils import check_random_state

from skae import AdversarialAutoencoderTransformer, AutoencoderImputer, AutoencoderTransformer
from skae.modules import _dense

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")


def codes_of(estimator, X):
    return estimator.fit(X).transform(X)


def numpys_random_state():
    """Return NumPy's global generator, as scikit-learn does."""
    return check_random_state(None)


def read_global_state():
    """Return the global state that a fit might change, in comparable form."""
    return {
        "numpy": pickle.dumps(numpys_random_state()),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "cuda": [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
        if torch.cuda.is_available()
        else [],
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.fixture
def global_state_kept():
    before = read_global_state()
    yield
    assert read_global_state() == before


@contextlib.contextmanager
def double_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.usefixtures("global_state_kept")
def test_nothing_global_is_touched(any_autoencoder, images):
    any_autoencoder.fit(images)
    codes = any_autoencoder.transform(images)
    any_autoencoder.inverse_transform(codes)
    any_autoencoder.score(images)
    any_autoencoder.partial_fit(images)


@pytest.mark.usefixtures("global_state_kept")
@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform", "score"])
def test_nothing_global_is_touched_by_a_failure(quick, images, monkeypatch, method):
    estimator = quick().fit(images)

    def fail(*args, **kwargs):
        raise RuntimeError("no memory left")

    # The last call of each fit inside torch.
    monkeypatch.setitem(_dense._IN_PLACE, "silu", fail)
    monkeypatch.setattr(torch.nn.SiLU, "forward", fail)
    monkeypatch.setattr("skae._engine.steps.passes.StackStep.forward", fail)
    monkeypatch.setattr("skae._engine.tables.standardization.Standardization.invert", fail)
    with pytest.raises(RuntimeError, match="no memory left"):
        getattr(estimator, method)(images[:, :4] if method == "inverse_transform" else images)


@pytest.mark.mostly_slow(2)
def test_one_seed_gives_one_result(any_autoencoder, images):
    first = codes_of(any_autoencoder, images)
    np.testing.assert_array_equal(codes_of(any_autoencoder, images), first)


def test_other_seeds_give_other_results(quick, images):
    codes = [codes_of(quick(random_state=seed), images) for seed in (0, 1)]
    assert not np.array_equal(*codes)


def test_a_random_state_advances_from_fit_to_fit(quick, images):
    estimator = quick(random_state=np.random.RandomState(0))
    first, second = codes_of(estimator, images), codes_of(estimator, images)
    assert not np.array_equal(first, second)
    again = quick(random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(codes_of(again, images), first)


@pytest.mark.mostly_slow(2, first=1)
def test_global_seeds_have_no_influence(any_autoencoder, images):
    results = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            results.append(codes_of(any_autoencoder, images))
    np.testing.assert_array_equal(*results)


def test_no_seed_follows_numpys_global_one(quick, images):
    before = numpys_random_state().get_state()
    first = codes_of(quick(random_state=None), images)
    numpys_random_state().set_state(before)
    np.testing.assert_array_equal(codes_of(quick(random_state=None), images), first)
    assert not np.array_equal(codes_of(quick(random_state=None), images), first)


@pytest.mark.mostly_slow(2, first=1)
def test_fits_in_several_threads_are_those_in_one(any_autoencoder, images):
    alone = codes_of(copy.deepcopy(any_autoencoder), images)
    estimators = [copy.deepcopy(any_autoencoder) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda estimator: codes_of(estimator, images), estimators))
    for codes in together:
        np.testing.assert_array_equal(codes, alone)


@pytest.mark.slow
def test_fits_in_worker_processes_are_those_in_this_one(quick, images):
    here = Parallel(n_jobs=1)(delayed(codes_of)(quick(), images) for _ in range(2))
    there = Parallel(n_jobs=2)(delayed(codes_of)(quick(), images) for _ in range(2))
    np.testing.assert_array_equal(there, here)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    "context",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", torch.bfloat16),
        double_by_default,
    ],
    ids=["no_grad", "inference_mode", "meta_device", "autocast", "double"],
)
def test_results_do_not_depend_on_the_mode_of_torch(any_autoencoder, images, context):
    codes = codes_of(any_autoencoder, images)
    reconstructions = any_autoencoder.inverse_transform(codes)
    with context():
        np.testing.assert_array_equal(codes_of(any_autoencoder, images), codes)
        np.testing.assert_array_equal(any_autoencoder.inverse_transform(codes), reconstructions)
    np.testing.assert_array_equal(any_autoencoder.transform(images), codes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "context",
    [
        pytest.param(lambda: torch.device("meta"), id="meta_device"),
        pytest.param(double_by_default, id="double", marks=pytest.mark.slow),
    ],
)
def test_draws_and_fills_do_not_depend_on_the_mode_of_torch(images, context):
    X = images[:40, 20:26]
    gaps = np.where(np.arange(X.size).reshape(X.shape) % 7, X, np.nan)
    small = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
    template = AutoencoderTransformer(2, early_stopping=False, **small)
    for model, rows in (
        (AdversarialAutoencoderTransformer(2, **small), X),
        (AutoencoderImputer(autoencoder=template, random_state=0), gaps),
    ):
        expected = model.fit_transform(rows)
        with context():
            np.testing.assert_array_equal(model.fit_transform(rows), expected)
