"""Shared code of `generation.py`: images of digits, and standard errors."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae.datasets import load_mnist


@dataclass(frozen=True, eq=False)
class Images:
    """Images of digits, as rows of pixels in [0, 1]."""

    name: str
    side: int
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def load_images(options):
    """Return MNIST, or the small digits of scikit-learn for a quick run."""
    if options.quick:
        X, y = load_digits(return_X_y=True)
        parts = train_test_split(X.astype(np.float32) / 16, y, test_size=500, random_state=0)
        X_train, X_test, y_train, y_test = parts
        name, side = "small digits", 8
    else:
        mnist = load_mnist(random_state=0)
        X_train, X_test, y_train, y_test = mnist.X_train, mnist.X_test, mnist.y_train, mnist.y_test
        name, side = "MNIST digits", 28
    X_train, y_train = X_train[: options.rows], y_train[: options.rows]
    X_test, y_test = X_test[: options.test_rows], y_test[: options.test_rows]
    return Images(name, side, X_train, y_train, X_test, y_test)


def standard_error(values):
    """Return the standard error of the mean of numbers, over the first axis."""
    values = np.asarray(values, dtype=np.float64)
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))
