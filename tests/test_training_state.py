"""State after a fit, continued training, and use by several threads."""

import inspect
import pickle
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state, get_tags

from skae import AutoencoderTransformer
from skae.exceptions import NotBetterThanPCAWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

STEADY = {"early_stopping": False, "learning_rate": "constant"}


@pytest.mark.mostly_slow(2)
def test_a_fit_is_silent(any_autoencoder, images, capfd):
    any_autoencoder.fit(images).partial_fit(images).score(images)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_progress(quick, images, capsys):
    quick(verbose=True, early_stopping=True).fit(images)
    folds, header, *_, end = capsys.readouterr().out.splitlines()
    assert folds.startswith("5 folds choose epoch")
    assert header.split()[:2] == ["epoch", "train_loss"]
    assert re.fullmatch(r"Epoch \d+ of \d+ is kept: .* times that of PCA\.", end)


def test_colours_are_for_terminals(quick, images, capsys, monkeypatch):
    quick(verbose=True, early_stopping=False).fit(images)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    quick(verbose=True, early_stopping=False).fit(images)
    assert "\x1b" in capsys.readouterr().out


def test_epochs_are_trained_without_a_standard_output(quick, images, monkeypatch):
    # As in services, and under pythonw on Windows.
    monkeypatch.setattr(sys, "stdout", None)
    assert quick(verbose=True, early_stopping=False).fit(images).n_iter_ > 0


def test_parameters_are_those_of_the_constructor():
    names = list(inspect.signature(AutoencoderTransformer).parameters)
    assert sorted(AutoencoderTransformer().get_params()) == sorted(names)
    assert sorted(AutoencoderTransformer._parameter_constraints) == sorted(names)


@pytest.mark.mostly_slow(2, first=1)
def test_a_fit_changes_no_parameter(any_autoencoder, images):
    before = any_autoencoder.get_params()
    assert any_autoencoder.fit(images).get_params() == before


@pytest.mark.mostly_slow(2)
def test_a_second_fit_does_not_depend_on_the_first(any_autoencoder, images):
    params = {"n_components": 3, "hidden_layer_sizes": (8, 8), "activation": "tanh"}
    again = any_autoencoder.fit(images[:50, :20]).set_params(**params).fit(images)
    fresh = clone(any_autoencoder).fit(images)
    np.testing.assert_array_equal(again.transform(images), fresh.transform(images))
    assert again.loss_curve_ == fresh.loss_curve_


@pytest.mark.mostly_slow(2)
def test_fitted_attributes_describe_the_fit(any_autoencoder, images):
    estimator = any_autoencoder.fit(images)
    assert 1 <= estimator.n_iter_ <= estimator.max_iter
    assert 0 <= estimator.best_iter_ <= estimator.n_iter_
    assert len(estimator.loss_curve_) == estimator.n_iter_
    assert estimator.n_components_ == estimator.transform(images).shape[1] == 4
    assert estimator.n_features_in_ == estimator.mean_.shape[0] == 64
    assert estimator.reconstruction_error_ <= estimator.pca_reconstruction_error_
    if estimator.early_stopping:
        assert len(estimator.validation_loss_curve_) == estimator.n_iter_ + 1
    else:
        assert estimator.validation_loss_curve_ is None


def test_a_share_of_variance_chooses_the_number_of_codes(quick, images):
    few, many = (quick(n_components=share, **STEADY).fit(images) for share in (0.5, 0.9))
    assert 1 < few.n_components_ < many.n_components_ < 64
    assert few.score(images) >= 0.5
    assert many.score(images) >= 0.9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tags_are_true(dtype):
    tags = get_tags(AutoencoderTransformer(dtype=dtype))
    assert tags.transformer_tags.preserves_dtype == [dtype]
    assert tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert not tags.non_deterministic
    assert not tags.target_tags.required


@pytest.mark.mostly_slow(2, first=1)
def test_a_warm_start_continues_the_fit_before(any_autoencoder, images):
    estimator = any_autoencoder.set_params(warm_start=True, max_iter=5, init="random").fit(images)
    errors = [estimator.reconstruction_error_]
    for _ in range(3):
        errors.append(estimator.fit(images).reconstruction_error_)
    # Each fit may hold out other rows than the fit before.
    assert max(np.diff(errors)) < 0.05 * errors[0]
    assert errors[-1] < 0.9 * errors[0]
    assert estimator.n_iter_ <= 5


@pytest.mark.mostly_slow(2, first=1)
def test_a_warm_start_of_an_unfitted_estimator_is_a_fit(any_autoencoder, images):
    expected = any_autoencoder.fit(images).transform(images)
    warm = clone(any_autoencoder).set_params(warm_start=True).fit(images)
    np.testing.assert_array_equal(warm.transform(images), expected)


@pytest.mark.parametrize(
    "params", [{"n_components": 3}, {"hidden_layer_sizes": (8,)}, {"loss": "binary_cross_entropy"}]
)
def test_a_warm_start_with_another_network_is_refused(quick, images, params):
    estimator = quick(warm_start=True).fit(images)
    with pytest.raises(ValueError, match="parameters that make the network"):
        estimator.set_params(**params).fit(images)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_warm_start_keeps_the_number_of_codes(quick, images, share):
    estimator = quick(n_components=share, warm_start=True).fit(images)
    n_components = estimator.n_components_
    assert estimator.fit(images[:100]).n_components_ == n_components


def test_the_first_partial_fit_is_a_fit_of_one_epoch(quick, images):
    partial = quick().partial_fit(images)
    # Bounds are not inferred from a chunk, because later chunks may exceed them.
    whole = quick(max_iter=1, output_range=None, **STEADY).fit(images)
    np.testing.assert_array_equal(partial.transform(images), whole.transform(images))
    assert partial.loss_curve_ == whole.loss_curve_


def test_chunk_after_chunk_lowers_the_error(quick, digits):
    X = digits[0]
    estimator = quick(init="random")
    scores = []
    for _ in range(4):
        for chunk in np.array_split(X, 4):
            estimator.partial_fit(chunk)
        scores.append(estimator.score(X))
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.1


def test_chunks_are_seen_in_the_units_of_the_first(quick, images):
    estimator = quick().partial_fit(images)
    mean, scale = estimator.mean_.copy(), estimator.scale_
    estimator.partial_fit(images * 0.5)
    np.testing.assert_array_equal(estimator.mean_, mean)
    assert estimator.scale_ == scale


def test_a_chunk_of_another_width_is_refused(quick, images):
    estimator = quick().partial_fit(images)
    with pytest.raises(ValueError, match="63 features.*64 features"):
        estimator.partial_fit(images[:, 1:])


@pytest.mark.mostly_slow(4, first=2)
def test_several_threads_may_transform_at_once(any_autoencoder, images):
    estimator = any_autoencoder.fit(images)
    expected = estimator.transform(images)
    modes = []

    def work(_):
        modes.append(estimator.net_.module_.training)
        codes = estimator.transform(images)
        estimator.score(images)
        return codes

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(32)))
    for codes in results:
        np.testing.assert_array_equal(codes, expected)
    assert not any(modes)


def test_results_cannot_be_differentiated_by_accident(quick, images):
    estimator = quick().fit(images)
    estimator.transform(images)
    assert all(parameter.grad is None for parameter in estimator.net_.module_.parameters())


def test_a_fit_that_is_no_better_than_pca_warns(quick):
    X = check_random_state(0).normal(size=(60, 5))
    with pytest.warns(NotBetterThanPCAWarning, match="not below that of PCA"):
        estimator = quick(n_components=2, early_stopping=True).fit(X)
    assert estimator.best_iter_ == 0


@pytest.mark.slow
def test_later_chunks_may_pass_the_range_of_the_first(quick, images):
    first, then = images.copy(), images.copy()
    first[:, 5] = 0.0
    then[:, 5] = np.linspace(0, 4, len(then))
    estimator = quick().partial_fit(first)
    for _ in range(10):
        estimator.partial_fit(then)
    assert np.ptp(estimator.inverse_transform(estimator.transform(then))[:, 5]) > 0.5


def test_the_output_range_is_kept_in_continued_fits(quick, images):
    estimator = quick(warm_start=True, **STEADY).fit(images)
    shifted = np.random.default_rng(0).normal(5, 1, images.shape)
    reconstructions = estimator.fit(shifted).inverse_transform(estimator.transform(shifted))
    assert reconstructions.max() <= images.max() * (1 + 1e-6)


@pytest.mark.parametrize("changed", [{"dtype": "float64"}, {"activation": "relu"}], ids=str)
def test_going_on_with_another_network_is_refused(quick, images, changed):
    estimator = quick(warm_start=True, **STEADY).fit(images).set_params(**changed)
    with pytest.raises(ValueError, match="parameters that make the network must be those"):
        estimator.fit(images)


@pytest.mark.parametrize(
    "changed", [{"mixed_precision": True}, {"net_params": {"optimizer": torch.optim.SGD}}], ids=str
)
def test_another_kind_of_step_continues_without_the_moments(quick, images, changed):
    estimator = quick(warm_start=True, **STEADY).fit(images)
    before = estimator.score(images)
    estimator.set_params(**changed, learning_rate_init=1e-6).fit(images)
    assert estimator.score(images) == pytest.approx(before, abs=0.01)


def test_a_discarded_training_leaves_nothing_to_continue_from(quick):
    X = check_random_state(0).normal(size=(120, 6))
    model = quick(n_components=2, learning_rate_init=0.5).fit(X)
    assert model.best_iter_ == 0
    model.set_params(warm_start=True, learning_rate_init=0.01)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.fit(X).transform(X), loaded.fit(X).transform(X))
