"""Rows whose cells stand in a shape of their own, such as images."""

import math
from numbers import Integral

import numpy as np


def flatten_samples(X):
    """Return an array of more than two axes as rows, all else as it is.

    Parameters
    ----------
    X : object
        As the user passed it.

    Returns
    -------
    rows : object
        Two-dimensional where X had more axes. No copy of a memory map in C order.
    """
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) < 3:
        return X
    return np.asanyarray(X).reshape(shape[0], math.prod(shape[1:]))


def find_form(X, n_features: int) -> tuple[int, ...]:
    """Return the shape that samples have in X, which is (n_features,) for a table."""
    shape = tuple(getattr(X, "shape", ()))
    return shape[1:] if len(shape) > 2 else (n_features,)


def find_sample_shape(form, sample_shape, before=None) -> tuple[int, ...]:
    """Return the shape of a sample as the network sees it.

    Parameters
    ----------
    form : tuple of int
        The shape that samples have in X.
    sample_shape : tuple of int or None
        The parameter.
    before : tuple of int, default=None
        What it was in a fit that this one goes on from, which counts where nothing else tells.

    Returns
    -------
    sample_shape : tuple of int
        Positive.

    Raises
    ------
    ValueError
        If the parameter does not consist of positive integers, or does not fit X.
    """
    if sample_shape is None:
        return form if before is None or len(form) > 1 else before
    sizes = tuple(sample_shape)
    if not sizes or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            "`sample_shape` must be a tuple of positive integers. "
            f"Got {sample_shape!r}. For grey images of 28 by 28 pixels it is (1, 28, 28)."
        )
    sizes = tuple(int(size) for size in sizes)
    if math.prod(sizes) != math.prod(form):
        raise ValueError(
            f"`sample_shape` must have as many cells as X has columns, {math.prod(form)}. "
            f"Got {sizes}, which has {math.prod(sizes)}. It is without the number of samples."
        )
    if len(form) > 1 and _without_ones(form) != _without_ones(sizes):
        raise ValueError(
            f"`sample_shape` must be the shape of the samples in X, {form}. Got {sizes}. "
            "Bring the axes of X into that order, or leave out `sample_shape`."
        )
    return sizes


def _without_ones(shape) -> list[int]:
    return [size for size in shape if size > 1]
