"""Autoencoder of texts: start, training, and ignored words."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from skae import TokenAutoencoderTransformer
from skae.architectures import Recurrent
from skae.text import TokenSequencer


def draw_texts(n_texts, seed=0):
    """Return sentences of a small grammar, some with a second part."""
    source = np.random.default_rng(seed)
    adjectives = ["good", "bad", "long", "short"]
    texts = []
    for _ in range(n_texts):
        words = ["the", source.choice(["film", "end", "story"]), "was", source.choice(adjectives)]
        words += ["and", source.choice(adjectives)] * int(source.integers(2))
        texts.append(" ".join(words))
    return texts


@pytest.fixture(scope="module")
def tokens():
    return TokenSequencer().fit_transform(draw_texts(80))


def make(n_components=4, **params):
    params = {
        "architecture": Recurrent(n_units=16),
        "embedding_size": 8,
        "max_iter": 2,
        "early_stopping": False,
        "random_state": 0,
        **params,
    }
    return TokenAutoencoderTransformer(n_components, **params)


@pytest.mark.parametrize(
    "check", ["check_param_validation", "check_parameters_default_constructible"]
)
def test_passes_further_checks(check):
    estimator = TokenAutoencoderTransformer(max_iter=1)
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


def weigh_shares(tokens):
    """Return the shares of words in texts, and the inverse document frequencies."""
    n_tokens = tokens.max() + 1
    counts = np.stack([np.bincount(row[row > 0], minlength=n_tokens) for row in tokens])
    shares = counts / counts.sum(1, keepdims=True)
    occurs = (counts > 0).mean(0)
    smallest = 1 / len(tokens)
    return counts, shares, 1 + np.log((1 + smallest) / (occurs + smallest))


def test_starts_as_latent_semantic_analysis(tokens):
    model = make(learning_rate_init=1e-12, max_iter=1).fit(tokens)
    counts, shares, word_weights = weigh_shares(tokens)
    pca = PCA(4).fit(shares * word_weights)
    codes = pca.transform(shares * word_weights)
    codes /= codes[:, 0].std()
    np.testing.assert_allclose(np.abs(model.transform(tokens)), np.abs(codes), atol=1e-4)

    # Logarithms of the projected shares, with a straight line below a twentieth of a share.
    totals = counts.sum(0) + 0.5
    totals[0] += len(tokens)
    frequencies = totals / totals.sum()
    change = (pca.inverse_transform(pca.transform(shares * word_weights)) - pca.mean_) / (
        word_weights * frequencies
    )
    clipped = np.maximum(1 + change, 0.05)
    logits = np.log(frequencies) + np.log(clipped) + 1 + change - clipped
    log_shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    counts[:, 0] = 1
    expected = (counts * log_shares).sum(1) / counts.sum(1)
    np.testing.assert_allclose(model.score_samples(tokens), expected, atol=1e-4)
    assert model.lsa_reconstruction_error_ == pytest.approx(-expected.mean(), abs=1e-4)


@pytest.mark.slow
def test_learns_the_order_of_words():
    texts = draw_texts(400)
    autoencoder = make(8, max_iter=40, early_stopping=True, learning_rate_init=0.01)
    model = make_pipeline(TokenSequencer(), autoencoder).fit(texts[:300])
    assert autoencoder.reconstruction_error_ < 0.5 * autoencoder.lsa_reconstruction_error_
    assert autoencoder.best_iter_ > 0
    assert len(autoencoder.validation_loss_curve_) == autoencoder.n_iter_ + 1
    written = model.inverse_transform(model.transform(texts[300:]))
    right = [one == other for one, other in zip(written, texts[300:], strict=True)]
    assert np.mean(right) > 0.5
    assert model.score(texts[300:]) > -0.5 * autoencoder.lsa_reconstruction_error_


def test_texts_without_order_or_sense_stay_with_the_start():
    noise = np.random.default_rng(0).integers(2, 40, size=(60, 5))
    model = make(2, early_stopping=True, max_iter=5).fit(noise)
    assert model.best_iter_ == 0
    assert model.reconstruction_error_ == model.lsa_reconstruction_error_


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_results_do_not_depend_on_the_length_of_the_padding(tokens, cell):
    architecture = Recurrent(cell, n_units=8, bidirectional=True)
    model = make(architecture=architecture).fit(tokens)
    longer = np.pad(tokens, ((0, 0), (0, tokens.shape[1])))
    other = clone(model).fit(longer)
    np.testing.assert_allclose(other.transform(longer), model.transform(tokens), atol=1e-5)
    codes = model.transform(tokens)
    written = other.inverse_transform(codes)
    assert written.shape == longer.shape
    np.testing.assert_array_equal(written[:, : tokens.shape[1]], model.inverse_transform(codes))


def test_one_seed_is_one_result_and_pickles_hold_it(tokens):
    before = torch.get_rng_state()
    model = make(dtype="float64").fit(tokens)
    assert torch.equal(torch.get_rng_state(), before)
    codes = model.transform(tokens)
    assert codes.dtype == np.float64
    np.testing.assert_array_equal(clone(model).fit(tokens).transform(tokens), codes)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.transform(tokens), codes)
    np.testing.assert_allclose(np.cov(codes.T), np.diag(codes.var(0, ddof=1)), atol=1e-6)


def test_weights_count(tokens):
    weights = np.ones(len(tokens))
    weights[60:] = 0
    model = make().fit(tokens, sample_weight=weights)
    np.testing.assert_allclose(
        model.transform(tokens), make().fit(tokens[:60]).transform(tokens), atol=1e-6
    )
    scores = model.score_samples(tokens)
    assert model.score(tokens, sample_weight=weights) == pytest.approx(scores[:60].mean())
    heavy = make().fit(tokens, sample_weight=1 + np.arange(len(tokens)) % 3)
    assert not np.allclose(heavy.transform(tokens), make().fit(tokens).transform(tokens))


def test_unknown_words_and_empty_texts_have_codes(tokens):
    model = make().fit(tokens)
    row = tokens[:1].copy()
    row[0, 1] = 1000
    unknown = row.copy()
    unknown[0, 1] = 1
    np.testing.assert_array_equal(model.transform(row), model.transform(unknown))
    assert np.isfinite(model.transform(np.zeros_like(row))).all()
    assert np.isfinite(model.score_samples(np.zeros_like(row))).all()
    assert model.get_feature_names_out()[0] == "tokenautoencodertransformer0"


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((4, 3)), "X must hold whole numbers.* Got an array of float64"),
        (-np.ones((4, 3), int), "X must hold whole numbers.* Got -1"),
    ],
)
def test_rows_that_are_not_texts_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X)


def test_wrong_parameters_and_codes_are_refused(tokens):
    with pytest.raises(ValueError, match="`cell` must be one of"):
        make(architecture=Recurrent("rnn")).fit(tokens)
    with pytest.raises(ValueError, match="X must have 4 columns, one for each code"):
        make().fit(tokens).inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"X must hold codes of at most 1e\+18"):
        make().fit(tokens).inverse_transform(np.full((2, 4), 1e300))


def test_whole_numbers_of_all_types_are_texts(tokens):
    tokens = tokens[:40]
    expected = make().fit(tokens).transform(tokens)
    for dtype in (np.uint8, np.int8, np.int16, np.uint64):
        small = tokens.astype(dtype)
        np.testing.assert_array_equal(make().fit(small).transform(small), expected)


@pytest.mark.parametrize("hold", [list, pd.Series, np.array])
def test_texts_are_refused_with_the_name_of_the_sequencer(hold):
    with pytest.raises(ValueError, match=r"Got texts.*TokenSequencer"):
        TokenAutoencoderTransformer().fit(hold(["a film", "an end"]))


@pytest.mark.parametrize("number", [2**22, 2**31, 2**62])
def test_numbers_of_words_without_end_are_refused_in_fit_and_unknown_later(tokens, number):
    odd = tokens.copy()
    odd[0, 0] = number
    with pytest.raises(ValueError, match=f"numbers of words below .* Got {number}"):
        make().fit(odd)
    model, unknown = make(max_iter=1).fit(tokens), tokens.copy()
    unknown[0, 0] = 1
    np.testing.assert_array_equal(model.transform(odd.astype(np.uint64)), model.transform(unknown))


@pytest.mark.parametrize("cells", [pytest.param(20, marks=pytest.mark.slow), 300])
def test_outputs_computed_in_parts_are_those_computed_at_once(tokens, monkeypatch, cells):
    expected = make().fit(tokens)
    monkeypatch.setattr("skae.modules._tokens._CELLS_AT_ONCE", cells)
    found = make().fit(tokens)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(found.transform(tokens), expected.transform(tokens), atol=1e-3)
    np.testing.assert_allclose(found.score_samples(tokens), expected.score_samples(tokens), 1e-3)
    codes = expected.transform(tokens)
    written = expected.inverse_transform(codes)
    monkeypatch.undo()
    np.testing.assert_array_equal(written, expected.inverse_transform(codes))


@pytest.mark.parametrize(("n_texts", "length", "n_tokens"), [(2, 3000, 2**21), (20000, 300, 2000)])
def test_texts_with_too_many_words_to_train_on_are_refused(n_texts, length, n_tokens):
    texts = np.full((n_texts, length), 2, dtype=np.int32)
    texts[0, 0] = n_tokens
    model = TokenAutoencoderTransformer(device="cpu")
    with pytest.raises(ValueError, match=r"at most 1e\+10.*`max_length` and `max_features`"):
        model.fit(texts)
    assert not hasattr(model, "n_features_in_")


def test_texts_of_different_lengths_are_refused(tokens):
    model = make(2).fit(tokens)
    short, long = tokens[0, :3].tolist(), tokens[1, :4].tolist()
    for rows in ([short, long], pd.Series([short, long]), [np.array(short), np.array(long)]):
        for method in (make(2).fit, model.transform):
            with pytest.raises(ValueError, match="rows of one length.*Got 3 and 4 numbers"):
                method(rows)
    same = pd.Series(list(tokens))
    np.testing.assert_array_equal(model.transform(same), model.transform(tokens))
