"""Reading of texts and vocabularies, and the pattern of words."""

import functools
import re
import unicodedata
from collections.abc import Mapping

import numpy as np

# Pictograms and symbols. A flag consists of two regional indicator letters.
_SYMBOLS = "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
_SKIN_TONES = "\U0001f3fb-\U0001f3ff"
# Joiners occur within words, as in Persian and Sinhala, and within emoji.
_JOINERS = "\u200c\u200d"
# The only combining marks above the planes of scripts and symbols are variation selectors.
_LAST_SCRIPT, _VARIATION_SELECTORS = 0x20000, "\U000e0100-\U000e01ef"


@functools.cache
def find_word_pattern() -> str:
    r"""Return a regular expression of words with their combining marks, and of emoji.

    The class ``\w`` of Python lacks vowels and other marks of most Indian scripts, of Thai, and of
    pointed Arabic and Hebrew.
    """
    marks = _list_marks()
    symbol = rf"[{_SYMBOLS}][{marks}{_SKIN_TONES}]*"
    word = rf"\w[\w{marks}]*(?:[{_JOINERS}]+[\w{marks}]+)*"
    return rf"(?u){_FLAG}|{symbol}(?:\u200d{symbol})*|{word}"


def _list_marks() -> str:
    """Return the ranges of combining marks, as part of a character class."""
    marks = np.array([unicodedata.category(chr(code))[0] == "M" for code in range(_LAST_SCRIPT)])
    edges = np.flatnonzero(np.diff(marks.astype(np.int8)))
    return (
        "".join(
            f"{re.escape(chr(first + 1))}-{re.escape(chr(last))}"
            for first, last in edges.reshape(-1, 2).tolist()
        )
        + _VARIATION_SELECTORS
    )


def compose(text: str, *, lowercase: bool) -> str:
    """Return a text in Unicode's normal form C.

    If it is to be lowercased, the capital I with a dot is replaced by "i" here, because Python
    would convert it to "i" and a separate dot.
    """
    text = unicodedata.normalize("NFC", text)
    return text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i") if lowercase else text


def read_texts(X) -> list[str]:
    """Return an iterable of texts, or a table of one column, as a list of texts.

    A single text, a lazy frame, a mapping, a table of several columns, and elements that are not
    texts are refused.
    """
    if isinstance(X, str | bytes):
        raise ValueError(
            f"X must be several texts, such as a list. Got a single text of {len(X)} characters. "
            "Put it into a list."
        )
    if hasattr(X, "to_native"):
        # Narwhals wraps frames of other libraries.
        X = X.to_native()
    is_sequence = hasattr(X, "__iter__") or hasattr(X, "to_pylist")
    if isinstance(X, Mapping) or not is_sequence or hasattr(X, "collect"):
        raise ValueError(
            f"X must be several texts, such as a list. Got {type(X).__name__}. "
            "Pass X.collect() of a lazy frame, or list(X.values()) of a dict."
        )
    if isinstance(X, set | frozenset):
        raise ValueError(
            "X must be texts in a fixed order. Got a set, whose order differs between runs. Pass "
            "sorted(X)."
        )
    return [_read_text(text, i) for i, text in enumerate(_take_column(X))]


def _take_column(X):
    """Return the only column of a table, and any other input unchanged."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) < 2:
        # Iterating over arrays of Arrow would give scalars instead of texts.
        return X.to_pylist() if hasattr(X, "to_pylist") else X
    if len(shape) > 2 or shape[1] != 1:
        raise ValueError(
            f"X must have one column of texts. Got a table of shape {shape}. "
            "Pass the column of the texts, such as X['text']."
        )
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    if hasattr(X, "to_pylist"):
        return X.column(0).to_pylist()
    return X.to_series(0) if hasattr(X, "to_series") else np.asarray(X)[:, 0]


def _read_text(text, i) -> str:
    if isinstance(text, bytes):
        return _decode(text, i)
    if not isinstance(text, str):
        raise ValueError(
            f"X must contain texts. Got {type(text).__name__} for text {i}: {text!r:.40}. "
            "Leave it out, or replace it by an empty text."
        )
    return text


def _decode(text: bytes, i) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError(
            f"X must contain text in UTF-8 if elements are bytes. Got another encoding for text "
            f"{i}: {text!r:.40}. Decode it first, as in text.decode('latin-1')."
        ) from None


def read_vocabulary(vocabulary, *, lowercase: bool):
    """Return the distinct words of a vocabulary in alphabetical order, or None for None.

    They are composed like texts. A vocabulary without words, or with other elements, is refused.
    """
    if vocabulary is None:
        return None
    words = list(vocabulary)
    wrong = [word for word in words if not isinstance(word, str)]
    if wrong or not words:
        got = f"{type(wrong[0]).__name__} {wrong[0]!r}" if wrong else "none"
        raise ValueError(
            f"`vocabulary` must contain at least one word, and only words. Got {got}. Pass a list "
            "of str, or None for the words of the texts."
        )
    return sorted({compose(word, lowercase=lowercase) for word in words})
