"""Loaders of the data files, which return a Bunch as in scikit-learn."""

import gzip
import json

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state

from skae.datasets._folder import has_data_file, locate_data_file


def load_mnist(*, shuffle=True, random_state=0) -> Bunch:
    """Load the MNIST images of handwritten digits.

    Parameters
    ----------
    shuffle : bool, default=True
        Whether to shuffle the rows of each part. The file is sorted by digit, so without shuffling
        its first 10,000 rows are zeros and ones only.
    random_state : int, RandomState instance or None, default=0
        Seed of the shuffling.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes

        X_train : ndarray of shape (60000, 784), float32
            Pixels row by row, in [0, 1].
        y_train : ndarray of shape (60000,), int64
            Digits, 0 to 9.
        X_test : ndarray of shape (10000, 784), float32
            Pixels of the standard test part, in [0, 1].
        y_test : ndarray of shape (10000,), int64
            Digits of the test part.

    Raises
    ------
    FileNotFoundError
        If the environment variable `SKAE_DATA` does not name a folder with ``mnist.npz``.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86(11), 1998. :doi:`10.1109/5.726791`

    Examples
    --------
    >>> from skae.datasets import has_data_file, load_mnist
    >>> if has_data_file("mnist.npz"):
    ...     assert load_mnist().X_train.shape == (60000, 784)
    """
    path = locate_data_file(
        "mnist.npz", remedy="sklearn.datasets.fetch_openml('mnist_784') downloads the same images."
    )
    rng = check_random_state(random_state)
    mnist = Bunch()
    with np.load(path) as arrays:
        for part in ("train", "test"):
            X, y = arrays[f"X_{part}"], arrays[f"y_{part}"]
            order = rng.permutation(len(y)) if shuffle else slice(None)
            mnist[f"X_{part}"] = np.divide(X[order], 255, dtype=np.float32)
            mnist[f"y_{part}"] = y[order].astype(np.int64)
    return mnist


def load_digit_images(*, random_state=0) -> Bunch:
    """Load MNIST if its file exists, and the smaller digits of scikit-learn otherwise.

    For examples that should run everywhere, and show larger images where possible.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
        Seed of the shuffling and of the split of scikit-learn's digits.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes

        X_train : ndarray of shape (n_train, n_pixels), float32
            Pixels row by row, in [0, 1], of 60,000 or 1347 images.
        y_train : ndarray of shape (n_train,), int64
            Digits, 0 to 9.
        X_test : ndarray of shape (n_test, n_pixels), float32
            Pixels of 10,000 or 450 test images, in [0, 1].
        y_test : ndarray of shape (n_test,), int64
            Digits of the test images.
        image_shape : tuple of two int
            (28, 28) or (8, 8).

    See Also
    --------
    load_mnist : Load MNIST, or raise an error if there is no file.

    Examples
    --------
    >>> from skae.datasets import load_digit_images
    >>> images = load_digit_images()
    >>> images.X_train[0].reshape(images.image_shape).shape == images.image_shape
    True
    """
    if has_data_file("mnist.npz"):
        return Bunch(**load_mnist(random_state=random_state), image_shape=(28, 28))
    X, y = load_digits(return_X_y=True)
    order = check_random_state(random_state).permutation(len(y))
    train, test = order[450:], order[:450]
    return Bunch(
        X_train=X[train].astype(np.float32) / 16,
        y_train=y[train],
        X_test=X[test].astype(np.float32) / 16,
        y_test=y[test],
        image_shape=(8, 8),
    )


def load_spoken_digits() -> Bunch:
    """Load the Free Spoken Digit Dataset: recordings of the spoken digits.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes

        audio : list of 3000 ndarrays of shape (n_samples_of_recording,), int16
            Recordings of different lengths, with ``sample_rate`` samples per second.
        sample_rate : int
            Sampling rate: 8000 Hz.
        digit : ndarray of shape (3000,), int64
            Spoken digit, 0 to 9.
        speaker : ndarray of shape (3000,), str
            Name of the speaker.
        take : ndarray of shape (3000,), int64
            Repetition, 0 to 49. Takes 0 to 4 are the standard test part.

    Raises
    ------
    FileNotFoundError
        If the environment variable `SKAE_DATA` does not name a folder with ``fsdd.npz``.

    References
    ----------
    Z. Jackson et al., "Free Spoken Digit Dataset", v1.0.8, 2018. :doi:`10.5281/zenodo.1342401`

    Examples
    --------
    >>> from skae.datasets import has_data_file, load_spoken_digits
    >>> if has_data_file("fsdd.npz"):
    ...     assert len(load_spoken_digits().audio) == 3000
    """
    path = locate_data_file(
        "fsdd.npz", remedy="The recordings are published as the Free Spoken Digit Dataset."
    )
    with np.load(path) as arrays:
        ends = np.cumsum(arrays["length"])
        return Bunch(
            audio=np.split(arrays["audio"], ends[:-1]),
            sample_rate=8000,
            digit=arrays["digit"].astype(np.int64),
            speaker=arrays["speaker"],
            take=arrays["take"].astype(np.int64),
        )


def load_film_reviews() -> Bunch:
    """Load the film reviews of the polarity data set, version 2.0.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes

        text : list of 2000 str
            Reviews, with tokens separated by spaces.
        label : ndarray of shape (2000,), int64
            1 for positive reviews, 0 for negative ones.
        fold : ndarray of shape (2000,), int64
            Cross-validation fold of the authors, 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the environment variable `SKAE_DATA` does not name a folder with ``reviews.jsonl.gz``.

    References
    ----------
    B. Pang and L. Lee, "A sentimental education: sentiment analysis using subjectivity
    summarization based on minimum cuts", ACL 2004. :doi:`10.3115/1218955.1218990`

    Examples
    --------
    >>> from skae.datasets import has_data_file, load_film_reviews
    >>> if has_data_file("reviews.jsonl.gz"):
    ...     assert load_film_reviews().label.mean() == 0.5
    """
    path = locate_data_file(
        "reviews.jsonl.gz", remedy="The authors publish the reviews as polarity dataset v2.0."
    )
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        reviews = [json.loads(line) for line in lines]
    return Bunch(
        text=[review["text"] for review in reviews],
        label=np.array([review["label"] for review in reviews], dtype=np.int64),
        fold=np.array([review["fold"] for review in reviews], dtype=np.int64),
    )
