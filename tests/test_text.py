"""Texts as rows of whole numbers, and back."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import estimator_checks

from skae.text import TokenSequencer

TEXTS = ["The film is good, the end is not.", "A bad film", "The end", "good end & good film"]


@pytest.fixture
def sequencer():
    return TokenSequencer().fit(TEXTS)


@pytest.mark.parametrize(
    "check", ["check_param_validation", "check_parameters_default_constructible"]
)
def test_passes_further_checks(check):
    getattr(estimator_checks, check)("TokenSequencer", TokenSequencer())


def test_words_come_back_in_their_order(sequencer):
    rows = sequencer.transform(TEXTS)
    assert rows.dtype == np.int64
    assert rows.shape == (4, 8)
    assert list(sequencer.get_feature_names_out())[:2] == ["token0", "token1"]
    assert sequencer.inverse_transform(rows) == [
        "the film is good the end is not",
        "a bad film",
        "the end",
        "good end good film",
    ]


def test_words_are_counted_as_by_count_vectorizer(sequencer):
    counter = CountVectorizer(token_pattern=sequencer.token_pattern, min_df=2)
    counts = counter.fit_transform(TEXTS).toarray()
    ours = TokenSequencer(min_df=2).fit(TEXTS)
    assert sorted(ours.vocabulary_) == list(counter.get_feature_names_out())
    rows = ours.transform(TEXTS)
    for word, column in counter.vocabulary_.items():
        np.testing.assert_array_equal(
            (rows == ours.vocabulary_[word]).sum(axis=1), counts[:, column]
        )


def test_padding_and_unknown_words_have_numbers_of_their_own(sequencer):
    rows = sequencer.transform(["a good dog", ""])
    assert rows[0, 2] == 1
    assert not rows[0, 3:].any()
    assert not rows[1].any()
    assert min(sequencer.vocabulary_.values()) == 2
    assert max(sequencer.vocabulary_.values()) == sequencer.n_tokens_ - 1
    assert sequencer.inverse_transform(rows) == ["a good <unknown>", ""]
    dropping = TokenSequencer(unknown="drop").fit(TEXTS)
    assert dropping.inverse_transform(dropping.transform(["a dog good"])) == ["a good"]


def test_length_is_the_longest_or_what_one_asks_for(sequencer):
    assert sequencer.max_length_ == 8
    short = TokenSequencer(2).fit(TEXTS)
    assert short.inverse_transform(short.transform(TEXTS))[0] == "the film"
    assert TokenSequencer().fit(["a", "a b"]).transform(["a b a b"]).shape == (1, 2)


def test_vocabulary_may_be_given_and_be_small():
    assert TokenSequencer(max_features=2).fit(TEXTS).n_tokens_ == 4
    given = TokenSequencer(vocabulary=["film", "end"]).fit(TEXTS)
    assert given.vocabulary_ == {"end": 2, "film": 3}
    assert TokenSequencer(stop_words="english", unknown="drop").fit(TEXTS).max_length_ == 4


def test_texts_may_come_from_a_generator_and_a_pickle_keeps_all(sequencer):
    rows = clone(sequencer).fit_transform(text for text in TEXTS)
    restored = pickle.loads(pickle.dumps(sequencer))
    np.testing.assert_array_equal(restored.transform(TEXTS), rows)


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_a_single_text_is_refused(sequencer, method):
    with pytest.raises(ValueError, match="X must be several texts.* a single one of 3 char"):
        getattr(sequencer, method)("abc")


def test_numbers_must_be_whole(sequencer):
    with pytest.raises(ValueError, match="X must hold whole numbers.* Got an array of float64"):
        sequencer.inverse_transform([[0.5]])
