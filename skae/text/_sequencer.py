"""Texts as sequences of integers, one per word or character."""

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
from skae._shared.constants import PADDING, UNKNOWN
from skae._shared.scikit_learn import fit_context
from skae.text._words import compose, find_word_pattern, read_texts, read_vocabulary

_N_RESERVED = 2
_SHOWN_UNKNOWN = "<unknown>"
# Parameters that are passed to CountVectorizer.
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
    r"""Convert texts to rows of integers, one per word, in the order of the words.

    0 marks the positions after the end of a text, 1 a word that is not in the vocabulary, and 2 and
    following the words of the vocabulary in alphabetical order. The vocabulary is chosen as in
    scikit-learn's `CountVectorizer`, with parameters of the same names. Texts are normalised first
    (Unicode NFC), so that different encodings of the same accents give the same word.

    Parameters
    ----------
    max_length : int or None, default=None
        Maximum number of words, or characters, per text; at least 1. Longer texts are cut at the
        end. None uses the length of the longest text in `fit`. The time and memory of a model grow
        with it.
    lowercase : bool, default=True
        Whether to convert texts to lower case first.
    strip_accents : {"ascii", "unicode"}, callable or None, default=None
        Method to remove accents. None keeps them.
    token_pattern : str or None, default=None
        Regular expression of a word. None matches letters and digits of any script with their
        combining marks, and emoji as separate words. Unlike in `CountVectorizer`, words of one
        letter are included.
    tokenizer : callable or None, default=None
        Function that splits a text into words, instead of `token_pattern`.
    analyzer : {"word", "char"}, default="word"
        Whether tokens are words or characters. Characters suit chemical formulas, for example.
        `inverse_transform` joins words with spaces and characters without. Consecutive spaces
        become one.
    stop_words : {"english"}, list of str or None, default=None
        Words to leave out. Stop words carry the grammar of a sentence, so keep them if word order
        matters.
    min_df : int or float in [0, 1], default=1
        Minimum number, or share, of texts in which a word of the vocabulary occurs.
    max_df : int or float in [0, 1], default=1.0
        Maximum number, or share, of texts in which a word of the vocabulary occurs.
    max_features : int or None, default=None
        Maximum size of the vocabulary; the most frequent words are kept. None keeps all words.
    vocabulary : mapping, iterable of str or None, default=None
        Words to use instead of the words in `fit`. For a mapping, the keys are used and the values
        ignored: words are always numbered in alphabetical order.
    unknown : {"mark", "drop"}, default="mark"
        Whether words that are not in the vocabulary become 1 ("mark") or are left out ("drop").

    Attributes
    ----------
    vocabulary_ : dict
        Integer of each word.
    n_tokens_ : int
        Number of words in the vocabulary plus 2. All integers are below it.
    max_length_ : int
        Maximum number of words, or characters, per text.

    See Also
    --------
    skae.TokenAutoencoderTransformer : Autoencoder for these rows.
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
        """Determine the vocabulary and the maximum length.

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
            If X is a single text or has several columns, if an element is not a text, or if the
            vocabulary would be empty. The sequencer is then left unchanged.
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
        """Fit to texts, and return them as rows of integers.

        Parameters
        ----------
        X : iterable of str, or table of one column
            Texts. A generator is read once.
        y : object, default=None
            Ignored.

        Returns
        -------
        rows : ndarray of int64 of shape (n_samples, max_length_)
            Integers of the words, and 0 after the end.
        """
        if isinstance(X, Iterator):
            X = list(X)
        return self.fit(X, y).transform(X)

    @sees_one_fit
    def transform(self, X) -> Any:
        """Return texts as rows of integers.

        Parameters
        ----------
        X : iterable of str, or table of one column
            Texts.

        Returns
        -------
        rows : ndarray of int64 of shape (n_samples, max_length_)
            Integers of the words, and 0 after the end.

        Raises
        ------
        ValueError
            If X is a single text or has several columns, or if an element is not a text.
        """
        check_is_fitted(self)
        numbers = self._number(self._read(X))
        rows = np.full((len(numbers), self.max_length_), PADDING, dtype=np.int64)
        for row, own in zip(rows, numbers, strict=True):
            row[: len(own)] = own[: self.max_length_]
        return rows

    @sees_one_fit
    def inverse_transform(self, X) -> Any:
        """Return the texts of rows of integers.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            Rows of integers.

        Returns
        -------
        texts : list of str
            Words up to the first 0, joined with spaces, or characters joined without. "<unknown>"
            stands for 1 and for integers without a word.

        Raises
        ------
        ValueError
            If X contains other values than integers.
        """
        check_is_fitted(self)
        rows = check_array(X, dtype=None, ensure_min_features=0)
        if rows.dtype.kind not in "iu":
            raise ValueError(
                "X must contain integers of words. "
                f"Got an array of {rows.dtype}. Pass rows as returned by `transform`."
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
            Names "token0", "token1", ....
        """
        check_is_fitted(self)
        return np.array([f"token{i}" for i in range(self.max_length_)], dtype=object)

    def _make_counter(self) -> CountVectorizer:
        own = {name: getattr(self, name) for name in _COUNTING}
        pattern = self.token_pattern
        if self.analyzer == "char" or self.tokenizer is not None:
            # CountVectorizer warns about an unused pattern.
            pattern = None
        elif pattern is None:
            pattern = find_word_pattern()
        vocabulary = read_vocabulary(self.vocabulary, lowercase=self.lowercase)
        return CountVectorizer(**own, token_pattern=pattern, vocabulary=vocabulary)

    def _read(self, X) -> list[str]:
        """Return texts with composed letters."""
        return [compose(text, lowercase=self.lowercase) for text in read_texts(X)]

    def _number(self, texts) -> list[list[int]]:
        """Return the integers of the words of each text."""
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
