"""Autoencoders of sequences: padding is ignored, and features for tables work."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.architectures import Recurrent
from skae.sequences import SequencePadder

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")

LENGTH = 6


@pytest.fixture(scope="module")
def padded():
    """Return waves of two features and different lengths, as rows."""
    source = np.random.default_rng(0)
    waves = [
        np.sin(0.8 * np.arange(length)[:, None] + source.uniform(0, 6) + [0.0, 1.0])
        for length in source.integers(2, LENGTH + 1, size=40)
    ]
    return SequencePadder(LENGTH).fit_transform(waves)


def make(estimator=AutoencoderTransformer, n_components=2, **params):
    options = {"cell", "n_layers", "bidirectional", "reverse"} & params.keys()
    own = {name: params.pop(name) for name in options}
    params = {"missing": "mask", **params}
    if estimator is not AdversarialAutoencoderTransformer:
        params = {"early_stopping": False, **params}
    params = {
        "architecture": Recurrent(n_units=5, **own),
        "sample_shape": (LENGTH, 2),
        "max_iter": 1,
        "random_state": 0,
        **params,
    }
    return estimator(n_components, **params)


@pytest.mark.slow
def test_results_do_not_depend_on_the_length_of_the_padding(padded):
    padded = padded[:24]
    for params in [
        {"early_stopping": True},
        {"cell": "lstm", "n_layers": 2},
        {"reverse": False, "corruption": "hiding", "corruption_level": 0.2},
        {"bidirectional": True, "penalty": "l1"},
        {"init": "random"},
    ]:
        model = make(**{"max_iter": 1, **params}).fit(padded)
        longer = np.hstack([padded, np.full_like(padded, np.nan)])
        other = clone(model).set_params(sample_shape=(2 * LENGTH, 2)).fit(longer)
        codes = model.transform(padded)
        assert codes.std() > 0.1
        np.testing.assert_allclose(other.transform(longer), codes, atol=1e-5)
        assert other.score(longer) == pytest.approx(model.score(padded), abs=1e-6)
        assert other.sample_shape_ == model.sample_shape_ == (LENGTH, 2)
        reconstruction = other.inverse_transform(codes)
        assert reconstruction.shape == longer.shape
        assert other.mean_.shape == (longer.shape[1],)
        np.testing.assert_allclose(
            reconstruction[:, : padded.shape[1]], model.inverse_transform(codes), atol=1e-5
        )
        # No training sequence has been so long.
        assert np.isnan(reconstruction[:, padded.shape[1] :]).all()
        assert np.isnan(other.reconstruction_errors(longer)[np.isnan(longer)]).all()


def test_starts_as_pca_of_rows_with_means_for_padding(padded):
    model = make(learning_rate_init=1e-12).fit(padded)
    mean = np.nanmean(padded, axis=0)
    filled = np.where(np.isnan(padded), mean, padded)
    pca = PCA(2).fit(filled)
    expected = pca.inverse_transform(pca.transform(filled))
    codes = model.transform(padded)
    np.testing.assert_allclose(model.inverse_transform(codes), expected, atol=1e-5)
    errors = (padded - expected) ** 2
    assert model.pca_reconstruction_error_ == pytest.approx(np.nanmean(errors), rel=1e-4)
    np.testing.assert_allclose(model.mean_, mean, atol=1e-12)


@pytest.mark.slow
def test_recurrent_networks_reconstruct_better_than_pca(padded):
    model = make(n_components=1, max_iter=40, architecture="recurrent")
    model.fit(padded)
    assert model.reconstruction_error_ < 0.7 * model.pca_reconstruction_error_


@pytest.mark.slow
def test_beyond_its_end_a_sequence_continues_like_longer_ones(padded):
    model = make(max_iter=40, architecture="recurrent").fit(padded)
    reconstruction = model.inverse_transform(model.transform(padded))
    assert np.isfinite(reconstruction).all()
    # Both features together determine the phase of a wave.
    first, second = padded[:, 0], padded[:, 1]
    phase = np.arctan2(first, (second - first * np.cos(1)) / np.sin(1))
    steps = 0.8 * np.arange(LENGTH)[:, None] + [0.0, 1.0]
    waves = np.sin(phase[:, None] + steps.ravel())
    np.testing.assert_allclose(waves[~np.isnan(padded)], padded[~np.isnan(padded)], atol=1e-6)
    beyond = np.isnan(padded)
    error = np.mean((reconstruction - waves)[beyond] ** 2)
    assert error < 0.7 * np.mean((waves - np.nanmean(padded, axis=0))[beyond] ** 2)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    "params",
    [
        {"penalty": "l1"},
        {"penalty": "kl_sparsity", "cell": "lstm"},
        pytest.param({"penalty": "orthogonal"}, marks=pytest.mark.slow),
        {"penalty": "contractive", "missing": None},
        pytest.param(
            {"penalty": "contractive", "missing": None, "cell": "lstm"}, marks=pytest.mark.slow
        ),
        pytest.param({"corruption": "gaussian"}, marks=pytest.mark.slow),
        {"corruption": "masking", "cell": "lstm"},
        pytest.param({"corruption": "swap"}, marks=pytest.mark.slow),
        {"corruption": "hiding", "cell": "lstm"},
        pytest.param({"loss": "huber"}, marks=pytest.mark.slow),
        {"hidden_layer_sizes": (4,), "normalization": "batch", "dropout": 0.3},
        {"dropout": 0.3, "cell": "lstm"},
        {"dtype": "float64", "n_layers": 2, "bidirectional": True},
        {"init": "random", "reverse": False},
        {"mixed_precision": True, "early_stopping": True, "cell": "lstm"},
        {"estimator": VariationalAutoencoderTransformer},
        pytest.param(
            {"estimator": VariationalAutoencoderTransformer, "cell": "lstm"}, marks=pytest.mark.slow
        ),
        {"estimator": AdversarialAutoencoderTransformer},
        pytest.param(
            {"estimator": AdversarialAutoencoderTransformer, "cell": "lstm"}, marks=pytest.mark.slow
        ),
    ],
    ids=lambda params: "-".join(getattr(x, "__name__", str(x)) for x in params.values()),
)
def test_everything_goes_together(padded, params):
    X = padded if params.get("missing", "mask") else np.nan_to_num(padded)
    before = torch.get_rng_state()
    model = make(**params).fit(X)
    codes = model.transform(X)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.inverse_transform(codes)).all()
    np.testing.assert_array_equal(clone(model).fit(X).transform(X), codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), codes)


def test_training_continues(padded):
    model = make()
    model.partial_fit(padded[:30]).partial_fit(padded[30:])
    assert model.n_iter_ == 1
    again = make(warm_start=True).fit(padded)
    before = again.transform(padded)
    assert not np.array_equal(again.fit(padded).transform(padded), before)
    # The first chunk sets the maximum length of sequences; longer ones are cut.
    short = padded.copy()
    short[:, 6:] = np.nan
    model = make().partial_fit(short)
    assert model.sample_shape_ == (3, 2)
    model.partial_fit(padded)
    codes = model.transform(padded)
    np.testing.assert_array_equal(codes, model.transform(np.where(np.arange(12) < 6, padded, 9.0)))


def test_arrays_of_three_axes_are_reconstructed_with_three_axes(padded):
    flat = make(sample_shape=(-1, 2)).fit(padded)
    X = padded.reshape(-1, LENGTH, 2)
    model = make(sample_shape=None).fit(X)
    codes = model.transform(X)
    np.testing.assert_array_equal(codes, flat.transform(padded))
    assert model.inverse_transform(codes).shape == X.shape


def test_parameters_of_the_architecture_can_be_searched(padded):
    model = make().set_params(architecture__n_units=3, architecture__cell="lstm").fit(padded)
    assert model.net_.module_.encoder.readers[0].n_units == 3


def test_unsupported_parameters_are_refused(padded):
    for params, message in [
        ({"architecture": Recurrent("rnn")}, "`cell` must be one of .*'gru', 'lstm'.* Got 'rnn'"),
        ({"architecture": Recurrent(n_units=0)}, "`n_units` must be a positive integer. Got 0"),
        ({"architecture": Recurrent(n_layers=1.5)}, "`n_layers` must be .* Got 1.5"),
        ({"sample_shape": None}, r"`sample_shape` must be \(steps, features of a step\).*\(12,\)"),
        ({"sample_shape": (-1, 5)}, "`sample_shape` must be a tuple of positive integers"),
        ({"normalization": "layer"}, "`normalization` must be None with recurrent layers only"),
        ({"missing": None, "tied_weights": True}, "`tied_weights` must be False with a recurrent"),
    ]:
        X = padded if params.get("missing", "mask") else np.nan_to_num(padded)
        with pytest.raises(ValueError, match=message):
            make(**params).fit(X)


@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
@pytest.mark.parametrize("n_rows", [2, 3])
def test_all_cells_of_a_sequence_may_be_missing(n_rows):
    X = np.array([[np.nan, np.nan], [1.0, 2.0], [np.nan, 3.0]])[:n_rows]
    params = {"architecture": "recurrent", "missing": "mask", "sample_shape": (2, 1)}
    model = AutoencoderTransformer(1, max_iter=1, random_state=0, **params)
    assert np.isfinite(model.fit_transform(X)).all()


def test_sequences_of_padding_alone_are_refused():
    model = AutoencoderTransformer(2, architecture="recurrent", missing="mask", max_iter=1)
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="observed cell. Got NaN only"):
            fit(np.full((3, 2, 1), np.nan))
