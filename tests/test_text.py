"""Texts as rows of integers, and their inverse."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
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
    counter = CountVectorizer(token_pattern=r"(?u)\b\w+\b", min_df=2)
    counts = counter.fit_transform(TEXTS).toarray()
    found = TokenSequencer(min_df=2).fit(TEXTS)
    assert sorted(found.vocabulary_) == list(counter.get_feature_names_out())
    rows = found.transform(TEXTS)
    for word, column in counter.vocabulary_.items():
        np.testing.assert_array_equal(
            (rows == found.vocabulary_[word]).sum(axis=1), counts[:, column]
        )


def test_padding_and_unknown_words_have_their_own_numbers(sequencer):
    rows = sequencer.transform(["a good dog", ""])
    assert rows[0, 2] == 1
    assert not rows[0, 3:].any()
    assert not rows[1].any()
    assert min(sequencer.vocabulary_.values()) == 2
    assert max(sequencer.vocabulary_.values()) == sequencer.n_tokens_ - 1
    assert sequencer.inverse_transform(rows) == ["a good <unknown>", ""]
    dropping = TokenSequencer(unknown="drop").fit(TEXTS)
    assert dropping.inverse_transform(dropping.transform(["a dog good"])) == ["a good"]


def test_the_length_is_that_of_the_longest_text_or_as_given(sequencer):
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
    with pytest.raises(ValueError, match="X must be several texts.* a single text of 3 char"):
        getattr(sequencer, method)("abc")


def test_numbers_must_be_whole(sequencer):
    with pytest.raises(ValueError, match="X must contain integers.* Got an array of float64"):
        sequencer.inverse_transform([[0.5]])


def test_words_of_any_script_come_back_whole():
    for text in [
        "हिन्दी भाषा अच्छी है",
        "বাংলা ভাষা",
        "தமிழ் மொழி",
        "తెలుగు భాష",
        "ಕನ್ನಡ ಭಾಷೆ",
        "ภาษาไทย ดีมาก",
        "မြန်မာ ဘာသာ",
        "مُحَمَّد كِتَاب",
        "שָׁלוֹם עוֹלָם",
        "می‌خواهم کتاب",
        "ශ්‍රී ලංකා",
        "한국어 문장",
        "tiếng việt",
        "caf\u00e9 noir",
        "gut 👍🏽 👩‍👩‍👧 🇩🇪 🇫🇷 ❤️",
    ]:
        sequencer = TokenSequencer().fit([text])
        assert set(sequencer.vocabulary_) == set(text.split())
        assert sequencer.inverse_transform(sequencer.transform([text])) == [text]


def test_spellings_of_one_word_have_one_number():
    sequencer = TokenSequencer().fit(["caf\u00e9 \u0130yi iyi", "cafe\u0301"])
    assert set(sequencer.vocabulary_) == {"caf\u00e9", "iyi"}
    given = TokenSequencer(vocabulary=["cafe\u0301"]).fit(["caf\u00e9"])
    assert given.transform(["cafe\u0301 caf\u00e9"]).tolist() == [[2]]
    assert "İyi" in TokenSequencer(lowercase=False).fit(["İyi"]).vocabulary_


TABLES = {
    "frame": lambda texts: pd.DataFrame({"text": texts}, index=[3, 1, 2, 0]),
    "frame of polars": lambda texts: pl.DataFrame({"text": texts}),
    "series": lambda texts: pd.Series(texts, index=[3, 1, 2, 0]),
    "strings of pandas": lambda texts: pd.Series(texts, dtype="string"),
    "series of polars": pl.Series,
    "array": lambda texts: np.array(texts)[:, None],
    "bytes": lambda texts: [text.encode() for text in texts],
    "dict": lambda texts: dict(enumerate(texts)).values(),
    "array of Arrow": pa.array,
    "chunks of Arrow": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "categories of Arrow": lambda texts: pa.array(texts).dictionary_encode(),
    "table of Arrow": lambda texts: pa.table({"text": texts}),
}


def test_frames_of_narwhals_are_those_they_wrap(sequencer):
    wrapped = pytest.importorskip("narwhals").from_native(pl.DataFrame({"text": TEXTS}))
    np.testing.assert_array_equal(sequencer.transform(wrapped), sequencer.transform(TEXTS))


def test_a_table_of_one_column_is_that_column(sequencer):
    for kind in TABLES:
        table = TABLES[kind](TEXTS)
        np.testing.assert_array_equal(sequencer.transform(table), sequencer.transform(TEXTS))
        assert TokenSequencer().fit(table).vocabulary_ == sequencer.vocabulary_


def test_a_column_transformer_may_name_the_column_in_a_list(sequencer):
    frame = pd.DataFrame({"text": TEXTS, "stars": [3.0, 1.0, 2.0, 5.0]})
    columns = ColumnTransformer(
        [("t", TokenSequencer(), ["text"]), ("s", "passthrough", ["stars"])]
    )
    rows = columns.fit_transform(frame)
    np.testing.assert_array_equal(rows[:, :-1], sequencer.transform(TEXTS))


def test_elements_that_are_not_texts_have_a_clear_error():
    for X, message in [
        (pd.DataFrame({"a": TEXTS, "b": TEXTS}), r"one column of texts.*\(4, 2\)"),
        (np.array([TEXTS, TEXTS]), r"one column of texts.*\(2, 4\)"),
        (["a film", None], "NoneType for text 1"),
        (["a film", pd.NA, "b"], "NAType for text 1"),
        (["a film", float("nan")], "float for text 1"),
        ([["a", "film"]], "list for text 0"),
        ({"a": "text"}, "dict"),
        (pl.LazyFrame({"a": TEXTS}), "LazyFrame.*collect"),
        (5, "Got int"),
        ({"a", "b"}, "fixed order. Got a set"),
        (pa.table({"a": TEXTS, "b": TEXTS}), r"one column of texts.*\(4, 2\)"),
        (pa.array(["a film", None]), "NoneType for text 1"),
    ]:
        for method in ["fit", "transform", "fit_transform"]:
            with pytest.raises(ValueError, match=message):
                getattr(TokenSequencer().fit(TEXTS), method)(X)


def test_a_vocabulary_of_other_things_is_refused():
    for vocabulary, message in [
        ({1: "a"}, "int 1"),
        ([], "Got none"),
        (["film", None], "NoneType"),
        ({}, "Got none"),
    ]:
        with pytest.raises(
            ValueError, match=f"`vocabulary` must contain at least one word.*{message}"
        ):
            TokenSequencer(vocabulary=vocabulary).fit(TEXTS)


@pytest.mark.parametrize(
    "vocabulary", [{"film": 5, "end": 9}, ["film", "end", "film"], {"end", "film"}]
)
def test_only_the_words_of_a_vocabulary_count(vocabulary):
    assert TokenSequencer(vocabulary=vocabulary).fit(TEXTS).vocabulary_ == {"end": 2, "film": 3}


@pytest.mark.filterwarnings("error")
def test_characters_come_back_without_blanks():
    formulas = ["CCO", "c1ccccc1", "N#C C"]
    sequencer = TokenSequencer(analyzer="char", lowercase=False)
    rows = sequencer.fit_transform(formulas)
    assert rows.shape == (3, 8)
    assert sequencer.inverse_transform(rows) == formulas


@pytest.mark.filterwarnings("error")
def test_a_tokenizer_needs_no_pattern():
    for pattern in (None, r"\w+"):
        sequencer = TokenSequencer(tokenizer=str.split, token_pattern=pattern).fit(["a b-c"])
        assert set(sequencer.vocabulary_) == {"a", "b-c"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("calls", [0, 1, 3, 5])
def test_a_refit_that_ends_early_leaves_the_sequencer_as_it_was(calls, error):
    left = []

    def split(text):
        if left and left.pop() is None:
            raise error
        return text.split()

    sequencer = TokenSequencer(tokenizer=split).fit(TEXTS)
    before = dict(vars(sequencer))
    left[:] = [None, *[True] * calls]
    with pytest.raises(error):
        sequencer.fit(["other words", "and more of them", "than before"])
    assert vars(sequencer) == before


def test_bytes_that_are_no_text_are_refused_by_their_place():
    with pytest.raises(ValueError, match="in UTF-8 .* for text 1"):
        TokenSequencer().fit([b"a film", "fin\xe9".encode("latin-1")])


def test_a_vocabulary_needs_no_texts():
    sequencer = TokenSequencer(vocabulary=["a", "b"]).fit([])
    np.testing.assert_array_equal(sequencer.transform(["b a"]), [[3]])
