"""Texts as sequences of whole numbers, one for each word or character."""

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted

from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._shared.scikit_learn import fit_context
from skae.text._words import compose, find_word_pattern, read_texts, read_vocabulary

# Numbers that stand for no word of the vocabulary.
PADDING, UNKNOWN = 0, 1
_N_RESERVED = 2
_SHOWN_UNKNOWN = "<unknown>"
# What is left to scikit-learn's CountVectorizer, under its names.
_COUNTING = (
    "lowercase",
    "strip_accents",
    "tokenizer",
    "stop_words",
    "analyzer",
    "min_df",
    "max_df",
    "max_features",
)


class TokenSequencer(TransformerMixin, BaseEstimator):
    r"""Turn texts into rows of whole numbers, one for each word, in the order of the words.

    0 stands beyond the end of a text, 1 for words that are not in the vocabulary, and 2 and so on
    for those that are, in alphabetical order. Words are chosen as by scikit-learn's
    `CountVectorizer`, whose parameters have the same names here. Letters are composed first (NFC),
    so that one word is one, however its accents are written.

    Parameters
    ----------
    max_length : int or None, default=None
        Words, or characters, that are kept of a text, from its beginning; at least 1. None is the
        length of the longest text seen in fit. A model's time and memory grow with it.
    lowercase : bool, default=True
        Turn all letters into lower case first.
    strip_accents : {"ascii", "unicode"}, callable or None, default=None
        How to take accents away; they stay where None.
    token_pattern : str or None, default=None
        Regular expression of a word. None takes letters and digits with the marks that belong to
        them, in any script, and emoji as words of their own. Unlike `CountVectorizer` it takes
        words of one letter, which belong to a sentence.
    tokenizer : callable or None, default=None
        Splits a text into words instead of `token_pattern`.
    analyzer : {"word", "char"}, default="word"
        Whether numbers stand for words or for characters, such as those of chemical formulas.
        `inverse_transform` puts blanks between words and nothing between characters. Several
        blanks in a row become one.
    stop_words : {"english"}, list of str or None, default=None
        Words that are left out. They are a sentence's grammar, so keep them where their order
        matters.
    min_df : int or float in [0, 1], default=1
        Number, or share, of the texts that a word of the vocabulary must occur in at least.
    max_df : int or float in [0, 1], default=1.0
        Number, or share, of the texts that a word of the vocabulary may occur in.
    max_features : int or None, default=None
        Words of the vocabulary, the most frequent ones; all where None.
    vocabulary : mapping, iterable of str or None, default=None
        The words themselves, instead of those found in fit. Of a mapping the keys count, and not
        their numbers: words are numbered in alphabetical order.
    unknown : {"mark", "drop"}, default="mark"
        Whether words that are not in the vocabulary become 1 or are left out.

    Attributes
    ----------
    vocabulary_ : dict
        The number of each word.
    n_tokens_ : int
        Words in the vocabulary plus 2: all numbers are below it.
    max_length_ : int
        Words, or characters, that are kept of a text.

    See Also
    --------
    skae.TokenAutoencoderTransformer : Codes of such rows.
    sklearn.feature_extraction.text.CountVectorizer : Counts of words, without their order.

    Examples
    --------
    >>> from skae.text import TokenSequencer
    >>> sequencer = TokenSequencer()
    >>> X = sequencer.fit_transform(["A film to see.", "See it!"])
    >>> X
    array([[2, 3, 6, 5],
           [5, 4, 0, 0]])
    >>> sequencer.inverse_transform(X)
    ['a film to see', 'see it']
    >>> sequencer.transform(["Never see it!"])
    array([[1, 5, 4, 0]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "lowercase": ["boolean"],
        "strip_accents": [StrOptions({"ascii", "unicode"}), callable, None],
        "token_pattern": [str, None],
        "tokenizer": [callable, None],
        "analyzer": [StrOptions({"word", "char"})],
        "stop_words": [StrOptions({"english"}), list, None],
        "min_df": [
            Interval(RealNotInt, 0, 1, closed="both"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "max_df": [
            Interval(RealNotInt, 0, 1, closed="both"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "vocabulary": [Mapping, "array-like", set, None],
        "unknown": [StrOptions({"mark", "drop"})],
    }

    def __init__(
        self,
        max_length=None,
        *,
        lowercase=True,
        strip_accents=None,
        token_pattern=None,
        tokenizer=None,
        analyzer="word",
        stop_words=None,
        min_df=1,
        max_df=1.0,
        max_features=None,
        vocabulary=None,
        unknown="mark",
    ) -> None:
        self.max_length = max_length
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.token_pattern = token_pattern
        self.tokenizer = tokenizer
        self.analyzer = analyzer
        self.stop_words = stop_words
        self.min_df = min_df
        self.max_df = max_df
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.unknown = unknown

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Learn the vocabulary, and how long texts are.

        Parameters
        ----------
        X : iterable of str, or table of one column
            Texts.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If X is a single text or has several columns, something in it is no text, or no word is
            left for the vocabulary. The sequencer is then as it was before.
        """
        texts = self._read(X)
        counter = self._make_counter()
        found = counter.fit(texts).vocabulary_
        self.vocabulary_ = {word: i + _N_RESERVED for i, word in enumerate(sorted(found))}
        self.n_tokens_ = len(self.vocabulary_) + _N_RESERVED
        self.max_length_ = self.max_length
        if self.max_length is None:
            self.max_length_ = max([1, *map(len, self._number(texts))])
        return self

    def fit_transform(self, X, y=None) -> Any:
        """Learn the vocabulary, and return texts as rows of whole numbers.

        Parameters
        ----------
        X : iterable of str, or table of one column
            Texts, which may be a generator.
        y : object, default=None
            Ignored.

        Returns
        -------
        rows : ndarray of int64 of shape (n_samples, max_length_)
            The numbers of the words, 0 beyond the end.
        """
        if isinstance(X, Iterator):
            X = list(X)
        return self.fit(X, y).transform(X)

    @sees_one_fit
    def transform(self, X) -> Any:
        """Return texts as rows of whole numbers.

        Parameters
        ----------
        X : iterable of str, or table of one column
            Texts.

        Returns
        -------
        rows : ndarray of int64 of shape (n_samples, max_length_)
            The numbers of the words, 0 beyond the end.

        Raises
        ------
        ValueError
            If X is a single text or has several columns, or something in it is no text.
        """
        check_is_fitted(self)
        numbers = self._number(self._read(X))
        rows = np.full((len(numbers), self.max_length_), PADDING, dtype=np.int64)
        for row, own in zip(rows, numbers, strict=True):
            row[: len(own)] = own[: self.max_length_]
        return rows

    @sees_one_fit
    def inverse_transform(self, X) -> Any:
        """Return texts whose words have the given numbers.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            Rows of numbers.

        Returns
        -------
        texts : list of str
            Words up to the first 0, with blanks between them, or characters without; "<unknown>"
            for 1 and for numbers that no word has.

        Raises
        ------
        ValueError
            If X does not hold whole numbers.
        """
        check_is_fitted(self)
        rows = check_array(X, dtype=None, ensure_min_features=0)
        if rows.dtype.kind not in "iu":
            raise ValueError(
                "X must hold whole numbers, those of words. "
                f"Got an array of {rows.dtype}. Pass what `transform` returned."
            )
        blank = "" if self.analyzer == "char" else " "
        words = {number: word for word, number in self.vocabulary_.items()}
        texts = []
        for row in rows.tolist():
            end = row.index(PADDING) if PADDING in row else len(row)
            texts.append(blank.join(words.get(number, _SHOWN_UNKNOWN) for number in row[:end]))
        return texts

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return a name for each column.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        names : ndarray of str objects of shape (max_length_,)
            "token0" and so on.
        """
        check_is_fitted(self)
        return np.array([f"token{i}" for i in range(self.max_length_)], dtype=object)

    def _make_counter(self) -> CountVectorizer:
        own = {name: getattr(self, name) for name in _COUNTING}
        pattern = self.token_pattern
        if self.analyzer == "char" or self.tokenizer is not None:
            # CountVectorizer warns of a pattern that it does not use.
            pattern = None
        elif pattern is None:
            pattern = find_word_pattern()
        vocabulary = read_vocabulary(self.vocabulary, lowercase=self.lowercase)
        return CountVectorizer(**own, token_pattern=pattern, vocabulary=vocabulary)

    def _read(self, X) -> list[str]:
        """Return texts with composed letters."""
        return [compose(text, lowercase=self.lowercase) for text in read_texts(X)]

    def _number(self, texts) -> list[list[int]]:
        """Return the numbers of the words of each text."""
        analyze = self._make_counter().build_analyzer()
        known = self.vocabulary_
        if self.unknown == "drop":
            return [[known[word] for word in analyze(text) if word in known] for text in texts]
        return [[known.get(word, UNKNOWN) for word in analyze(text)] for text in texts]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
