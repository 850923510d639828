"""Data sets of the benchmarks, split into training rows and held-out rows."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from _common import has_data
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
    make_swiss_roll,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae.datasets import load_film_reviews, load_mnist, load_spoken_digits
from skae.io import read_table

_BANDS = _FRAMES = 32
_WINDOW = 256
_PARTS = {"all": slice(None), "choosing": slice(0, None, 2), "judging": slice(1, None, 2)}


@dataclass(frozen=True, eq=False)
class Split:
    """Training rows and held-out rows, with labels if there are any."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray | None
    y_test: np.ndarray | None


@dataclass(frozen=True)
class DataSet:
    """Table with the numbers of codes to try and the file it needs."""

    load: object
    n_components: tuple
    standardize: bool = False
    needs: str | None = None
    max_rows: int | None = None

    def split(self, seed, *, full=False):
        """Return training rows and held-out rows, split by the seed."""
        if self.load is load_mnist:
            return _split_mnist(seed, None if full else 10_000)
        X, y = self.load()
        if self.max_rows is not None and self.max_rows < X.shape[0]:
            chosen = np.random.default_rng(seed).choice(X.shape[0], self.max_rows, replace=False)
            X, y = X[chosen], None if y is None else y[chosen]
        y_or_rows = np.zeros(X.shape[0]) if y is None else y
        X_train, X_test, y_train, y_test = train_test_split(
            X, y_or_rows, test_size=0.25, random_state=seed, stratify=y
        )
        if self.standardize:
            scaler = StandardScaler().fit(X_train)
            X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        return Split(X_train, X_test, *((None, None) if y is None else (y_train, y_test)))


def _split_mnist(seed, n_rows):
    mnist = load_mnist(random_state=seed)
    return Split(mnist.X_train[:n_rows], mnist.X_test, mnist.y_train[:n_rows], mnist.y_test)


def _load_diabetes():
    return load_diabetes(scaled=False).data, None


def _load_swiss_roll():
    return make_swiss_roll(1000, noise=0.1, random_state=0)[0], None


def _load_friedman():
    """Return ten independent columns and the target computed from five of them."""
    X, y = make_friedman1(1000, noise=0.1, random_state=0)
    return np.column_stack([X, y / 10]), None


def _load_spoken_digits():
    """Return the spectra of the recordings, and the digits."""
    digits = load_spoken_digits()
    return np.stack([describe_sound(audio) for audio in digits.audio]), digits.digit


def describe_sound(audio):
    """Return 32 frames by 32 bands of log power, one after the other."""
    samples = np.zeros(max(len(audio), _WINDOW + _FRAMES))
    samples[: len(audio)] = audio
    starts = np.linspace(0, len(samples) - _WINDOW, _FRAMES).astype(int)
    frames = samples[starts[:, None] + np.arange(_WINDOW)] * np.hanning(_WINDOW)
    power = np.square(np.abs(np.fft.rfft(frames)[:, 1:]))
    bands = power.reshape(_FRAMES, _BANDS, -1).mean(axis=2)
    return np.log10(bands / max(bands.max(), 1e-9) + 1e-6).astype(np.float32).ravel()


def load_film_reviews_as_tfidf():
    """Return the TF-IDF of the reviews, a sparse matrix, and their labels."""
    reviews = load_film_reviews()
    vectorizer = TfidfVectorizer(
        min_df=5, max_features=5000, sublinear_tf=True, stop_words="english", dtype=np.float32
    )
    return vectorizer.fit_transform(reviews.text), reviews.label


_IRIS, _WINE, _CANCER = (
    partial(load, return_X_y=True) for load in (load_iris, load_wine, load_breast_cancer)
)

# Small tables first. "scaled" tables are standardised, the others are in their original units.
DATA_SETS = {
    "iris": DataSet(_IRIS, (1, 2)),
    "iris_scaled": DataSet(_IRIS, (1, 2), standardize=True),
    "wine": DataSet(_WINE, (3, 6)),
    "wine_scaled": DataSet(_WINE, (3, 6), standardize=True),
    "cancer": DataSet(_CANCER, (2, 7, 15)),
    "cancer_scaled": DataSet(_CANCER, (2, 7, 15), standardize=True),
    "diabetes": DataSet(_load_diabetes, (2, 5)),
    "diabetes_scaled": DataSet(_load_diabetes, (2, 5), standardize=True),
    "swiss_roll": DataSet(_load_swiss_roll, (1, 2)),
    "friedman1": DataSet(_load_friedman, (3, 6)),
    "digits": DataSet(partial(load_digits, return_X_y=True), (4, 16, 32)),
    "spoken_digits": DataSet(_load_spoken_digits, (8, 32), needs="fsdd.npz"),
    "film_reviews": DataSet(load_film_reviews_as_tfidf, (16, 64), needs="reviews.jsonl.gz"),
    "mnist": DataSet(load_mnist, (8, 32), needs="mnist.npz"),
}
QUICK = ("iris", "wine_scaled", "swiss_roll", "digits")


def select(names):
    """Return the named data sets, and print a line for each that is not available."""
    return {name: DATA_SETS[name] for name in names if has_data(name, DATA_SETS[name].needs)}


def select_folder(folder, *, raw=False, max_rows=None, part="all"):
    """Return the tables of a folder, and print a line for each file that cannot be read.

    A quarter and a half of the columns are the numbers of codes.
    """
    chosen = {}
    for path in sorted(Path(folder).iterdir())[_PARTS[part]]:
        try:
            n_features = _read_rows(path)[0].shape[1]
        except ValueError as error:
            print(f"{path.name} is left out: {error}")
            continue
        n_components = dict.fromkeys(max(1, round(n_features * share)) for share in (0.25, 0.5))
        load = partial(_read_rows, path)
        chosen[path.name] = DataSet(load, (*n_components,), not raw, max_rows=max_rows)
    return chosen


def _read_rows(path):
    """Return the complete rows of a file, and no labels."""
    return read_table(path, missing="drop").X, None


def densify(X):
    """Return a sparse matrix as an array, and an array unchanged."""
    return X.toarray() if sparse.issparse(X) else X


def add_part_option(parser):
    """Add options to measure the choosing and the judging half of a folder separately."""
    parser.add_argument(
        "--part",
        choices=_PARTS,
        default="all",
        help="tables of the folder: every other one by name, from the first or from the second",
    )


def list_files(options):
    """Return the tables of `options.folder` in the half `options.part`."""
    return sorted(options.folder.glob("*.npz"))[_PARTS[options.part]]
