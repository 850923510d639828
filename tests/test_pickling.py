"""Copies of an estimator: pickled, mapped into memory, hashed, cloned."""

import copy
import io
import pickle
import subprocess
import sys
import warnings

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import AutoencoderTransformer
from skae._shared.versions import current_versions
from skae.exceptions import InconsistentVersionWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


COPIES = [copy.deepcopy, copy.copy, through_pickle, through_joblib]


def results_of(estimator, X):
    codes = estimator.transform(X)
    return codes, estimator.inverse_transform(codes), estimator.score_samples(X)


def assert_same_results(estimator, other, X):
    for one, two in zip(results_of(estimator, X), results_of(other, X), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.mostly_slow(8, first=4)
@pytest.mark.parametrize("make_copy", COPIES)
def test_copies_give_the_same_results(any_autoencoder, images, make_copy):
    estimator = any_autoencoder.fit(images)
    duplicate = make_copy(estimator)
    assert_same_results(estimator, duplicate, images)
    for name in ("loss_curve_", "n_iter_", "best_iter_", "reconstruction_error_"):
        assert getattr(duplicate, name) == getattr(estimator, name)


@pytest.mark.parametrize("params", [{"loss": "binary_cross_entropy"}, {"init": "random"}], ids=str)
def test_every_kind_of_network_survives_a_pickle(quick, images, params):
    estimator = quick(whiten=True, activation="tanh", **params).fit(images)
    assert_same_results(estimator, through_pickle(estimator), images)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("make_copy", COPIES)
def test_copies_can_be_fitted_again(quick, images, make_copy):
    estimator = quick().fit(images)
    duplicate = make_copy(estimator).fit(images[:100])
    assert_same_results(duplicate, quick().fit(images[:100]), images)
    assert_same_results(estimator, quick().fit(images), images)


def test_a_deep_copy_shares_no_weights(quick, images):
    estimator = quick(warm_start=True).fit(images)
    expected = estimator.transform(images)
    copy.deepcopy(estimator).partial_fit(images)
    np.testing.assert_array_equal(estimator.transform(images), expected)


def test_training_continues_after_a_pickle(quick, images):
    estimator = through_pickle(quick().fit(images))
    error = estimator.reconstruction_error_
    for _ in range(3):
        estimator.partial_fit(images)
    assert estimator.reconstruction_error_ < error


def test_a_pickle_holds_the_weights_and_little_else(quick, images):
    for n_hidden, learning_rate in [(16, "one_cycle"), (16, "adaptive"), (512, "adaptive")]:
        params = {"learning_rate": learning_rate, "max_iter": 15, "n_iter_no_change": 15}
        estimator = quick(hidden_layer_sizes=n_hidden, **params).fit(images)
        n_bytes = sum(value.nbytes for value in estimator.net_.module_.state_dict().values())
        assert len(pickle.dumps(estimator)) <= 1.1 * n_bytes + 10_000


@pytest.mark.mostly_slow(2)
def test_pickles_hold_no_state_of_training(any_autoencoder, images):
    names = pickle.dumps(any_autoencoder.fit(images))
    for leftover in (b"optim", b"EpochHook", b"BestEpoch", b"FiniteLoss", b"callback_ctx"):
        assert (leftover in names) == (
            leftover == b"optim" and any_autoencoder.net_params is not None
        )


@pytest.mark.mostly_slow(8)
@pytest.mark.parametrize("make_copy", COPIES)
def test_the_hash_is_that_of_the_weights(any_autoencoder, images, make_copy):
    estimator = any_autoencoder.fit(images)
    before = joblib.hash(estimator)
    assert joblib.hash(make_copy(estimator)) == before
    estimator.transform(images)
    assert joblib.hash(estimator) == before
    assert joblib.hash(any_autoencoder.set_params(random_state=1).fit(images)) != before


def test_a_file_can_be_mapped_into_memory(quick, images, tmp_path):
    estimator = quick().fit(images)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped = joblib.load(tmp_path / "estimator.joblib", mmap_mode="r")
        assert_same_results(estimator, mapped, images)


@pytest.mark.slow
def test_another_process_gives_the_same_codes(quick, images, tmp_path):
    estimator = quick().fit(images)
    joblib.dump((estimator, images), tmp_path / "in.joblib")
    program = (
        "import sys, joblib, numpy\n"
        "estimator, X = joblib.load(sys.argv[1])\n"
        "numpy.save(sys.argv[2], estimator.transform(X))"
    )
    files = [str(tmp_path / name) for name in ("in.joblib", "out.npy")]
    subprocess.run([sys.executable, "-W", "error", "-c", program, *files], check=True)
    np.testing.assert_array_equal(np.load(files[1]), estimator.transform(images))


@pytest.mark.parametrize("package", ["skae", "torch", "scikit-learn"])
def test_other_versions_are_warned_of(quick, images, package, monkeypatch):
    pickled = pickle.dumps(quick().fit(images))
    now = {**current_versions(), package: "99.0"}
    monkeypatch.setattr("skae._shared.versions.current_versions", lambda: now)
    with pytest.warns(InconsistentVersionWarning, match=rf"{package} \S+ \(now 99\.0\)"):
        pickle.loads(pickled)


def test_equal_versions_are_not_warned_of(quick, images):
    pickled = pickle.dumps(quick().fit(images))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickled)


@pytest.mark.mostly_slow(2, first=1)
def test_a_clone_has_the_parameters_and_no_fit(any_autoencoder, images):
    duplicate = clone(any_autoencoder.fit(images))
    assert repr(duplicate.get_params()) == repr(any_autoencoder.get_params())
    assert not [name for name in vars(duplicate) if name.endswith("_")]
    assert_same_results(any_autoencoder, duplicate.fit(images), images)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
@pytest.mark.parametrize("params", [{}, {"early_stopping": False}], ids=str)
def test_models_fitted_on_a_gpu_are_loaded_on_the_cpu(quick, images, params):
    estimator = quick(device="cuda", **params).fit(images)
    loaded = through_pickle(estimator)
    assert {value.device.type for value in loaded.net_.module_.state_dict().values()} == {"cpu"}
    for one, two in zip(results_of(estimator, images), results_of(loaded, images), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-4)


@pytest.mark.mostly_slow(2)
def test_equal_fits_have_equal_pickles(any_autoencoder, images):
    first, second = (clone(any_autoencoder).fit(images) for _ in range(2))
    assert pickle.dumps(first) == pickle.dumps(second)


@pytest.mark.mostly_slow(2, first=1)
def test_a_pickle_holds_no_modules(any_autoencoder, images):
    pickled = pickle.dumps(any_autoencoder.set_params(net_params=None).fit(images))
    assert b"torch.nn" not in pickled
    assert b"_rebuild" not in pickled


@pytest.mark.mostly_slow(2, first=1)
def test_cloudpickle_copies_a_fitted_estimator(any_autoencoder, images):
    estimator = any_autoencoder.fit(images)
    copied = pickle.loads(cloudpickle.dumps(estimator))
    assert_same_results(estimator, copied, images)


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.3, "normalization": "batch"},
        {"penalty": "l1", "tied_weights": True},
        {"architecture": "recurrent", "sample_shape": (8, 8), "dropout": 0.2},
        {"missing": "mask", "normalization": "layer"},
    ],
    ids=str,
)
def test_training_continues_from_a_pickle_as_from_a_copy(quick, images, params):
    images = images[:64]
    estimator = quick(max_iter=2, **params).fit(images)
    copies = [copy.deepcopy(estimator), through_pickle(estimator)]
    first, second = (own.partial_fit(images) for own in copies)
    assert_same_results(first, second, images)


def test_unpickling_leaves_the_global_generator_alone(quick, images):
    pickled = pickle.dumps(quick().fit(images))
    before = torch.get_rng_state()
    pickle.loads(pickled)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_changed_module_is_pickled_with_its_changes(quick, images):
    estimator = quick().fit(images)
    module = estimator.net_.module_
    module.decoder = torch.nn.Sequential(torch.nn.Identity(), module.decoder)
    assert_same_results(estimator, through_pickle(estimator), images)


def test_a_plan_of_a_larger_network_than_its_numbers_is_refused(quick, images):
    state = quick().fit(images).__getstate__()
    state["net_"]["plan"]["hidden_layer_sizes"] = (10**9,)
    with pytest.raises(ValueError, match="must fit its arrays"):
        type(quick())().__setstate__(state)


def make_pair(shape, n_components, n_outputs):
    encoder = torch.nn.Sequential(torch.nn.Linear(*shape, n_outputs), torch.nn.Dropout(0.2))
    return encoder, torch.nn.Linear(n_components, *shape)


@pytest.mark.slow
def test_a_user_defined_network_continues_training_after_a_pickle(images):
    estimator = AutoencoderTransformer(2, architecture=make_pair, max_iter=2, random_state=0)
    copies = [through_pickle(estimator.fit(images)), copy.deepcopy(estimator)]
    assert_same_results(estimator, copies[0], images)
    first, second = (own.partial_fit(images) for own in copies)
    assert_same_results(first, second, images)
